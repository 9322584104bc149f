"""Exports a trained network: waveform in, embeddings and labels out.

  launch/export.py --model=demo/runs/label --dataset=demo/dataset \
    --output=demo/export

writes a SavedModel and its model card; for phones, browsers and servers
without TensorFlow also TFLite and ONNX, each compared with the SavedModel on
sounds of yours:

  launch/export.py --model=demo/runs/label --dataset=demo/dataset \
    --output=demo/export_all --formats=saved_model,tflite,tflite_int8,onnx \
    --check_audio=demo/corpus/audio --report=demo/report.json
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
_CHECK_AUDIO = flags.DEFINE_multi_string(
  "check_audio",
  [],
  "File or folder of sound on which formats are compared with the SavedModel;"
  " repeatable. Without any: some seconds of synthesised sound.",
)
_FORMATS = flags.DEFINE_list(
  "formats",
  ["saved_model"],
  "What to write: saved_model, in any case, and tflite, tflite_int8, onnx.",
)
_LICENSE = flags.DEFINE_string(
  "license", "not stated", "Licence of the weights, for the model card."
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
_REPORT = flags.DEFINE_string(
  "report",
  None,
  "report.json of launch/evaluate.py whose figures the model card states;"
  " without one, those of the run's own validation.",
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
      formats=_FORMATS.value,
      check_audio=_CHECK_AUDIO.value,
      report=_REPORT.value,
      license=_LICENSE.value,
      overwrite=_OVERWRITE.value,
    )
  )


if __name__ == "__main__":
  cli.run(main)
