"""Runs Python commands in forks of one process that has imported TensorFlow.

A command of the pages is a process of its own, and each would spend six
seconds of CPU on imports. In the tests' copy of the checkout `.venv/bin/python`
is a small client: it hands arguments, environment, folder and standard streams
to this server, which forks before TensorFlow has started anything, and runs
there what Python would run.

  docs_server.py SOCKET
"""

from __future__ import annotations

import array
import atexit
import contextlib
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from typing import Any

CLIENT = """\
import array, json, os, socket, sys

connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
connection.connect({socket!r})
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
streams = array.array("i", [0, 1, 2])
connection.sendmsg(
  [len(request).to_bytes(4, "big")],
  [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)],
)
connection.sendall(request)
answer = connection.recv(4)
sys.exit(int.from_bytes(answer, "big") if len(answer) == 4 else 70)
"""
"""What the copy's `.venv/bin/python` runs, with the path of the socket."""


def _received(connection: socket.socket, size: int) -> bytes:
  received = b""
  while len(received) < size:
    part = connection.recv(size - len(received))
    if not part:
      raise EOFError("the client is gone")
    received += part
  return received


def _run(arguments: list[str]) -> None:
  """Does what `python ARGUMENTS` does."""
  if arguments[0] == "-m":
    sys.argv = arguments[1:]
    runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
  elif arguments[0] in ("-", "-c"):
    is_given = arguments[0] == "-c"
    sys.argv = ["-", *arguments[1 + is_given :]]
    text = arguments[1] if is_given else sys.stdin.read()
    exec(compile(text, "<script>", "exec"), {"__name__": "__main__"})
  else:
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    runpy.run_path(arguments[0], run_name="__main__")


def _code(arguments: list[str]) -> int:
  """Runs it; its exit code."""
  try:
    _run(arguments)
  except SystemExit as left:
    if left.code is None or isinstance(left.code, int):
      return left.code or 0
    print(left.code, file=sys.stderr)
    return 1
  except BaseException:
    traceback.print_exc()
    return 1
  return 0


def _serve(connection: socket.socket) -> None:
  """One request, in a fork, to its end."""
  streams = array.array("i")
  message, passed, _, _ = connection.recvmsg(4, socket.CMSG_LEN(3 * 4))
  for _, _, data in passed:
    streams.frombytes(data)
  size = int.from_bytes(message, "big")
  arguments, folder, environment = json.loads(_received(connection, size))
  for number, stream in enumerate(streams):
    os.dup2(stream, number)
  os.chdir(folder)
  os.environ.clear()
  os.environ.update(environment)
  child = os.fork()  # It may leave as it likes, by `os._exit` or a signal.
  if child == 0:
    connection.close()
    code = _code(arguments)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
  status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
  code = status if status >= 0 else 128 - status
  connection.sendall(code.to_bytes(4, "big"))


def _reap(signum: int, frame: Any) -> None:
  """Takes leave of forks, so that their time counts as this process's."""
  del signum, frame
  with contextlib.suppress(ChildProcessError):
    while os.waitpid(-1, os.WNOHANG)[0]:
      pass


def main(path: str) -> None:
  """Imports what is slow, then serves until it is ended."""
  from music_embed.runs import (  # noqa: F401
    benchmark,
    cli,
    config,
    curriculum,
    evaluate,
    export,
    factorize,
    neighbors,
    runtime,
    senses,
    train,
  )

  signal.signal(signal.SIGCHLD, _reap)
  server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
  server.bind(path)
  server.listen()
  while True:
    connection, _ = server.accept()
    if os.fork() == 0:
      server.close()
      signal.signal(signal.SIGCHLD, signal.SIG_DFL)
      try:
        _serve(connection)
      finally:
        os._exit(0)
    connection.close()


if __name__ == "__main__":
  main(sys.argv[1])
