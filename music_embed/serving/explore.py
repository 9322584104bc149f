"""The map of a catalogue: served to a browser, or written to files."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import socket
import tempfile
import webbrowser
from collections.abc import Iterator
from typing import TYPE_CHECKING

from music_embed.core import errors
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import projector as projector_lib
from music_embed.serving import (
  catalogue_map,
  explorer,
  layout,
  static_page,
  uploads,
)

if TYPE_CHECKING:
  from starlette import applications

_PORTS = 20
"""That are tried, one after the other."""

_SHOWN_BY_PROJECTOR = 100_000
"""Recordings that TensorBoard's projector loads."""


def explore(
  *,
  index: str,
  model: str | None = None,
  host: str = "127.0.0.1",
  port: int = 8765,
  layout_kind: str = "auto",
  static: str | None = None,
  copy_audio: bool = False,
  projector: str | None = None,
  open_browser: bool = False,
) -> None:
  """Shows an index: serves it until interrupted, unless it is written.

  Args:
    index: folder that `launch/index.py` wrote.
    model: exported model that embeds sounds; None takes the one that the index
      has noted, if it is still there.
    host: address to listen at.
    port: to listen at; where it is taken, the next free one. 0 for any.
    layout_kind: "auto", "umap" or "pca".
    static: folder that gets the page as files; then nothing is served.
    copy_audio: whether recordings are copied there.
    projector: folder that gets files for TensorBoard's projector; then nothing
      is served.
    open_browser: whether the browser is called.

  Raises:
    ConfigError: an option or a folder is wrong, or a package is missing.
    DataError: the index is damaged.
  """
  serves = static is None and projector is None
  if copy_audio and static is None:
    raise errors.ConfigError("--copy_audio: only with --static")
  if serves:
    _require_server()
  opened = index_lib.Index.open(index)
  if not opened.size:
    raise errors.ConfigError(f"{index}: there is nothing in this index")
  explored = explorer.Explorer(opened, _map(opened, layout_kind))
  if static is not None:
    static_page.write(explored, static, copy_audio=copy_audio)
    print(f"page: {os.path.join(static, 'index.html')}", flush=True)
  if projector is not None:
    _write_projector(explored, projector)
  if serves:
    sounds = _sounds(opened, model)
    _serve(explored, sounds, host, port, open_browser)


def _map(index: index_lib.Index, wish: str) -> catalogue_map.CatalogueMap:
  kind = layout.chosen(wish, index.size)
  print(f"{index.size:,} recordings; map by {kind.upper()}", flush=True)
  made = catalogue_map.of_index(index, kind)
  if not made.stored:
    print(
      f"{index.folder}: takes no files, so the map is made again each time",
      flush=True,
    )
  return made


def _sounds(index: index_lib.Index, model: str | None) -> uploads.Sounds | None:
  """What embeds sounds; a model that was named must be the right one."""
  if model is not None:
    return uploads.Sounds(model, index.fingerprint)
  try:
    return uploads.Sounds(index.model, index.fingerprint)
  except errors.MusicEmbedError as error:
    why = str(error) if index.model else "the index names no model"
    print(f"sounds cannot be dropped on the map: {why}", flush=True)
    return None


def _write_projector(explored: explorer.Explorer, folder: str) -> None:
  index, legend = explored.index, explored.map.legend
  rows = range(index.size)
  labels = (index.catalogue.labels(row) for row in rows)
  kept = projector_lib.write(
    folder,
    index.vectors,
    {
      "id": index.catalogue.ids,
      "title": index.catalogue.titles,
      "artist": index.catalogue.artists,
      "class": [legend.labels[place] for place in legend.classes],
      "labels": [", ".join(name for name, _ in some) for some in labels],
    },
    name="catalogue",
    most=_SHOWN_BY_PROJECTOR,
  )
  print(f"projector: {kept:,} recordings: tensorboard --logdir={folder}")


def _require_server() -> None:
  for name in ("starlette", "uvicorn"):
    if importlib.util.find_spec(name) is None:
      raise errors.ConfigError(
        f"{name} is not installed: pip install 'music_embed[explore]'"
        " (or write the page to files: --static)"
      )


def _serve(
  explored: explorer.Explorer,
  sounds: uploads.Sounds | None,
  host: str,
  port: int,
  open_browser: bool,
) -> None:
  """Serves until SIGINT or SIGTERM, which is how a server ends well."""
  from music_embed.serving import explore_app, explore_guard

  if not explore_guard.is_loopback(host):
    print(
      f"--host={host}: whoever can reach this machine can listen to the"
      " catalogue and send sounds to it; there is no password",
      flush=True,
    )
  with (
    contextlib.closing(listening(host, port)) as listener,
    tempfile.TemporaryDirectory(prefix="music_embed-") as folder,
  ):
    app = explore_app.application(
      explored,
      sounds,
      folder=folder,
      names=explore_guard.own_names(host),
    )
    if sounds is not None:
      sounds.start()
    address = _address(host, listener)
    print(f"{address} (Ctrl-C ends)", flush=True)
    if open_browser:
      webbrowser.open(address)
    with contextlib.suppress(KeyboardInterrupt):
      _run(app, listener)


def _run(app: applications.Starlette, listener: socket.socket) -> None:
  import uvicorn

  config = uvicorn.Config(
    app,
    http="h11",
    ws="none",
    lifespan="off",
    loop="asyncio",
    log_level="warning",
    access_log=False,
    proxy_headers=False,
    server_header=False,
    timeout_graceful_shutdown=1,
  )
  uvicorn.Server(config).run(sockets=[listener])


def listening(host: str, port: int) -> socket.socket:
  """A socket that listens at a port, or at the next free one.

  Args:
    host: name or address of this machine.
    port: to begin with; 0 for any.

  Raises:
    ConfigError: the host is none of this machine, or no port is free.
  """
  if not 0 <= port < 1 << 16:
    raise errors.ConfigError(f"--port={port}: must be 0 to 65535")
  for number in _ports(port):
    try:
      family, *_, place = socket.getaddrinfo(
        host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
      )[0]
      return socket.create_server(place[:2], family=family)
    except OSError as error:
      if error.errno != errno.EADDRINUSE:
        reason = error.strerror or str(error)
        raise errors.ConfigError(
          f"--host={host} --port={number}: cannot be listened at ({reason})"
        ) from error
  raise errors.ConfigError(
    f"--port={port}: this and the next {_PORTS - 1} are taken: name another"
  )


def _ports(port: int) -> Iterator[int]:
  yield from range(port, min(port + _PORTS, 1 << 16)) if port else [0]


def _address(host: str, listener: socket.socket) -> str:
  """What to type into a browser."""
  name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
  name = f"[{name}]" if ":" in name else name
  return f"http://{name}:{listener.getsockname()[1]}/"
