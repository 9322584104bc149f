"""Exports a trained network as a SavedModel: waveform to embeddings, labels.

  launch/export.py --model=demo/runs/label --dataset=demo/dataset \
    --output=demo/export
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_MODEL = flags.DEFINE_string(
  "model", None, "Working directory of a training run.", required=True
)
_DATASET = flags.DEFINE_string(
  "dataset", None, "Prepared dataset that it was trained on.", required=True
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Directory to write the SavedModel to.", required=True
)
_OVERWRITE = flags.DEFINE_bool(
  "overwrite", False, "Replace an earlier export in --output."
)
_READ_OUT = flags.DEFINE_multi_enum(
  "read_out",
  [],
  ["raw", "z_scored", "predicted_cf"],
  "What `embed` gives besides the plain mean embedding; repeatable. Without"
  " any: what a CF head predicts, where there is one.",
)
_TOP_K = flags.DEFINE_integer(
  "top_k", 10, "Labels that the signature `label` returns."
)


def main() -> None:
  """Runs the export that the flags describe."""
  from music_embed.runs import export

  print(
    export.export(
      model=_MODEL.value,
      dataset=_DATASET.value,
      output=_OUTPUT.value,
      read_outs=_READ_OUT.value,
      top_k=_TOP_K.value,
      overwrite=_OVERWRITE.value,
    )
  )


if __name__ == "__main__":
  cli.run(main)
