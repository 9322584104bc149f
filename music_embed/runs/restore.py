"""Networks from the directories of training runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from music_embed.core import errors, files, types
from music_embed.data.records import prepared, sense_labels
from music_embed.models import embedder as embedder_lib
from music_embed.runs import config
from music_embed.runs import workdir as workdir_lib
from music_embed.training import warm_start


def build(
  embedder: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
  *,
  seed: int,
) -> None:
  """Creates a network's variables for a dataset's windows and vocabulary.

  Args:
    embedder: the network; its label head gets the vocabulary's size.
    data: gives window shape and vocabulary.
    seed: of the initial weights.

  Raises:
    ConfigError: the head is of another size than the vocabulary, or the
      backbone cannot take the dataset's windows.
  """
  name, kind = type(embedder.backbone).__name__, data.front_end.kind
  taken = getattr(embedder.backbone, "input_kind", types.LogMelFrontEnd.kind)
  if taken != kind:
    raise errors.ConfigError(
      f"{name} takes {taken} windows, but {data.directory} holds {kind}"
      " windows: choose another backbone, or a dataset prepared with another"
      " front end"
    )
  tf_keras.utils.set_random_seed(seed)
  if embedder.label_head is not None:
    embedder.label_head.set_num_labels(len(data.vocabulary), seed=seed)
  window = tf.zeros([2, *data.window_shape])
  try:
    embedder(window, training=False)
  except (ValueError, tf.errors.InvalidArgumentError) as error:
    raise errors.ConfigError(
      f"{name} cannot take windows of shape {data.window_shape}:"
      f" {str(error).splitlines()[0]}"
    ) from error


def take_over(
  embedder: embedder_lib.Embedder,
  options: warm_start.WarmStart,
  data: prepared.PreparedDataset,
) -> None:
  """Loads the parts that a stage starts from.

  Args:
    embedder: built.
    options: which parts of which run.
    data: what the stage trains on.

  Raises:
    ConfigError: the network lacks a part, or there is no such run, or one on
      another dataset that may not be.
    DataError: the run's checkpoint is damaged.
  """
  for part in options.parts:
    if part not in embedder.parts:
      raise errors.ConfigError(
        f"WarmStart.parts names {part!r}; the network has "
        f"{', '.join(sorted(embedder.parts))}"
      )
  path = options.path()
  if not options.other_dataset:
    workdir_lib.check_dataset(options.workdir, data)
  workdir_lib.warn_unfinished(options.workdir)
  warm_start.load_parts(
    {part: embedder.parts[part] for part in options.parts}, path
  )


def load_embedder(
  workdir: str,
  data: prepared.PreparedDataset,
  checkpoint: str = "best",
) -> embedder_lib.Embedder:
  """The network of a training run with its trained weights.

  Args:
    workdir: directory of the run.
    data: the dataset that it was trained on.
    checkpoint: "last", or "best" by the run's validation; a run that never
      validated has only a last one, and gives that.

  Raises:
    ConfigError: the directory holds no run, no checkpoint, or a run on
      another dataset.
  """
  workdir_lib.check_dataset(workdir, data)
  workdir_lib.warn_unfinished(workdir)
  embedder = untrained_embedder(workdir, data, seed=0)
  warm_start.load_parts(embedder.parts, checkpoint_of(workdir, checkpoint))
  return embedder


def dataset_of(
  workdir: str, data: prepared.PreparedDataset
) -> prepared.PreparedDataset:
  """The dataset with the labels of a training run.

  Args:
    workdir: directory of the run.
    data: the dataset that it was trained on.

  Returns:
    It, seen through the run's senses where it was trained on such.

  Raises:
    ConfigError: the directory holds no run, or its senses are missing, of
      another dataset, or no longer those that it was trained on.
    DataError: the senses are damaged.
  """
  return _with_labels(workdir, data, configured(workdir))


def _present(senses: str, workdir: str) -> str:
  """Where a run's senses lie: as configured, or beside the run.

  A curriculum's folder may be named otherwise now, or from another place.
  """
  name = os.path.basename(os.path.normpath(senses))
  beside = files.join(os.path.dirname(os.path.normpath(workdir)), name)
  for directory in (senses, beside):
    if sense_labels.is_written(directory):
      return directory
  return senses


def _with_labels(
  workdir: str, data: prepared.PreparedDataset, arguments: Mapping[str, Any]
) -> prepared.PreparedDataset:
  senses = arguments.get("senses")
  if senses is None or isinstance(data, sense_labels.RelabelledDataset):
    return data
  try:
    relabelled = sense_labels.relabel(data, _present(senses, workdir))
  except errors.MusicEmbedError as error:
    raise type(error)(f"{workdir}: was trained on senses; {error}") from error
  workdir_lib.check_senses(workdir, relabelled)
  return relabelled


def configured(workdir: str) -> Mapping[str, Any]:
  """Arguments of the call that trained a run, but those of the launcher.

  Raises:
    ConfigError: the directory holds no run, or its configuration names what
      is not there.
  """
  from music_embed.runs import train  # Imports this module.

  with open(workdir_lib.config_path(workdir), encoding="utf-8") as file:
    return config.parse_text(train.train, file.read()).arguments


def checkpoint_of(workdir: str, checkpoint: str) -> str:
  """Prefix of the checkpoint that `load_embedder` takes.

  Raises:
    ConfigError: the directory holds none.
  """
  workdir_lib.config_path(workdir)
  has_best = warm_start.latest(workdir, warm_start.BEST) is not None
  return warm_start.checkpoint_path(
    workdir, checkpoint if has_best else warm_start.LAST
  )


def untrained_embedder(
  workdir: str, data: prepared.PreparedDataset, seed: int
) -> embedder_lib.Embedder:
  """The network of a training run with fresh weights.

  Its label head is a plain one, however the run's was spread, over the labels
  of `dataset_of`.

  Args:
    workdir: directory of the run.
    data: the dataset that it was trained on.
    seed: of the weights.

  Raises:
    ConfigError: the directory holds no run.
  """
  arguments = configured(workdir)
  embedder: embedder_lib.Embedder = arguments["embedder"]
  if embedder.label_head is not None:
    embedder.label_head = embedder.label_head.unsharded()
  if embedder.cf_head is not None:
    embedder.cf_head.set_num_factors(_num_factors(workdir))
  build(embedder, _with_labels(workdir, data, arguments), seed=seed)
  return embedder


def _num_factors(workdir: str) -> int:
  """Width of a run's CF head: a stage may have taken it from its factors."""
  shapes = tf.train.load_checkpoint(
    checkpoint_of(workdir, warm_start.LAST)
  ).get_variable_to_shape_map()
  bias = "parts/cf_head/bias/.ATTRIBUTES/VARIABLE_VALUE"
  if bias not in shapes:
    raise errors.ConfigError(
      f"{workdir}: its checkpoint has no CF head, but its configuration does"
    )
  return int(shapes[bias][0])
