"""What every launcher shares: gin flags, exit codes, one-line errors."""

from __future__ import annotations

import logging as python_logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

# Before TensorFlow is imported: tf-models-official stands on Keras 2, and a
# machine without an NVIDIA driver need not hear so at every start.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
if not os.path.exists("/dev/nvidiactl"):
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

from absl import app, flags, logging  # noqa: E402

from music_embed.core import errors  # noqa: E402

EXIT_CONFIG = 2
EXIT_DATA = 1
EXIT_INTERRUPTED = 130


def define_gin_flags() -> None:
  """Defines --gin_file and --gin_param, both repeatable."""
  flags.DEFINE_multi_string(
    "gin_file", [], "Gin file, relative to here or to the checkout; repeatable."
  )
  flags.DEFINE_multi_string(
    "gin_param", [], "Gin binding that overrides the files; repeatable."
  )


def define_worker_flags() -> None:
  """Defines --worker_hosts and --worker_index."""
  flags.DEFINE_list(
    "worker_hosts", [], "host:port of every worker; the first is the chief."
  )
  flags.DEFINE_integer(
    "worker_index", None, "Which of --worker_hosts this process is, from 0."
  )


def take_worker_flags() -> None:
  """Puts the workers' flags where strategies look: into TF_CONFIG.

  Raises:
    ConfigError: they don't fit each other.
  """
  from music_embed.training import cluster

  hosts, index = flags.FLAGS.worker_hosts, flags.FLAGS.worker_index
  if hosts or index is not None:
    os.environ["TF_CONFIG"] = cluster.from_flags(hosts, index).tf_config


def run(main: Callable[[], None]) -> None:
  """Parses flags and runs `main`, turning our errors into exit codes.

  Exit codes: 0 done; 1 bad data or a failure; 2 wrong flag or configuration;
  130 interrupted.
  """

  def without_arguments(arguments: Sequence[str]) -> None:
    if arguments:
      raise errors.ConfigError(f"unexpected argument {arguments[0]!r}")
    main()

  run_with_arguments(without_arguments)


def run_with_arguments(main: Callable[[Sequence[str]], None]) -> None:
  """As `run`, for a `main` that takes what is no flag."""

  def guarded(argv: Sequence[str]) -> None:
    try:
      main(argv[1:])
    except errors.ConfigError as error:
      _fail(str(error), EXIT_CONFIG)
    except errors.MusicEmbedError as error:
      _fail(str(error), EXIT_DATA)
    except OSError as error:
      _fail(_told(error), EXIT_DATA)
    except KeyboardInterrupt as interrupt:
      told = str(interrupt) or "interrupted; run the same command to go on"
      _fail(told, EXIT_INTERRUPTED)

  signal.signal(signal.SIGTERM, _terminate)
  logging.set_verbosity(logging.WARNING)
  # A checkpoint that doesn't fit is our one line, not TensorFlow's fifty.
  python_logging.getLogger("tensorflow").setLevel(python_logging.ERROR)
  app.run(guarded, flags_parser=_parse_flags)


def _parse_flags(argv: Sequence[str]) -> list[str]:
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    _fail(" ".join(str(error).split()), EXIT_CONFIG)
    raise


def _told(error: OSError) -> str:
  if error.strerror is None:
    return " ".join(str(error).split()) or type(error).__name__
  names = [str(n) for n in (error.filename, error.filename2) if n is not None]
  return ": ".join([*names, error.strerror])


def _terminate(signum: int, frame: Any) -> None:
  del signum, frame
  raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
  name = os.path.basename(sys.argv[0])
  print(f"{name}: error: {message}", file=sys.stderr, flush=True)
  if os.environ.get("TF_CONFIG"):
    sys.stdout.flush()
    os._exit(code)  # One of several workers: TensorFlow would wait for others.
  sys.exit(code)
