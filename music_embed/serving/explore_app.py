"""The map's server: one page, its questions, and the catalogue's audio."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib import parse

from starlette import (
  applications,
  exceptions,
  middleware,
  requests,
  responses,
  routing,
)
from starlette.concurrency import run_in_threadpool

from music_embed.core import errors
from music_embed.serving import (
  explore_guard,
  explore_query,
  explorer,
  page_files,
  uploads,
)

Request = requests.Request
Response = responses.Response

MOST_BYTES = 64 << 20
"""Of a file that is sent here."""

_MOST_UPLOADS = 4
_AUDIO_TYPES = {
  ".aif": "audio/aiff",
  ".aiff": "audio/aiff",
  ".flac": "audio/flac",
  ".m4a": "audio/mp4",
  ".mp3": "audio/mpeg",
  ".oga": "audio/ogg",
  ".ogg": "audio/ogg",
  ".opus": "audio/ogg",
  ".wav": "audio/wav",
}


def application(
  explored: explorer.Explorer,
  sounds: uploads.Sounds | None,
  *,
  folder: str,
  names: Iterable[str] = (),
) -> applications.Starlette:
  """The server's application.

  Args:
    explored: what is asked.
    sounds: what embeds files that are sent; None takes none.
    folder: private, for files that are being sent.
    names: of the server, besides addresses and "localhost".
  """
  server = _Server(explored, sounds, folder)
  get = routing.Route
  routes = [
    get("/", server.page),
    get("/assets/{name:path}", server.asset),
    get("/api/catalogue", server.catalogue),
    get("/api/points", server.points),
    get("/api/recordings", server.recordings),
    get("/api/search", server.search),
    get("/api/neighbors", server.neighbors),
    get("/api/path", server.path),
    get("/api/playlist", server.playlist),
    get("/audio/{row:int}", server.audio),
    routing.Route("/api/sound", server.sound, methods=["POST"]),
  ]
  return applications.Starlette(
    routes=routes,
    middleware=[middleware.Middleware(explore_guard.Guard, names=names)],
    exception_handlers={
      errors.MusicEmbedError: _failed,
      exceptions.HTTPException: _refused,
      requests.ClientDisconnect: _gone,
      500: _broken,
    },
  )


class _Server:
  """Routes; those that are not `async` run in threads."""

  def __init__(
    self,
    explored: explorer.Explorer,
    sounds: uploads.Sounds | None,
    folder: str,
  ) -> None:
    self._explored = explored
    self._sounds = sounds
    self._folder = folder
    self._uploads = threading.BoundedSemaphore(_MOST_UPLOADS)

  def page(self, request: Request) -> Response:
    return responses.HTMLResponse(
      page_files.index_html(), headers={"cache-control": "no-cache"}
    )

  def asset(self, request: Request) -> Response:
    path = page_files.assets().get(request.path_params["name"])
    if path is None:
      raise exceptions.HTTPException(404, "there is no such file")
    return responses.FileResponse(
      path,
      media_type=page_files.media_type(path),
      headers={"cache-control": "no-cache"},
    )

  def catalogue(self, request: Request) -> Response:
    takes_sounds = self._sounds is not None and self._sounds.available
    return _json(self._explored.catalogue(takes_sounds=takes_sounds))

  def points(self, request: Request) -> Response:
    content = self._explored.points()
    return Response(content, media_type="application/octet-stream")

  def recordings(self, request: Request) -> Response:
    rows = explore_query.rows(request, explorer.MOST_ASKED)
    return _json(self._explored.recordings(rows))

  def search(self, request: Request) -> Response:
    query = request.query_params.get("q", "").strip()
    if not query:
      raise exceptions.HTTPException(400, "q: nothing to look up")
    return _json(
      self._explored.search(
        query,
        k=explore_query.number(request, "k", 50, 1, explorer.MOST_HITS),
        other_artists=explore_query.switch(request, "other_artists"),
      )
    )

  def neighbors(self, request: Request) -> Response:
    return _json(
      self._explored.neighbors(
        explore_query.number(request, "row"),
        k=explore_query.number(request, "k", 20, 1, explorer.MOST_HITS),
        other_artists=explore_query.switch(request, "other_artists"),
      )
    )

  def path(self, request: Request) -> Response:
    rows = self._explored.path(
      explore_query.number(request, "from"),
      explore_query.number(request, "to"),
      length=explore_query.number(request, "length", 12, 2, 100),
    )
    return _json({"rows": rows})

  def playlist(self, request: Request) -> Response:
    rows = explore_query.rows(request, explorer.MOST_OF_A_PLAYLIST)
    return Response(
      self._explored.playlist(rows),
      media_type="audio/x-mpegurl; charset=utf-8",
      headers={"content-disposition": 'attachment; filename="playlist.m3u"'},
    )

  def audio(self, request: Request) -> Response:
    path = self._explored.audio_file(request.path_params["row"])
    if path is None:
      raise exceptions.HTTPException(404, "the file of this recording is gone")
    return responses.FileResponse(path, media_type=audio_type(path))

  async def sound(self, request: Request) -> Response:
    if self._sounds is None:
      raise uploads.SoundsOffError(
        "sounds need the exported model that made the index: name it with"
        " --model"
      )
    # A header of our own: no form of another site's page can send it.
    name = request.headers.get("x-filename")
    if name is None:
      raise exceptions.HTTPException(400, "X-Filename: must name the file")
    k = explore_query.number(request, "k", 50, 1, explorer.MOST_HITS)
    name = uploads.shown_name(parse.unquote(name))
    async with self._received(request, uploads.suffix(name)) as path:
      vector = await run_in_threadpool(self._sounds.embed, path, name)
    found = await run_in_threadpool(
      self._explored.near_vector, vector, name=name, k=k
    )
    return _json(found)

  @contextlib.asynccontextmanager
  async def _received(
    self, request: Request, suffix: str
  ) -> AsyncIterator[str]:
    """The body as a file that is there as long as it is needed."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > MOST_BYTES:
      raise _too_large()
    if not self._uploads.acquire(blocking=False):
      raise exceptions.HTTPException(503, "busy with other files: try again")
    try:
      with tempfile.NamedTemporaryFile(dir=self._folder, suffix=suffix) as file:
        async for block in request.stream():
          if file.tell() + len(block) > MOST_BYTES:
            raise _too_large()
          file.write(block)
        if not file.tell():
          raise exceptions.HTTPException(400, "the file is empty")
        file.flush()
        yield file.name
    finally:
      self._uploads.release()


def audio_type(path: str) -> str:
  """What a browser is told that an audio file is."""
  ending = os.path.splitext(path)[1].lower()
  guessed = _AUDIO_TYPES.get(ending) or mimetypes.guess_type(path)[0] or ""
  # Nothing of a catalogue may be taken for a page.
  is_media = guessed.startswith(("audio/", "video/"))
  return guessed if is_media else "application/octet-stream"


def _too_large() -> exceptions.HTTPException:
  return exceptions.HTTPException(
    413, f"the file is larger than {MOST_BYTES >> 20} MiB"
  )


def _json(value: Any) -> Response:
  return responses.JSONResponse(value, headers={"cache-control": "no-store"})


def _error(status: int, text: str) -> Response:
  line = " ".join(text.split())
  return responses.JSONResponse({"error": line}, status)


def _failed(request: Request, error: Exception) -> Response:
  statuses: list[tuple[type[Exception], int]] = [
    (explorer.NoSuchRecordingError, 404),
    (uploads.SoundsOffError, 503),
    (errors.ConfigError, 400),
    (errors.AudioError, 400),
  ]
  found = (code for kind, code in statuses if isinstance(error, kind))
  return _error(next(found, 500), str(error))


def _refused(request: Request, error: Exception) -> Response:
  assert isinstance(error, exceptions.HTTPException)
  answer = _error(error.status_code, error.detail)
  answer.headers.update(error.headers or {})
  return answer


def _gone(request: Request, error: Exception) -> Response:
  return _error(400, "the file did not come whole")  # Nobody listens any more.


def _broken(request: Request, error: Exception) -> Response:
  return _error(500, "the server failed at this; its own message says how")
