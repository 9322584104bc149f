"""Evaluates trained networks beside baselines: report.json and report.html.

  launch/evaluate.py --dataset=demo/dataset --output=demo \
    --model=triplet_only=demo/runs/triplet --model=hybrid=demo/runs/label
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_DATASET = flags.DEFINE_string(
  "dataset", None, "Directory that prepare.py wrote.", required=True
)
_MODELS = flags.DEFINE_multi_string(
  "model", [], "NAME=WORKDIR of a training run; repeatable."
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Directory of report.json and report.html.", required=True
)
_ENGINE = flags.DEFINE_enum(
  "engine", "local", ["local", "spark"], "What factorises the graph."
)
_SPARK_MASTER = flags.DEFINE_string(
  "spark_master", None, "Where Spark runs, e.g. local-cluster[2,1,2048]."
)
_STARTED_AT = flags.DEFINE_float(
  "started_at",
  None,
  "Unix time at which the job began whose seconds the report gives.",
)
cli.define_gin_flags()


def _models() -> dict[str, str]:
  from music_embed.core import errors

  models: dict[str, str] = {}
  for value in _MODELS.value:
    name, separator, workdir = value.partition("=")
    if not (name and separator and workdir):
      raise errors.ConfigError(f"--model={value}: want NAME=WORKDIR")
    if name in models:
      raise errors.ConfigError(f"--model={value}: {name!r} is given twice")
    models[name] = workdir
  return models


def main() -> None:
  """Reads the configuration and evaluates."""
  models = _models()
  from music_embed.runs import config, evaluate

  configured = config.load(
    evaluate.evaluate,
    gin_files=flags.FLAGS.gin_file,
    gin_params=flags.FLAGS.gin_param,
    given=(
      "dataset",
      "models",
      "output",
      "engine",
      "spark_master",
      "started_at",
    ),
  )
  evaluate.evaluate(
    dataset=_DATASET.value,
    models=models,
    output=_OUTPUT.value,
    engine=_ENGINE.value,
    spark_master=_SPARK_MASTER.value,
    started_at=_STARTED_AT.value,
    **configured.arguments,
  )


if __name__ == "__main__":
  cli.run(main)
