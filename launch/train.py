"""Trains one stage.

  launch/train.py --gin_file=gin/systems/huang2020/triplet.gin \
    --gin_param="DATASET = 'dataset'" --workdir=runs/triplet

The same command goes on where an interrupted run stopped.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Directory of the run.", required=True
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Build and check everything; write nothing."
)
cli.define_gin_flags()
cli.define_worker_flags()


def main() -> None:
  """Reads the configuration and trains."""
  from music_embed.runs import config, runtime, train

  cli.take_worker_flags()
  configured = config.load(
    train.train,
    gin_files=flags.FLAGS.gin_file,
    gin_params=flags.FLAGS.gin_param,
    given=("workdir", "dry_run", "texts"),
    first=runtime.configure,
  )
  train.train(
    workdir=_WORKDIR.value,
    dry_run=_DRY_RUN.value,
    texts=train.RunTexts(configured.config_text, configured.operative_text),
    **configured.arguments,
  )


if __name__ == "__main__":
  cli.run(main)
