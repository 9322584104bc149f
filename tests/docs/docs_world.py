"""A copy of the checkout with tiny data at the names that the pages use."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import docs_pages
import docs_server

_COPIED = ("music_embed", "gin", "launch", "tools", "README.md", "setup.py")
_LINKED = ("tests", "pyproject.toml", ".ci")
_PYTHON = """\
#!/bin/sh
exec {python} -S -E {client} "$@"
"""
_TENSORBOARD = """\
#!/bin/sh
exec {python} -S -E {client} -m tensorboard.main "$@"
"""
START_S = 300.0


@dataclasses.dataclass
class World:
  """Where the pages' commands run.

  Attributes:
    folder: the copy of the checkout, the current folder of all commands.
    server: process that runs Python commands.
    log: its file of what it says itself.
    done: commands that have been run.
  """

  folder: pathlib.Path
  server: subprocess.Popen[bytes]
  log: pathlib.Path
  done: set[str] = dataclasses.field(default_factory=set)

  def run(
    self, text: str, timeout_s: float = 300.0
  ) -> subprocess.CompletedProcess[str]:
    """Gives bash a command, as a user would in the checkout."""
    return subprocess.run(
      ["bash", "-c", text],
      cwd=self.folder,
      env=environment(self.folder),
      stdin=subprocess.DEVNULL,
      capture_output=True,
      text=True,
      timeout=timeout_s,
    )

  def serve(self, text: str) -> contextlib.AbstractContextManager[Served]:
    """Runs a command that goes on until it is interrupted."""
    return _served(self.folder, text)

  def cpu_s(self) -> float:
    """CPU seconds of all commands until now."""
    times = os.times()
    fields = pathlib.Path(f"/proc/{self.server.pid}/stat").read_text()
    ticks = [int(field) for field in fields.rpartition(")")[2].split()[11:15]]
    own = sum(ticks) / os.sysconf("SC_CLK_TCK")
    return own + times.children_user + times.children_system

  def end(self) -> None:
    """Ends the server, and with it what it has forked."""
    os.killpg(self.server.pid, signal.SIGTERM)
    self.server.wait()


@dataclasses.dataclass
class Served:
  """What serves a page.

  Attributes:
    url: of its page.
    code: its exit code, once it has been interrupted.
  """

  url: str
  code: int | None = None


@contextlib.contextmanager
def _served(folder: pathlib.Path, text: str) -> Iterator[Served]:
  """Starts it as a process of its own and interrupts it afterwards."""
  process = subprocess.Popen(
    ["bash", "-c", f"exec {text}".replace(".venv/bin/python", sys.executable)],
    cwd=folder,
    env=environment(folder) | {"PYTHONUNBUFFERED": "1"},
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  try:
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
      told += line
      if found := re.search(r"http://\S+", line):
        served = Served(found[0])
        yield served
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        served.code = process.returncode
        return
    raise AssertionError(f"{text}\n{told}")
  finally:
    if process.poll() is None:
      process.kill()
      process.wait()


def environment(folder: pathlib.Path) -> dict[str, str]:
  """Variables of every command: the copy's package, one thread, no GPU."""
  return os.environ | {
    "PYTHONPATH": str(folder),
    "PYTHONDONTWRITEBYTECODE": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    "XDG_CACHE_HOME": str(folder / ".cache"),
  }


def _copied(folder: pathlib.Path) -> None:
  ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
  for name in _COPIED:
    source = docs_pages.ROOT / name
    if source.is_dir():
      shutil.copytree(source, folder / name, ignore=ignore)
    else:
      shutil.copy(source, folder / name)
  for name in _LINKED:
    (folder / name).symlink_to(docs_pages.ROOT / name)


def _write_script(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  path.chmod(0o755)


def start(folder: pathlib.Path, socket: pathlib.Path) -> World:
  """Copies the checkout to `folder` and starts what runs its commands.

  Args:
    folder: empty folder of the copy.
    socket: path of the server's socket, of at most a hundred characters.

  Returns:
    The world; `end` it.

  Raises:
    RuntimeError: the server did not start.
  """
  _copied(folder)
  binaries = folder / ".venv" / "bin"
  client = binaries / "client.py"
  names = {"python": sys.executable, "client": client}
  _write_script(client, docs_server.CLIENT.format(socket=str(socket)))
  _write_script(binaries / "python", _PYTHON.format(**names))
  _write_script(binaries / "tensorboard", _TENSORBOARD.format(**names))
  log = folder / ".server.log"
  with log.open("wb") as opened:
    server = subprocess.Popen(
      [sys.executable, docs_server.__file__, str(socket)],
      cwd=folder,
      env=environment(folder),
      stdin=subprocess.DEVNULL,
      stdout=opened,
      stderr=opened,
      start_new_session=True,
    )
  world = World(folder, server, log)
  deadline = time.monotonic() + START_S
  while not socket.exists():
    if server.poll() is not None or time.monotonic() > deadline:
      if server.poll() is None:
        world.end()
      raise RuntimeError(f"no server: {log.read_text()}")
    time.sleep(0.05)
  return world
