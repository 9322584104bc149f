"""Trains a curriculum: several stages, each from the one before.

  launch/curriculum.py --gin_file=gin/runs/demo_curriculum.gin \
    --workdir=demo/runs

The same command passes over finished stages and goes on with the others; at
the end `summary.html` says what each one reached.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Parent directory of the stages' runs.", required=True
)
_STAGE_GIN_FILE = flags.DEFINE_multi_string(
  "stage_gin_file",
  [],
  "Gin file for every stage, after its own: a backbone, hardware; repeatable.",
)
_STAGE_PARAM = flags.DEFINE_multi_string(
  "stage_param", [], "Gin binding for every stage; repeatable."
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Check every stage's configuration; write nothing."
)
cli.define_gin_flags()
cli.define_worker_flags()


def main() -> None:
  """Reads the configuration and trains the stages."""
  from music_embed.runs import config, curriculum

  cli.take_worker_flags()
  configured = config.load(
    curriculum.curriculum,
    gin_files=flags.FLAGS.gin_file,
    gin_params=flags.FLAGS.gin_param,
    given=("workdir", "gin_files", "gin_params", "dry_run"),
  )
  curriculum.curriculum(
    workdir=_WORKDIR.value,
    gin_files=_STAGE_GIN_FILE.value,
    gin_params=_STAGE_PARAM.value,
    dry_run=_DRY_RUN.value,
    **configured.arguments,
  )


if __name__ == "__main__":
  cli.run(main)
