"""What stands before every request of the map's server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib import parse

from starlette import datastructures, responses, types

# regl compiles its drawing functions at run time, hence unsafe-eval; nothing
# can be loaded from anywhere but here, and no inline script runs.
_HEADERS = {
  "content-security-policy": (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self';"
    " img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self';"
    " worker-src 'self' blob:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
  ),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
}


class Guard:
  """Refuses requests under foreign names; adds headers to every answer.

  A page elsewhere can have its own name resolve to this machine and would then
  be of the same origin as this server (DNS rebinding): so the name under which
  a request comes must be an address, "localhost", or one of those given.
  """

  def __init__(self, app: types.ASGIApp, names: Iterable[str] = ()) -> None:
    """Wraps an application.

    Args:
      app: that answers what passes.
      names: of this server, besides addresses and "localhost".
    """
    self._app = app
    self._names = {"localhost", *(name.lower() for name in names)}

  async def __call__(  # noqa: D102
    self, scope: types.Scope, receive: types.Receive, send: types.Send
  ) -> None:
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return

    async def with_headers(message: types.Message) -> None:
      if message["type"] == "http.response.start":
        headers = datastructures.MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
          headers.setdefault(name, value)
      await send(message)

    refusal = self._refusal(datastructures.Headers(scope=scope))
    if refusal:
      answer = responses.JSONResponse({"error": refusal}, 400)
      await answer(scope, receive, with_headers)
      return
    await self._app(scope, receive, with_headers)

  def _refusal(self, headers: datastructures.Headers) -> str:
    """Why a request is not for this server; empty where it is."""
    host = headers.get("host", "")
    if not self._is_own(_name(f"//{host}")):
      return "this server is not known by the name that it was asked under"
    origin = headers.get("origin")
    if origin is not None and parse.urlsplit(origin).netloc != host:
      return "another site's page may not ask this server"
    return ""

  def _is_own(self, name: str) -> bool:
    try:
      ipaddress.ip_address(name)
    except ValueError:
      return name in self._names
    return True


def own_names(host: str) -> list[str]:
  """Names under which a server that listens on a host may be asked."""
  if is_loopback(host):
    return [host]
  return [host, socket.gethostname(), socket.getfqdn()]


def is_loopback(host: str) -> bool:
  """Whether only this machine can reach a host."""
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return host.lower() == "localhost"


def _name(url: str) -> str:
  try:
    return (parse.urlsplit(url).hostname or "").lower()
  except ValueError:
    return ""
