"""Trains one stage: `launch/train.py`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from music_embed.core import errors, files, keys
from music_embed.data.records import prepared, quantize
from music_embed.models import embedder as embedder_lib
from music_embed.runs import restore, runtime
from music_embed.runs import validation as validation_lib
from music_embed.training import loop as loop_lib
from music_embed.training import optimizers as optimizers_lib
from music_embed.training import plateau as plateau_lib
from music_embed.training import progress as progress_lib
from music_embed.training import strategy as strategy_lib
from music_embed.training import task as task_lib
from music_embed.training import trainer as trainer_lib
from music_embed.training import warm_start as warm_start_lib

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class RunTexts:
  """What is written beside a run so that it can be read and repeated.

  Attributes:
    config: gin's `config_str()`: parse this to run again.
    operative: gin's `operative_config_str()`: what was in force.
  """

  config: str = ""
  operative: str = ""


def train(
  *,
  workdir: str,
  dataset: str,
  embedder: embedder_lib.Embedder,
  tasks: Sequence[task_lib.Task],
  optimizers: Sequence[optimizers_lib.PartOptimizer],
  loop: loop_lib.LoopOptions,
  strategy: Any = None,
  warm_start: warm_start_lib.WarmStart | None = None,
  plateau: plateau_lib.Plateau | None = None,
  validation: validation_lib.Validation | None = None,
  augment: Augment | None = None,
  seed: int = 0,
  texts: RunTexts | None = None,
  dry_run: bool = False,
) -> None:
  """Trains one stage, or goes on with one that was interrupted.

  Args:
    workdir: gets checkpoints, summaries, history.jsonl and the gin texts.
    dataset: directory that `launch/prepare.py` wrote.
    embedder: the network, not yet built.
    tasks: terms of the loss, with their batches.
    optimizers: by parts of the network; parts without one are frozen.
    loop: steps, validations, checkpoints.
    strategy: `OneDevice` or `Mirrored` of `training.strategy`; None takes one
      device.
    warm_start: parts to take over from an earlier run.
    plateau: ends the stage when a measure has levelled off.
    validation: measures on the validation part.
    augment: (log-mel `[batch, frames, bins]`, int32 seed `[2]`) -> the same.
    seed: of initial weights, sampling and augmentation.
    texts: gin texts to keep with the run.
    dry_run: builds everything, prints what would run, and writes nothing.

  Raises:
    ConfigError: parts, optimisers or the warm start don't fit, or `workdir`
      holds a run of another configuration.
    DataError: the dataset is missing or damaged, or the loss is not finite.
  """
  texts = texts or RunTexts()
  data = prepared.PreparedDataset(dataset)
  _check(workdir, texts, data, plateau, validation, augment)
  placement = (strategy or strategy_lib.OneDevice()).create()
  with placement.scope():
    restore.build(embedder, data, seed=seed)
    if warm_start is not None and not _has_checkpoint(workdir):
      _take_over(embedder, warm_start, data)
    trainer = trainer_lib.Trainer(
      embedder=embedder,
      tasks=tasks,
      optimizers=optimizers,
      preprocess=_preprocess(data, augment),
      seed=seed,
    )
  windows = _windows_per_step(tasks, data, seed, placement.num_replicas_in_sync)
  if dry_run:
    _describe(embedder, tasks, loop, windows, texts)
    return
  files.make_dirs(workdir)
  with files.exclusive(files.join(workdir, "lock"), workdir):
    _write_texts(workdir, texts, data)
    _run(
      workdir=workdir,
      data=data,
      trainer=trainer,
      placement=placement,
      tasks=tasks,
      loop=loop,
      plateau=plateau,
      validation=validation,
      seed=seed,
      windows=windows,
    )


def _run(
  *,
  workdir: str,
  data: prepared.PreparedDataset,
  trainer: trainer_lib.Trainer,
  placement: tf.distribute.Strategy,
  tasks: Sequence[task_lib.Task],
  loop: loop_lib.LoopOptions,
  plateau: plateau_lib.Plateau | None,
  validation: validation_lib.Validation | None,
  seed: int,
  windows: int,
) -> None:
  """Trains from the last checkpoint on; the workdir is this process's."""
  stage = loop_lib.Loop(
    trainer=trainer, options=loop, workdir=workdir, plateau=plateau
  )
  _announce(workdir, stage, loop)
  if stage.finished:
    _note_finished(workdir, stage)
    return
  trainer.set_dataset(
    trainer_lib.distribute(
      tasks, data, strategy=placement, seed=seed, first_step=stage.first_step
    )
  )
  stage.run(
    validate=validation.measure(data) if validation is not None else None,
    progress=progress_lib.Progress(
      name=os.path.basename(os.path.normpath(workdir)),
      total_steps=loop.train_steps,
      windows_per_step=windows,
    ),
  )
  _note_finished(workdir, stage)


def _note_finished(workdir: str, stage: loop_lib.Loop) -> None:
  files.write_json(
    files.join(workdir, restore.FINISHED_FILE), {"step": stage.step}
  )


def _preprocess(
  data: prepared.PreparedDataset, augment: Augment | None
) -> trainer_lib.Preprocess:
  def preprocess(stored: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    log_mel = quantize.dequantize_tf(stored, data.quantization)
    if augment is None:
      return log_mel
    shape = tf.shape(log_mel)
    flat = tf.reshape(log_mel, [-1, *log_mel.shape[-2:]])
    return tf.reshape(augment(flat, seed), shape)

  return preprocess


def _has_checkpoint(workdir: str) -> bool:
  path = files.join(workdir, "checkpoints")
  return tf.train.latest_checkpoint(path) is not None


def _take_over(
  embedder: embedder_lib.Embedder,
  warm_start: warm_start_lib.WarmStart,
  data: prepared.PreparedDataset,
) -> None:
  for part in warm_start.parts:
    if part not in embedder.parts:
      raise errors.ConfigError(
        f"WarmStart.parts names {part!r}; the network has "
        f"{', '.join(sorted(embedder.parts))}"
      )
  path = warm_start.path()
  if not warm_start.other_dataset:
    restore.check_dataset(warm_start.workdir, data)
  restore.warn_unfinished(warm_start.workdir)
  warm_start_lib.load_parts(
    {part: embedder.parts[part] for part in warm_start.parts}, path
  )


def _windows_per_step(
  tasks: Sequence[task_lib.Task],
  data: prepared.PreparedDataset,
  seed: int,
  replicas: int,
) -> int:
  """Network input windows of a global batch, over all tasks."""
  total = 0
  for task in tasks:
    batches = task.source.batches(data, seed=seed, first_step=0)
    shape = batches.element_spec[keys.LOG_MEL].shape
    if shape[0] % replicas:
      raise errors.ConfigError(
        f"{type(task.source).__name__}: a global batch of {shape[0]} does not "
        f"divide over {replicas} replicas"
      )
    total += int(shape[:-2].num_elements())
  return total


def _check(
  workdir: str,
  texts: RunTexts,
  data: prepared.PreparedDataset,
  plateau: plateau_lib.Plateau | None,
  validation: validation_lib.Validation | None,
  augment: Augment | None,
) -> None:
  """Everything that can be known to be wrong before anything is built."""
  files.require_local(workdir, "workdir")
  _check_workdir(workdir, texts)
  restore.check_dataset(workdir, data)
  if plateau is not None and validation is None:
    plateau.require_training_measure()
  offset = getattr(augment, "log_offset", data.front_end.log_offset)
  if offset != data.front_end.log_offset:
    raise errors.ConfigError(
      f"{type(augment).__name__}.log_offset is {offset}, the dataset's front "
      f"end has {data.front_end.log_offset}"
    )


def _check_workdir(workdir: str, texts: RunTexts) -> None:
  path = files.join(workdir, "config.gin")
  if not files.exists(path) or not _has_checkpoint(workdir):
    return
  with open(path, encoding="utf-8") as file:
    before = file.read().splitlines()
  for old, new in zip(before, texts.config.splitlines(), strict=False):
    if old != new:
      raise errors.ConfigError(
        f"{path}: this directory holds a run with {old.strip()!r}, not "
        f"{new.strip()!r}: choose another --workdir"
      )
  if len(before) != len(texts.config.splitlines()):
    raise errors.ConfigError(
      f"{path}: this directory holds a run of another configuration: choose "
      f"another --workdir"
    )


def _write_texts(
  workdir: str, texts: RunTexts, data: prepared.PreparedDataset
) -> None:
  for name, text in (
    ("config.gin", texts.config),
    ("operative_config.gin", texts.operative),
  ):
    with files.atomic_write(files.join(workdir, name), "w") as file:
      file.write(text)
  machine = {
    **runtime.settings(),
    "dataset": restore.fingerprint(data),
  }
  path = files.join(workdir, "run.json")
  if files.exists(path):
    before = files.read_json(path)
    for key, value in machine.items():
      if before.get(key) != value:
        _warn(
          f"{workdir}: resumed with {key} {value}, begun with "
          f"{before.get(key)}: results will differ from an undisturbed run"
        )
    return
  files.write_json(path, machine)


def _describe(
  embedder: embedder_lib.Embedder,
  tasks: Sequence[task_lib.Task],
  loop: loop_lib.LoopOptions,
  windows: int,
  texts: RunTexts,
) -> None:
  print(texts.operative)
  for name, layer in embedder.parts.items():
    print(f"{name}: {layer.count_params():,} parameters")
  names = " + ".join(f"{t.weight:g} {t.objective.name}" for t in tasks)
  print(f"loss: {names}; {windows} windows a step; {loop.train_steps:,} steps")


def _announce(
  workdir: str, stage: loop_lib.Loop, loop: loop_lib.LoopOptions
) -> None:
  if stage.finished:
    _warn(f"{workdir}: already trained ({stage.first_step} steps)")
  elif stage.first_step:
    _warn(f"{workdir}: going on from step {stage.first_step}")


def _warn(message: str) -> None:
  print(message, file=sys.stderr, flush=True)
