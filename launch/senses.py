"""Clusters recordings by their factors and splits labels by cluster.

  launch/senses.py --gin_file=gin/systems/huang2020/senses.gin \
    --dataset=dataset --factors=factors --model=runs/label --output=senses

Of several numbers of clusters the validation part chooses, by heads that are
fitted on the embeddings of --model; for one number leave the model out. The
same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_DATASET = flags.DEFINE_string(
  "dataset", None, "Directory that prepare.py wrote.", required=True
)
_FACTORS = flags.DEFINE_string(
  "factors", None, "Directory that factorize.py wrote.", required=True
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Directory of the split labels.", required=True
)
_MODEL = flags.DEFINE_string(
  "model", None, "Training run by whose embeddings to choose."
)
_EMBEDDINGS = flags.DEFINE_string(
  "embeddings", None, "Where those are stored; in --output if unset."
)
cli.define_gin_flags()


def main() -> None:
  """Reads the configuration and splits labels."""
  from music_embed.runs import config, runtime, senses

  given = {
    "dataset": _DATASET.value,
    "factors": _FACTORS.value,
    "output": _OUTPUT.value,
    "model": _MODEL.value,
    "embeddings": _EMBEDDINGS.value,
  }
  configured = config.load(
    senses.senses,
    gin_files=flags.FLAGS.gin_file,
    gin_params=flags.FLAGS.gin_param,
    given=tuple(given),
    first=runtime.configure,
  )
  senses.senses(**given, **configured.arguments)


if __name__ == "__main__":
  cli.run(main)
