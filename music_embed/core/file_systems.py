"""File systems that TensorFlow gets from tensorflow-io: s3, az, hdfs, http."""

from __future__ import annotations

import contextlib
import warnings

from music_embed.core import errors


def require(path: str) -> None:
  """Makes TensorFlow know the file system of a path.

  TensorFlow itself has `gs://` and `ram://`. For others tensorflow-io is
  imported, which registers them, if its native code fits the TensorFlow
  installed.

  Args:
    path: local, or with a scheme such as `s3://`.

  Raises:
    ConfigError: there is no such file system here; says what to install.
  """
  scheme, separator, _ = path.partition("://")
  if not separator:
    return
  import tensorflow as tf  # Slow to import, and not needed for local files.

  if scheme in tf.io.gfile.get_registered_schemes():
    return
  with warnings.catch_warnings(), contextlib.suppress(ImportError):
    # Of native code that doesn't load it only warns, in six lines.
    warnings.simplefilter("ignore")
    import tensorflow_io  # noqa: F401
  known = tf.io.gfile.get_registered_schemes()
  if scheme not in known:
    schemes = ", ".join(sorted(f"{name}://" for name in known if name))
    raise errors.ConfigError(
      f"{path}: TensorFlow {tf.__version__} knows no {scheme}://, only local"
      f" paths and {schemes}; tensorflow-io's file systems load on TensorFlow"
      " 2.16 (requirements-tf216.lock)"
    )
