"""Writes the batches that a training run will read, for object stores.

  launch/materialize.py --gin_file=gin/systems/huang2020/triplet.gin \
    --gin_param="DATASET = 'dataset'" --num_steps=100000 \
    --output=gs://bucket/triplets

Takes the gin files and bindings of the run itself. Train then with
gin/systems/huang2020/triplet_materialized.gin. The same command goes on where
an interrupted one stopped.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_OUTPUT = flags.DEFINE_string(
  "output", None, "Folder of the batches, local or remote.", required=True
)
_TASK = flags.DEFINE_string(
  "task", None, "Objective of the task, where the run has several."
)
_FIRST_STEP = flags.DEFINE_integer(
  "first_step", 0, "Step of the first batch.", 0
)
_NUM_STEPS = flags.DEFINE_integer(
  "num_steps", None, "Batches; those of the whole run if unset.", 1
)
_PARTS = flags.DEFINE_integer(
  "parts", 4, "Workers that read no more than their own rows, at most.", 1
)
_LANES = flags.DEFINE_integer("lanes", 4, "Files that are read at once.", 1)
_STEPS_PER_SHARD = flags.DEFINE_integer(
  "steps_per_shard", 32, "Batches in one file.", 1
)
_ENGINE = flags.DEFINE_enum(
  "engine", "local", ["local", "spark"], "What runs the tasks."
)
_NUM_WORKERS = flags.DEFINE_integer(
  "num_workers", None, "Local processes; one for each core if unset.", 1
)
_SPARK_MASTER = flags.DEFINE_string(
  "spark_master", None, "Spark's master, with --engine=spark."
)
cli.define_gin_flags()


def main() -> None:
  """Reads the configuration of the run and materialises."""
  from music_embed.core import errors
  from music_embed.runs import config, materialize, runtime, train

  run = config.load(
    train.train,
    gin_files=flags.FLAGS.gin_file,
    gin_params=flags.FLAGS.gin_param,
    given=("workdir", "dry_run", "texts"),
    first=runtime.configure,
  ).arguments
  train_steps = run["loop"].train_steps
  if _NUM_STEPS.value is None and _FIRST_STEP.value >= train_steps:
    raise errors.ConfigError(
      f"--first_step={_FIRST_STEP.value}: the run ends after {train_steps}"
      " steps; start earlier, or say --num_steps"
    )
  materialize.materialize(
    output=_OUTPUT.value,
    dataset=run["dataset"],
    tasks=run["tasks"],
    seed=run.get("seed", 0),
    senses=run.get("senses"),
    task=_TASK.value,
    first_step=_FIRST_STEP.value,
    num_steps=_NUM_STEPS.value or train_steps - _FIRST_STEP.value,
    parts=_PARTS.value,
    lanes=_LANES.value,
    steps_per_shard=_STEPS_PER_SHARD.value,
    engine=_ENGINE.value,
    num_workers=_NUM_WORKERS.value,
    spark_master=_SPARK_MASTER.value,
  )


if __name__ == "__main__":
  cli.run(main)
