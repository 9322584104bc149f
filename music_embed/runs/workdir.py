"""A training run's directory: what stands in it, and whose it is."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from music_embed.core import errors, files
from music_embed.data.records import prepared, sense_labels
from music_embed.runs import runtime, same_run
from music_embed.training import history, warm_start

CONFIG_FILE = "config.gin"
_OPERATIVE_FILE = "operative_config.gin"
_RUN_FILE = "run.json"
_FINISHED_FILE = "finished.json"


@dataclasses.dataclass(frozen=True)
class RunTexts:
  """What is written beside a run so that it can be read and repeated.

  Attributes:
    config: gin's `config_str()`: parse this to run again.
    operative: gin's `operative_config_str()`: what was in force.
  """

  config: str = ""
  operative: str = ""


def config_path(workdir: str) -> str:
  """Path of a run's configuration.

  Raises:
    ConfigError: the directory holds no run.
  """
  path = files.join(workdir, CONFIG_FILE)
  if not files.exists(path):
    raise errors.ConfigError(f"{workdir}: no training run here ({path})")
  return path


def has_begun(workdir: str) -> bool:
  """Whether there is a checkpoint to go on from."""
  return warm_start.latest(workdir, warm_start.LAST) is not None


def check_same_run(workdir: str, texts: RunTexts) -> None:
  """Checks that a directory is new, or holds the run that would go on.

  Raises:
    ConfigError: it holds a run of another configuration, which the message
      sets beside this one, or is not on a local disk.
  """
  files.require_local(workdir, "workdir")
  if lines := differences(workdir, texts):
    shown = "".join(f"\n  {line}" for line in lines)
    raise errors.ConfigError(
      f"{workdir}: holds a run of another configuration (- its own, + the one "
      f"asked for): choose another --workdir{shown}"
    )


def differences(workdir: str, texts: RunTexts) -> list[str]:
  """Bindings in which a begun run differs from another configuration.

  Returns:
    As `same_run.differences`; none where the run is the same, or not begun.
  """
  path = files.join(workdir, CONFIG_FILE)
  if not files.exists(path) or not has_begun(workdir):
    return []
  with open(path, encoding="utf-8") as file:
    return same_run.differences(file.read(), texts.config)


def check_dataset(workdir: str, data: prepared.PreparedDataset) -> None:
  """Checks that a run, where there is one, was trained on this dataset.

  On another one its labels have other meanings, and the held-out recordings
  may be those that it was trained on.

  Raises:
    ConfigError: it was trained on another dataset.
  """
  path = files.join(workdir, _RUN_FILE)
  if not files.exists(path):
    return
  if files.read_json(path).get("dataset") != data.fingerprint:
    raise errors.ConfigError(
      f"{workdir}: this run was trained on another dataset than "
      f"{data.directory}; name that one, or train in another directory"
    )


def check_senses(workdir: str, data: prepared.PreparedDataset) -> None:
  """Checks that a run, where there is one, was trained on these labels.

  Raises:
    ConfigError: it was trained on other senses, or on plain labels.
  """
  path = files.join(workdir, _RUN_FILE)
  if not files.exists(path):
    return
  if files.read_json(path).get("senses") != _senses(data):
    raise errors.ConfigError(
      f"{workdir}: this run was trained on other sense labels than those there"
      " are now: put its own back, or train in another directory"
    )


def _senses(data: prepared.PreparedDataset) -> str | None:
  """Fingerprint of the senses that a dataset's labels are; None for plain."""
  if isinstance(data, sense_labels.RelabelledDataset):
    return data.sense_labels.fingerprint
  return None


def check_batch(workdir: str, windows_per_step: int) -> None:
  """Checks that a run goes on with the global batch that it was begun with.

  Raises:
    ConfigError: it would go on with another, as it does where the gin file's
      batch is one replica's and there are more or fewer replicas now.
  """
  path = files.join(workdir, _RUN_FILE)
  if not files.exists(path) or not has_begun(workdir):
    return
  before = files.read_json(path).get("windows_per_step", windows_per_step)
  if before != windows_per_step:
    raise errors.ConfigError(
      f"{workdir}: this run has {before} windows in a global batch, not "
      f"{windows_per_step}: correct the batch, or choose another --workdir"
    )


def check_factors(workdir: str, factors: str | None) -> None:
  """Checks that a run goes on with the factors that it was begun with.

  Raises:
    ConfigError: they have been made anew since, or are others.
  """
  path = files.join(workdir, _RUN_FILE)
  if not files.exists(path) or not has_begun(workdir):
    return
  if files.read_json(path).get("factors") != factors:
    raise errors.ConfigError(
      f"{workdir}: this run was begun with other factors than those there are"
      " now: put its own back, or choose another --workdir"
    )


def write(
  workdir: str,
  texts: RunTexts,
  data: prepared.PreparedDataset,
  windows_per_step: int,
  factors: str | None = None,
) -> None:
  """Writes both gin texts, and the settings on which exactness depends.

  A run that goes on under other settings is told so on standard error.
  """
  for name, text in (
    (CONFIG_FILE, texts.config),
    (_OPERATIVE_FILE, texts.operative),
  ):
    with files.atomic_write(files.join(workdir, name), "w") as file:
      file.write(text)
  settings: dict[str, Any] = runtime.settings()
  path = files.join(workdir, _RUN_FILE)
  if not (files.exists(path) and has_begun(workdir)):
    begun = {
      "dataset": data.fingerprint,
      "windows_per_step": windows_per_step,
      "senses": _senses(data),
      "factors": factors,
    }
    files.write_json(path, settings | begun)
    return
  before = files.read_json(path)
  for key, value in settings.items():
    if before.get(key) != value:
      say(
        f"{workdir}: resumed with {key} {value}, begun with "
        f"{before.get(key)}: results will differ from an undisturbed run"
      )


def note_finished(workdir: str, step: int, why: str | None) -> None:
  """Notes that the stage has ended, and what it took, interruptions included.

  Windows are those that its steps have seen; seconds are of training,
  validating and checkpoints; CPU seconds are user and system time of all
  threads of this process, the chief's, meanwhile.

  Args:
    workdir: the run's directory.
    step: its last.
    why: "steps" (as many as asked for) or "level" (by its plateau).
  """
  timing = files.join(workdir, history.TIMING_FILE_NAME)
  run = files.read_json(files.join(workdir, _RUN_FILE))
  windows_per_step = run.get("windows_per_step")
  cpu_seconds = history.total_cpu_seconds(timing)
  files.write_json(
    files.join(workdir, _FINISHED_FILE),
    {
      "step": step,
      "ended_by": why,
      "windows": windows_per_step and windows_per_step * step,
      "seconds": round(history.total_seconds(timing), 1),
      "cpu_seconds": None if cpu_seconds is None else round(cpu_seconds, 1),
    },
  )


def has_finished(workdir: str) -> bool:
  """Whether a run has reached its end."""
  return files.exists(files.join(workdir, _FINISHED_FILE))


def finished(workdir: str) -> dict[str, Any] | None:
  """What `note_finished` has noted; None where the run has not ended."""
  if not has_finished(workdir):
    return None
  return dict(files.read_json(files.join(workdir, _FINISHED_FILE)))


def warn_unfinished(workdir: str) -> None:
  """Says on standard error where a run has not reached its end."""
  if not has_finished(workdir):
    say(f"{workdir}: WARNING: this run has not finished")


def say(message: str) -> None:
  """Prints a line to standard error."""
  print(message, file=sys.stderr, flush=True)
