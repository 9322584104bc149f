"""Workers wait for each other before TensorFlow does, and say for whom.

TensorFlow's own start of a cluster waits for an hour without a word. So the
chief listens on its port of the cluster until every worker has called, and
TensorFlow takes the same ports only then: no other port has to be open.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator

from music_embed.core import errors
from music_embed.training import cluster as cluster_lib

_GO = b"go\n"
_POLL_S = 0.5
_SAY_EVERY_S = 15.0
_PORT_PATIENCE_S = 30.0
_MAX_LINE = 1 << 16


def meet(
  cluster: cluster_lib.Cluster,
  *,
  patience_s: float = 600.0,
  say: Callable[[str], None] | None = None,
) -> None:
  """Returns when every worker of the cluster has come.

  Args:
    cluster: the job; the same hosts on every worker.
    patience_s: how long to wait.
    say: gets a line now and then on who is missing; None prints it.

  Raises:
    ConfigError: the workers were started with different lists of workers, or
      two as the same one.
    PeerError: a worker has not come in time, or this one's port is taken.
  """
  if len(cluster.hosts) == 1:
    return
  wait = _Wait(patience_s, say or _print)
  port = int(cluster.hosts[cluster.index].rpartition(":")[2])
  with _listening(port, wait) as server:
    if cluster.is_chief:
      _receive(cluster, server, wait)
      return
  _call(cluster, wait)


class _Wait:
  """A deadline, and a line on what is waited for every so often."""

  def __init__(self, patience_s: float, say: Callable[[str], None]) -> None:
    self._start = time.monotonic()
    self._said = self._start - _SAY_EVERY_S / 2
    self._patience_s = patience_s
    self._say = say

  @property
  def elapsed_s(self) -> float:
    return time.monotonic() - self._start

  def for_(self, what: str, hint: str) -> None:
    """Says it where it is time; raises where patience has run out."""
    now = time.monotonic()
    if now - self._start > self._patience_s:
      raise errors.PeerError(
        f"waited {self._patience_s:.0f} s in vain for {what}{hint}"
      )
    if now - self._said > _SAY_EVERY_S:
      self._said = now
      self._say(f"waiting for {what}{hint}")


@contextlib.contextmanager
def _listening(port: int, wait: _Wait) -> Iterator[socket.socket]:
  """A socket on this worker's port, which shows that it is free."""
  with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    while True:
      try:
        server.bind(("", port))
        server.listen(128)
        break
      except OSError as error:
        if wait.elapsed_s > _PORT_PATIENCE_S:
          raise errors.PeerError(
            f"port {port} of this host cannot be opened ({error.strerror}): "
            f"another job, or an earlier worker of this one, still holds it"
          ) from error
        wait.for_(f"port {port} of this host", f" ({error.strerror})")
        time.sleep(_POLL_S)
    server.settimeout(_POLL_S)
    yield server


def _receive(
  cluster: cluster_lib.Cluster, server: socket.socket, wait: _Wait
) -> None:
  """The chief's side: takes calls until all are there, then lets all go."""
  callers: dict[int, socket.socket] = {}
  with contextlib.ExitStack() as stack:
    while missing := _missing(cluster, callers):
      names = ", ".join(cluster.name(index) for index in missing)
      wait.for_(names, "")
      with contextlib.suppress(TimeoutError):
        caller, _ = server.accept()
        stack.enter_context(caller)
        index = _greeted(cluster, caller, callers)
        if index is not None:
          callers[index] = caller
    for caller in callers.values():
      with contextlib.suppress(OSError):
        caller.sendall(_GO)
    for caller in callers.values():
      with contextlib.suppress(OSError):
        caller.settimeout(2.0)
        caller.recv(1)  # They hang up first: our port stays usable.


def _missing(
  cluster: cluster_lib.Cluster, callers: dict[int, socket.socket]
) -> list[int]:
  """Workers that have not called, or have gone again."""
  _forget_gone(callers)
  return [i for i in range(1, len(cluster.hosts)) if i not in callers]


def _forget_gone(callers: dict[int, socket.socket]) -> None:
  """Drops those that have hung up."""
  for index, caller in list(callers.items()):
    caller.setblocking(False)
    try:
      gone = caller.recv(1) == b""
    except BlockingIOError:
      gone = False
    except OSError:
      gone = True
    if gone:
      del callers[index]


def _greeted(
  cluster: cluster_lib.Cluster,
  caller: socket.socket,
  callers: dict[int, socket.socket],
) -> int | None:
  """Who calls; None where it is none of ours."""
  try:
    caller.settimeout(5.0)
    greeting = json.loads(_line(caller))
    index, hosts = int(greeting["index"]), tuple(greeting["hosts"])
  except (OSError, ValueError, KeyError, TypeError):
    return None
  _forget_gone(callers)  # While this one was waited for.
  problem = ""
  if hosts != cluster.hosts:
    problem = (
      f"worker {index} was started for the workers {', '.join(hosts)}, the "
      f"chief for {', '.join(cluster.hosts)}"
    )
  elif index in callers or not 0 < index < len(hosts):
    problem = f"two processes were started as worker {index}"
  if problem:
    for other in (caller, *callers.values()):
      with contextlib.suppress(OSError):
        other.sendall(problem.encode() + b"\n")
    raise errors.ConfigError(problem)
  return index


def _call(cluster: cluster_lib.Cluster, wait: _Wait) -> None:
  """Another worker's side: calls the chief until it lets all go."""
  host, _, port = cluster.hosts[0].rpartition(":")
  greeting = {"index": cluster.index, "hosts": cluster.hosts}
  hint = ""
  while True:
    wait.for_(cluster.name(0), hint)
    try:
      with socket.create_connection((host, int(port)), timeout=5.0) as chief:
        chief.sendall(json.dumps(greeting).encode() + b"\n")
        answer = _answer(chief, wait)
    except OSError as error:
      hint = f" ({error.strerror or error})"
      time.sleep(_POLL_S)
      continue
    if answer == _GO:
      return
    if answer.endswith(b"\n") and answer[:1].isalpha():
      raise errors.ConfigError(answer.decode(errors="replace").strip())
    hint = (
      " (something else answers there: does an earlier job still run? All "
      "workers must be restarted together)"
    )
    time.sleep(_POLL_S)


def _answer(chief: socket.socket, wait: _Wait) -> bytes:
  """The chief's line, however long the others take."""
  chief.settimeout(_POLL_S)
  received = b""
  while not received.endswith(b"\n") and len(received) < _MAX_LINE:
    wait.for_("the other workers", "")
    try:
      more = chief.recv(4096)
    except TimeoutError:
      continue
    if not more:
      break
    received += more
  return received


def _line(connection: socket.socket) -> bytes:
  received = b""
  while not received.endswith(b"\n") and len(received) < _MAX_LINE:
    more = connection.recv(4096)
    if not more:
      break
    received += more
  return received


def _print(message: str) -> None:
  print(message, file=sys.stderr, flush=True)
