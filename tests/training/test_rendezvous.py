import contextlib
import json
import socket
import threading

import pytest

from music_embed.core import errors
from music_embed.training import cluster, rendezvous


@contextlib.contextmanager
def _held_port():
  with socket.socket() as held:
    held.bind(("127.0.0.1", 0))
    held.listen()
    yield held.getsockname()[1]


def _hosts(count):
  with contextlib.ExitStack() as stack:
    ports = [stack.enter_context(_held_port()) for _ in range(count)]
  return tuple(f"127.0.0.1:{port}" for port in ports)


class _Worker(threading.Thread):
  """A worker that waits for the others in a thread."""

  def __init__(self, hosts, index, patience_s=20.0):
    super().__init__(daemon=True)
    self._arguments = cluster.Cluster(hosts, index), patience_s
    self.lines, self.error = [], None
    self.start()

  def run(self):
    own, patience_s = self._arguments
    try:
      rendezvous.meet(own, patience_s=patience_s, say=self.lines.append)
    except errors.MusicEmbedError as error:
      self.error = error

  def end(self):
    self.join(30.0)
    assert not self.is_alive()
    return self.error


def test_workers_go_on_when_all_have_come():
  hosts = _hosts(3)
  workers = [_Worker(hosts, index) for index in (2, 0, 1)]
  assert [worker.end() for worker in workers] == [None] * 3


def test_ports_are_free_again_for_tensorflow():
  hosts = _hosts(2)
  assert [w.end() for w in [_Worker(hosts, 0), _Worker(hosts, 1)]] == [None] * 2
  for host in hosts:
    with socket.socket() as server:
      server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      server.bind(("", int(host.rpartition(":")[2])))
      server.listen()


def test_a_lone_worker_waits_for_nobody():
  rendezvous.meet(cluster.Cluster(_hosts(1), 0), patience_s=0.0)


@pytest.mark.parametrize("index", [0, 1])
def test_who_has_not_come_is_named(index):
  hosts = _hosts(2)
  with pytest.raises(errors.PeerError) as caught:
    rendezvous.meet(cluster.Cluster(hosts, index), patience_s=1.0)
  other = 1 - index
  expected = f"waited 1 s in vain for worker {other} ({hosts[other]})"
  assert expected in str(caught.value)


def test_workers_started_for_other_workers_are_named_on_both_sides():
  hosts = _hosts(3)
  chief = _Worker(hosts[:2], 0)
  other = _Worker((hosts[0], hosts[2]), 1)
  for error in (chief.end(), other.end()):
    assert isinstance(error, errors.ConfigError)
    assert hosts[1] in str(error)
    assert hosts[2] in str(error)


def test_two_processes_that_are_the_same_worker_are_named():
  hosts = _hosts(3)
  # A caller of our own as the first worker 1: it needs no port of its own.
  chief = _Worker(hosts, 0)
  greeting = json.dumps({"index": 1, "hosts": hosts}) + "\n"
  address = "127.0.0.1", int(hosts[0].rpartition(":")[2])
  with contextlib.ExitStack() as stack:
    for _ in range(2):
      while True:
        try:
          caller = socket.create_connection(address)
          break
        except ConnectionRefusedError:
          pass
      stack.enter_context(caller).sendall(greeting.encode())
    error = chief.end()
  assert isinstance(error, errors.ConfigError)
  assert "two processes were started as worker 1" in str(error)


def test_a_worker_that_dies_while_it_waits_is_waited_for_again():
  hosts = _hosts(3)
  chief = _Worker(hosts, 0)
  first = _Worker(hosts, 1, patience_s=1.0)  # Gives up, and hangs up.
  assert isinstance(first.end(), errors.PeerError)
  rest = [_Worker(hosts, 2), _Worker(hosts, 1)]
  assert [worker.end() for worker in [chief, *rest]] == [None] * 3


def test_something_else_on_the_chiefs_port_is_said():
  with _held_port() as port:
    hosts = (f"127.0.0.1:{port}", *_hosts(1))
    with pytest.raises(errors.PeerError, match="in vain for"):
      rendezvous.meet(cluster.Cluster(hosts, 1), patience_s=1.0)


def test_a_port_that_is_taken_is_named(monkeypatch):
  monkeypatch.setattr(rendezvous, "_PORT_PATIENCE_S", 0.0)
  with _held_port() as port:
    hosts = (f"127.0.0.1:{port}", *_hosts(1))
    with pytest.raises(errors.PeerError, match=f"port {port} of this host"):
      rendezvous.meet(cluster.Cluster(hosts, 0), patience_s=5.0)
