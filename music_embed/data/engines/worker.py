"""A process of the local engine: `python -m music_embed.data.engines.worker`.

It ends when its parent does, however that died, since the connection then
closes; and it does not import the parent's main module again, so that a
script needs no guard around its calls.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import threading
from multiprocessing import connection

from music_embed.data.engines import base


def main(descriptor: int) -> None:
  """Serves tasks until the connection closes.

  Args:
    descriptor: file descriptor of the connection to the parent, which alone
      can write to it: what comes are pickles.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's.
  threading.Thread(target=_follow, args=(descriptor,), daemon=True).start()
  with connection.Connection(descriptor) as parent:
    parent.send_bytes(base.READY)
    while True:
      try:
        message = parent.recv_bytes()
      except EOFError:
        return
      function, task = pickle.loads(message)
      outcome = base.attempt(function, task)
      parent.send_bytes(pickle.dumps(outcome))


def _follow(descriptor: int) -> None:
  """Ends this process with its parent, in the middle of a task too."""
  hung_up = select.poll()
  hung_up.register(descriptor, 0)
  hung_up.poll()
  os._exit(1)


if __name__ == "__main__":
  try:
    main(int(sys.argv[1]))
  except (BrokenPipeError, ConnectionResetError):
    os._exit(1)  # The parent is gone.
