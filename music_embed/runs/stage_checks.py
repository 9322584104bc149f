"""What is checked before a stage is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from music_embed.core import errors, keys, types
from music_embed.data.pipeline import materialized
from music_embed.data.records import prepared, sense_labels
from music_embed.models import embedder as embedder_lib
from music_embed.runs import workdir as workdir_lib
from music_embed.training import loop as loop_lib
from music_embed.training import task as task_lib


def check_beginning(
  workdir: str,
  texts: workdir_lib.RunTexts,
  data: prepared.PreparedDataset,
  augment: Any,
) -> None:
  """Checks what can be known to be wrong before anything is built.

  Args:
    workdir: of the run.
    texts: its gin texts.
    data: what it trains on.
    augment: its augmentation, or None; one of log-mels says which `log_offset`
      it assumes.

  Raises:
    ConfigError: the run was begun with another configuration, dataset or
      senses, or the augmentation is for another front end.
  """
  workdir_lib.check_same_run(workdir, texts)
  if workdir_lib.has_begun(workdir):
    workdir_lib.check_dataset(workdir, data)
    workdir_lib.check_senses(workdir, data)
  assumed = getattr(augment, "log_offset", None)
  offset = getattr(data.front_end, "log_offset", None)
  if assumed is not None and assumed != offset:
    raise errors.ConfigError(
      f"{type(augment).__name__}.log_offset is {assumed}, the dataset's front "
      f"end has {offset}"
    )


def check_labels(
  tasks: Sequence[task_lib.Task], data: prepared.PreparedDataset
) -> None:
  """Checks that batches hold the labels that the stage trains on.

  Raises:
    ConfigError: they were written with plain labels, the stage's are senses.
  """
  if not isinstance(data, sense_labels.RelabelledDataset):
    return
  for task in tasks:
    if isinstance(task.source, materialized.MaterializedSource):
      raise errors.ConfigError(
        "train.senses: MaterializedSource holds plain labels: bind"
        " LabelledSource or EmbeddedSource as Task.source"
      )


def check_steps(
  tasks: Sequence[task_lib.Task], loop: loop_lib.LoopOptions, *, is_new: bool
) -> None:
  """Checks that there are batches for every step, where they may end.

  Args:
    tasks: of the stage.
    loop: its steps.
    is_new: whether it begins at step 0.

  Raises:
    ConfigError: they begin later or end earlier.
  """
  for task in tasks:
    available = task.source.available
    if available is None:
      continue
    name = type(task.source).__name__
    if is_new and available.start:
      raise errors.ConfigError(
        f"{name}: its batches begin at step {available.start:,}, but this run "
        f"at step 0"
      )
    if available.stop < loop.train_steps:
      raise errors.ConfigError(
        f"LoopOptions.train_steps is {loop.train_steps:,}, but the batches of "
        f"{name} end at step {available.stop:,}: materialise more of them, or "
        f"train for fewer steps"
      )


def windows_per_step(
  tasks: Sequence[task_lib.Task],
  data: prepared.PreparedDataset,
  seed: int,
  replicas: int,
) -> int:
  """Windows of a global batch, or embeddings of such, over all tasks.

  Args:
    tasks: of the stage.
    data: what it trains on.
    seed: of the sampling.
    replicas: over which a batch is divided.

  Raises:
    ConfigError: a batch does not divide over them.
  """
  total = 0
  for task in tasks:
    spec = _element_spec(task, data, seed)
    is_stored = keys.WINDOWS not in spec
    shape = spec[keys.EMBEDDING if is_stored else keys.WINDOWS].shape
    if shape[0] % replicas:
      raise errors.ConfigError(
        f"{type(task.source).__name__}: a global batch of {shape[0]} does not "
        f"divide over {replicas} replicas"
      )
    each = 1 if is_stored else len(data.window_shape)
    total += int(shape[:-each].num_elements())
  return total


def fit_cf_head(
  embedder: embedder_lib.Embedder,
  tasks: Sequence[task_lib.Task],
  data: prepared.PreparedDataset,
  seed: int,
) -> None:
  """Gives a CF head that is not built yet the width of its targets.

  Args:
    embedder: the network.
    tasks: of the stage.
    data: what it trains on.
    seed: of the sampling.

  Raises:
    ConfigError: the head was made for another width, or the targets are not
      for training.
    DataError: the targets are damaged.
  """
  for task in tasks:
    if embedder.cf_head is None or "cf_head" not in task.objective.parts:
      continue
    spec = _element_spec(task, data, seed)
    if keys.CF_VECTOR not in spec:
      raise errors.ConfigError(
        f"{type(task.source).__name__} gives no targets for the objective"
        f" {task.objective.name}: bind a FactorTargetSource as its Task.source"
      )
    embedder.cf_head.set_num_factors(int(spec[keys.CF_VECTOR].shape[-1]))


def factors_of(tasks: Sequence[task_lib.Task]) -> str | None:
  """What tells the factors that a stage regresses from others; None: none.

  Args:
    tasks: of the stage.
  """
  for task in tasks:
    source: Any = getattr(task.source, "source", None) or task.source
    describe: Any = getattr(source, "describe", dict)
    if found := describe().get("factors"):
      return str(found)
  return None


def _element_spec(
  task: task_lib.Task, data: prepared.PreparedDataset, seed: int
) -> dict[str, Any]:
  """Shapes and dtypes of a global batch, by name."""
  available = task.source.available
  batches = task.source.batches(
    data,
    seed=seed,
    first_step=available.start if available is not None else 0,
    worker=types.Slice(0, 1),
  )
  return dict(batches.element_spec)
