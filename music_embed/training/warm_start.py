"""Starting a stage from named parts of an earlier run."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tf_keras

from music_embed.core import errors, files
from music_embed.training import checkpoints

LAST = "last"
BEST = "best"
FOLDERS = {LAST: "checkpoints", BEST: "best"}
"""Where a run's directory keeps either kind of checkpoint."""


@dataclasses.dataclass(frozen=True)
class WarmStart:
  """Which parts of which run a new stage keeps.

  Optimiser slots are never taken over: the label stage of Huang et al. 2020
  trains the network on with fresh ones.

  Attributes:
    workdir: directory of the earlier run.
    parts: names among "backbone", "projection", "label_head".
    checkpoint: "last" or "best" (by that run's validation).
    other_dataset: whether the earlier run may be one on another dataset; its
      training may then have seen what this one holds out.
  """

  workdir: str
  parts: Sequence[str] = ("backbone", "projection")
  checkpoint: str = LAST
  other_dataset: bool = False

  def path(self) -> str:
    """The checkpoint's prefix.

    Raises:
      ConfigError: the run has no such checkpoint.
    """
    return checkpoint_path(self.workdir, self.checkpoint)


def latest(workdir: str, which: str) -> str | None:
  """Prefix of a run's last or best complete checkpoint; None without one.

  Raises:
    DataError: there are only damaged ones.
  """
  return checkpoints.newest(files.join(workdir, FOLDERS[which]))


def checkpoint_path(workdir: str, which: str) -> str:
  """Prefix of a run's last or best checkpoint.

  Raises:
    ConfigError: there is none, or `which` is neither "last" nor "best".
  """
  if which not in FOLDERS:
    raise errors.ConfigError(f"checkpoint must be 'last' or 'best': {which!r}")
  path = checkpoints.newest(files.join(workdir, FOLDERS[which]), _warn)
  if path is None:
    raise errors.ConfigError(
      f"{files.join(workdir, FOLDERS[which])}: no checkpoint; train that stage "
      f"first, or correct the directory"
    )
  if checkpoints.step_of(path) == 0:
    raise errors.ConfigError(
      f"{workdir}: only the initial weights are there; train it first"
    )
  return path


def load_parts(parts: Mapping[str, tf_keras.layers.Layer], path: str) -> None:
  """Restores the weights of the given parts from a training checkpoint.

  Args:
    parts: built layers by part name.
    path: checkpoint prefix of a run that holds `parts/<name>`.

  Raises:
    ConfigError: the checkpoint lacks a part, or holds it in another shape.
    DataError: the checkpoint is damaged.
  """
  for name, layer in parts.items():
    checkpoint = tf.train.Checkpoint(parts=tf.train.Checkpoint(**{name: layer}))
    try:
      status = checkpoint.read(path, checkpoints.io_options())
      status.assert_existing_objects_matched().expect_partial()
    except checkpoints.UNREADABLE as error:
      raise errors.DataError(
        f"{path}: this checkpoint is damaged ({error.message.splitlines()[0]})"
      ) from error
    except (
      AssertionError,
      ValueError,
      tf.errors.InvalidArgumentError,
    ) as error:
      reason = " ".join(str(error).split())[:300]
      raise errors.ConfigError(
        f"{path}: part {name!r} does not fit this network ({reason})"
      ) from error


def _warn(message: str) -> None:
  print(f"WARNING: {message}", file=sys.stderr, flush=True)
