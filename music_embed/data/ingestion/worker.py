"""The process that decodes: `python -m music_embed.data.ingestion.worker`.

A process of its own, not a fork, for untrusted files are decoded here: it may
crash or hang without harm to the job. It ends when its parent does, since the
connection then closes. Messages are JSON and raw bytes, never pickles.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from multiprocessing import connection
from typing import Any

from music_embed.core import errors, types
from music_embed.data.ingestion import featurize

READY = b"ready"
"""First message of a worker, once all is imported."""


def main(arguments: list[str]) -> None:
  """Serves requests until the connection closes.

  Args:
    arguments: file descriptor of the connection, settings as JSON.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's.
  settings = json.loads(arguments[1])
  with connection.Connection(int(arguments[0])) as parent:
    parent.send_bytes(READY)
    # Decoders print notes about odd files; the parent reports what matters.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    while True:
      try:
        path = os.fsdecode(parent.recv_bytes())
      except EOFError:
        return
      header, payload = _respond(path, settings)
      parent.send_bytes(json.dumps(header).encode())
      parent.send_bytes(payload)


def _respond(
  path: str, settings: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
  try:
    features = featurize.featurize(
      path,
      types.front_end_from_json(settings["front_end"]),
      types.Quantization(**settings["quantization"]),
      max_duration_s=settings["max_duration_s"],
    )
  except errors.AudioError as error:
    return {"reason": str(error).removeprefix(f"{path}: ")}, b""
  except MemoryError:
    return {"reason": "decoding it needs more memory than there is"}, b""
  except Exception as error:  # Whatever a hostile file does, the job goes on.
    return {"reason": f"{type(error).__name__}: {error}"}, b""
  header = {"flags": features.flags, "audio_s": features.audio_s}
  return header, features.rows.tobytes()


if __name__ == "__main__":
  try:
    main(sys.argv[1:])
  except (BrokenPipeError, ConnectionResetError):
    sys.exit(1)  # The parent is gone.
