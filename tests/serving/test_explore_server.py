"""launch/explore.py as a process: real requests, ports, signals."""

import contextlib
import dataclasses
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import tiny_catalogues
import tiny_indexes

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Server:
  """A process that serves.

  Attributes:
    process: of it.
    port: that it said.
    said: up to its address.
    temporary: where it may put files.
  """

  process: subprocess.Popen[str]
  port: int
  said: str
  temporary: pathlib.Path

  def ask(self, target: str, method: str = "GET", **options):
    """The answer to a request line as it stands, and its body."""
    with contextlib.closing(self.connect()) as connection:
      connection.putrequest(method, target, skip_accept_encoding=True)
      for name, value in options.get("headers", {}).items():
        connection.putheader(name, value)
      connection.endheaders(options.get("body"))
      answer = connection.getresponse()
      return answer, answer.read()

  def connect(self) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

  def uploads(self) -> list[pathlib.Path]:
    return [path for path in self.temporary.rglob("*") if path.is_file()]


def _started(temporary: pathlib.Path, *arguments: str) -> Server:
  temporary.mkdir(exist_ok=True)
  process = subprocess.Popen(
    [sys.executable, "launch/explore.py", "--layout=pca", *arguments],
    cwd=_ROOT,
    env={
      **os.environ,
      "PYTHONPATH": str(_ROOT),
      "TMPDIR": str(temporary),
      "CUDA_VISIBLE_DEVICES": "-1",
    },
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )
  said = ""
  assert process.stdout is not None
  for line in process.stdout:
    said += line
    found = re.search(r"http://[^/ ]+:(\d+)/", line)
    if found:
      return Server(process, int(found[1]), said, temporary)
  raise AssertionError(f"{said}{process.communicate()[1]}")


def _end(server: Server, number: signal.Signals) -> tuple[int, str, float]:
  """Exit status, what was complained of, and seconds."""
  begun = time.monotonic()
  server.process.send_signal(number)
  _, complaints = server.process.communicate(timeout=60)
  return server.process.returncode, complaints, time.monotonic() - begun


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> tiny_catalogues.Catalogue:
  return tiny_catalogues.make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def server(catalogue, tmp_path_factory) -> Iterator[Server]:
  folder = catalogue.index.folder
  started = _started(
    tmp_path_factory.mktemp("tmp"), f"--index={folder}", "--port=0"
  )
  yield started
  code, complaints, seconds = _end(started, signal.SIGTERM)
  assert (code, complaints) == (0, "")
  assert seconds < 10
  assert list(started.temporary.iterdir()) == []


def test_it_says_what_it_shows_and_where(server):
  assert "12 recordings" in server.said
  assert f"http://127.0.0.1:{server.port}/" in server.said
  answer, body = server.ask("/")
  assert answer.status == 200
  assert body.startswith(b"<!doctype html>")
  assert answer.getheader("server") is None


def test_parts_of_a_recording_come_over_the_wire(server, catalogue):
  content = catalogue.audio[0].read_bytes()
  middle = {"Range": "bytes=1000-1999"}
  answer, body = server.ask("/audio/0", headers=middle)
  assert answer.status == 206
  assert answer.getheader("content-range") == f"bytes 1000-1999/{len(content)}"
  assert body == content[1000:2000]
  answer, body = server.ask("/audio/0", "HEAD")
  assert int(answer.getheader("content-length")) == len(content)
  assert body == b""


@pytest.mark.parametrize(
  "target",
  [
    "/assets/../explore.py",
    "/assets/%2e%2e/explore.py",
    "/assets/..%2f..%2f..%2fsetup.py",
    "/assets//etc/passwd",
    "/assets/%2fetc%2fpasswd",
    "/assets/vendor/../../explore.py",
    "/assets/..\\explore.py",
    "/assets/index.html",
    "/assets/",
    "/assets/vendor",
    "/assets/vendor/",
    "/audio/../../etc/passwd",
    "/audio/0/../../../etc/passwd",
    "/audio/%2fetc%2fpasswd",
    "/audio/0%00",
    "/audio/",
    "/api/",
    "/../../../../../../etc/passwd",
    "//etc/passwd",
  ],
)
def test_nothing_but_the_page_and_the_catalogue_can_be_read(server, target):
  answer, body = server.ask(target)
  assert answer.status == 404
  assert set(body) <= set(b'{"error":"Not Found there is no such file"}')


def test_another_name_of_this_machine_is_refused(server):
  with contextlib.closing(server.connect()) as connection:
    for host, status in (("evil.example", 400), ("localhost", 200)):
      connection.putrequest("GET", "/api/catalogue", skip_host=True)
      connection.putheader("Host", f"{host}:{server.port}")
      connection.endheaders()
      answer = connection.getresponse()
      answer.read()
      assert answer.status == status


def test_a_sound_is_sent_and_found(server, catalogue):
  content = catalogue.audio[8].read_bytes()
  headers = {"X-Filename": "a.wav", "Content-Length": str(len(content))}
  sent = {"headers": headers, "body": content}
  answer, body = server.ask("/api/sound?k=1", "POST", **sent)
  assert answer.status == 200, body
  assert b'"score":' in body
  assert server.uploads() == []


def test_who_breaks_off_leaves_nothing_behind(server):
  with contextlib.closing(server.connect()) as connection:
    connection.putrequest("POST", "/api/sound")
    connection.putheader("X-Filename", "a.wav")
    connection.putheader("Content-Length", str(1 << 20))
    connection.endheaders(bytes(1 << 19))
    deadline = time.monotonic() + 20
    while not server.uploads() and time.monotonic() < deadline:
      time.sleep(0.05)
    (upload,) = server.uploads()
    assert upload.parent.stat().st_mode & 0o077 == 0
  deadline = time.monotonic() + 20
  while server.uploads() and time.monotonic() < deadline:
    time.sleep(0.05)
  assert server.uploads() == []
  assert server.ask("/api/catalogue")[0].status == 200


def test_a_port_that_is_taken_gives_way_to_the_next(tmp_path):
  tiny_indexes.make(tmp_path / "index")
  with contextlib.ExitStack() as stack:
    while True:  # Of two adjacent free ports one is taken.
      taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
      port = taken.getsockname()[1]
      with contextlib.suppress(OSError, OverflowError):
        socket.create_server(("127.0.0.1", port + 1)).close()
        break
    second = _started(
      tmp_path / "tmp", f"--index={tmp_path / 'index'}", f"--port={port}"
    )
    assert second.port > port
    assert "sounds cannot be dropped on the map: /models/tiny" in second.said
    assert second.ask("/")[0].status == 200
    code, complaints, _ = _end(second, signal.SIGINT)
    assert (code, complaints) == (0, "")


def test_it_ends_at_once_though_the_model_loads_and_somebody_listens(
  catalogue, tmp_path
):
  started = _started(
    tmp_path / "tmp", f"--index={catalogue.index.folder}", "--port=0"
  )
  with contextlib.closing(started.connect()) as connection:
    connection.request("GET", "/audio/0")
    connection.getresponse()  # Its body stays where it is.
    code, complaints, seconds = _end(started, signal.SIGINT)
  assert (code, complaints) == (0, "")
  assert seconds < 10
  assert list(started.temporary.iterdir()) == []


def test_others_are_let_in_only_with_a_warning(tmp_path):
  tiny_indexes.make(tmp_path / "index")
  started = _started(
    tmp_path / "tmp",
    f"--index={tmp_path / 'index'}",
    "--host=0.0.0.0",
    "--port=0",
  )
  assert "there is no password" in started.said
  headers = {"Host": "evil.example"}
  with contextlib.closing(started.connect()) as connection:
    connection.putrequest("GET", "/", skip_host=True)
    for name, value in headers.items():
      connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 400
  assert _end(started, signal.SIGTERM)[0] == 0
