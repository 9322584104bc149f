"""The process that makes windows, `python -m` of this module.

A process of its own, as `ingestion.worker`, and for the same reasons; this one
sends log-mel windows as it makes them, so that a recording of any length needs
little memory. Each file is answered by messages of JSON: first what its header
says, then one for each piece, followed by its times and its windows as bytes,
and at last the facts, or why it cannot be used.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from multiprocessing import connection
from typing import Any

import soundfile

from music_embed.audio import streaming
from music_embed.core import errors, types
from music_embed.data.ingestion import worker


def main(arguments: list[str]) -> None:
  """Serves requests until the connection closes.

  Args:
    arguments: file descriptor of the connection, settings as JSON.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's.
  settings = json.loads(arguments[1])
  with connection.Connection(int(arguments[0])) as parent:
    parent.send_bytes(worker.READY)
    # Decoders print notes about odd files; the parent reports what matters.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    while True:
      try:
        path = os.fsdecode(parent.recv_bytes())
      except EOFError:
        return
      _send(parent, {"opened": _header(path)})
      _send(parent, _stream(parent, path, settings))


def _stream(
  parent: connection.Connection, path: str, settings: dict[str, Any]
) -> dict[str, Any]:
  """Sends a file's windows; returns the last message."""
  try:
    front_end = types.front_end_from_json(settings["front_end"])
    assert isinstance(front_end, types.LogMelFrontEnd)
    stream = streaming.log_mel_windows(
      path,
      front_end,
      max_s=settings["max_duration_s"],
      chunk_windows=settings["chunk_windows"],
    )
    with open(path, "rb"):
      pass  # libsndfile does not say why it cannot open a file.
    for chunk in stream:
      _send(parent, {"windows": len(chunk.start_s)})
      parent.send_bytes(chunk.start_s.data)
      parent.send_bytes(chunk.log_mel.data)
    facts = stream.facts
  except OSError as error:
    if isinstance(error, BrokenPipeError | ConnectionResetError):
      raise  # The parent is gone.
    return {"reason": f"cannot be read ({error.strerror or error})"}
  except errors.AudioError as error:
    return {"reason": str(error).removeprefix(f"{path}: ")}
  except MemoryError:
    return {"reason": "decoding it needs more memory than there is"}
  except Exception as error:  # Whatever a hostile file does, the job goes on.
    return {"reason": f"{type(error).__name__}: {error}"}
  if facts.short and facts.truncated:
    length = f"{facts.duration_s:.2f} s could be read, less than a window"
    return {"reason": f"truncated: {length}"}
  return {"facts": dataclasses.asdict(facts)}


def _header(path: str) -> dict[str, Any]:
  """Length and tags as the file itself states them, where it does."""
  try:
    with soundfile.SoundFile(path) as file:
      tags = file.copy_metadata()
      length_s = file.frames / file.samplerate
  except (OSError, soundfile.LibsndfileError, ValueError):
    return {}  # Whoever decodes it will say why.
  named = {name: tags.get(name, "").strip() for name in ("title", "artist")}
  return {"length_s": length_s, **named}


def _send(parent: connection.Connection, message: dict[str, Any]) -> None:
  parent.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
  try:
    main(sys.argv[1:])
  except (BrokenPipeError, ConnectionResetError):
    sys.exit(1)  # The parent is gone.
