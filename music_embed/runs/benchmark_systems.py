"""What a benchmark measures: models, embeddings of others, baselines."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from music_embed.core import errors, files, types
from music_embed.data.benchmarks import base
from music_embed.data.records import vector_files
from music_embed.evaluation import benchmark_claims
from music_embed.export import exported
from music_embed.runs import (
  benchmark_rows,
  clip_embeddings,
  clip_systems,
)

MODEL, EMBEDDINGS = "model", "embeddings"
BASELINE = benchmark_claims.BASELINE

_MAIN = ("resnet18_hybrid", "hybrid")
"""Models whose architecture `untrained` has, if they are there."""

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class System:
  """Something that gives clips vectors.

  Attributes:
    name: in tables and files.
    kind: MODEL, EMBEDDINGS or BASELINE.
    fingerprint: JSON of what decides its vectors.
    description: for a reader.
    embed: a task's vectors, given its benchmark and a directory to keep them.
    exported: the network, where it can be trained on.
    clip_ids: clips of any benchmark that it has vectors of; None where it
      embeds whatever it is given.
    hindered: why it has no vectors; empty where it has.
  """

  name: str
  kind: str
  fingerprint: Any
  description: str
  embed: Callable[[base.Task, base.Benchmark, str], Any]
  exported: exported.Exported | None = None
  clip_ids: frozenset[str] | None = None
  hindered: str = ""

  def on(self, task: base.Task) -> System:
    """The system as a task finds it: hindered where it knows none of it."""
    if self.clip_ids is None:
      return self
    if any(clip.clip_id in self.clip_ids for clip in task.clips):
      return self
    reason = f"{self.description} are of other clips"
    return dataclasses.replace(self, hindered=reason)

  @property
  def untrainable(self) -> str:
    """Why its network cannot be trained on; empty where it can."""
    if self.exported is None:
      return "no network"
    try:
      _ = self.exported.network
    except errors.ConfigError as error:
      return str(error)
    return ""


def given(
  models: Mapping[str, str], embeddings: Mapping[str, str], *, say: Say
) -> list[System]:
  """The systems that a user named.

  Args:
    models: directories that `launch/export.py` wrote, by name.
    embeddings: npz and parquet files of ids and vectors, by name.
    say: told what is being done.

  Raises:
    ConfigError: a name is a baseline's, unfit for files, or given twice; a
      directory is no exported model; a file is missing or of no format.
    DataError: an export or a file is malformed.
  """
  for name in [*models, *embeddings]:
    benchmark_rows.check_name("name", name)
    if name in benchmark_rows.BASELINES:
      raise errors.ConfigError(
        f"{name!r} is a baseline; choose another name for the model"
      )
  if twice := sorted(set(models) & set(embeddings)):
    raise errors.ConfigError(
      f"{twice[0]!r}: both a model and embeddings have this name"
    )
  return [
    *(_model(name, path, say) for name, path in models.items()),
    *(_embeddings(name, path) for name, path in embeddings.items()),
  ]


def baselines(
  names: Sequence[str], systems: Sequence[System], *, seed: int, say: Say
) -> list[System]:
  """The baselines of a benchmark that can be had.

  Args:
    names: of those wanted, of `benchmark_rows.BASELINES`.
    systems: what was given; "resnet18_hybrid", "hybrid" or else the last
      model gives the front end and the architecture of `untrained`, which
      without any model is left out.
    seed: of the untrained weights.
    say: told what is being done.
  """
  main = _main([system for system in systems if system.exported is not None])
  found = []
  if benchmark_rows.AUDIO_STATISTICS in names:
    front_end = types.LogMelFrontEnd()
    if main is not None and main.exported is not None:
      front_end = main.exported.front_end
    found.append(
      _waveforms(
        benchmark_rows.AUDIO_STATISTICS,
        BASELINE,
        clip_systems.AudioStatisticsSystem(front_end),
        say,
      )
    )
  if benchmark_rows.UNTRAINED in names and main is not None:
    found.append(_untrained(main, seed, say))
  return found


def named(values: Sequence[str], flag: str) -> dict[str, str]:
  """Reads a repeated flag of `[NAME=]PATH`.

  A path alone gets the name of its last part, without its suffix.

  Raises:
    ConfigError: a value has no path, or a name is given twice.
  """
  found: dict[str, str] = {}
  for value in values:
    name, separator, path = value.partition("=")
    if not separator:
      last = os.path.basename(os.path.normpath(value))
      name, path = os.path.splitext(last)[0], value
    if not (name and path):
      raise errors.ConfigError(f"--{flag}={value}: want [NAME=]PATH")
    if name in found:
      raise errors.ConfigError(f"--{flag}={value}: {name!r} is given twice")
    found[name] = path
  return found


def _main(models: Sequence[System]) -> System | None:
  by_name = {model.name: model for model in models}
  for name in _MAIN:
    if name in by_name:
      return by_name[name]
  return models[-1] if models else None


def _model(name: str, directory: str, say: Say) -> System:
  system = clip_systems.ExportedSystem(directory)
  found = _waveforms(name, MODEL, system, say)
  return dataclasses.replace(found, exported=exported.Exported(directory))


def _untrained(main: System, seed: int, say: Say) -> System:
  """The architecture of a model; hindered where its export has none."""
  name, kind = benchmark_rows.UNTRAINED, BASELINE
  assert main.exported is not None
  if main.untrainable:
    return System(name, kind, None, "", _no_vectors, hindered=main.untrainable)
  system = clip_systems.UntrainedSystem(main.exported.directory, seed)
  return _waveforms(name, kind, system, say)


def _no_vectors(task: base.Task, data: base.Benchmark, cache: str) -> Any:
  del task, data, cache
  raise AssertionError("a hindered system is not asked")


def _waveforms(name: str, kind: str, system: Any, say: Say) -> System:
  def embed(task: base.Task, data: base.Benchmark, cache: str) -> Any:
    return clip_embeddings.embed(task, data, system, cache, say=say)

  return System(name, kind, system.fingerprint, system.description, embed)


def _embeddings(name: str, path: str) -> System:
  if not files.exists(path):
    raise errors.ConfigError(f"--embeddings={path}: no such file")

  def embed(task: base.Task, data: base.Benchmark, cache: str) -> Any:
    del data, cache
    return clip_embeddings.vectors_of_file(path, task)

  return System(
    name,
    EMBEDDINGS,
    {"kind": EMBEDDINGS, "sha256": files.sha256(path)},
    f"vectors of {os.path.basename(path)}",
    embed,
    clip_ids=frozenset(vector_files.read(path).ids),
  )
