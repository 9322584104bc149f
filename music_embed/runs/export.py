"""Exports a trained network: SavedModel, TFLite, ONNX, with a model card."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from music_embed.core import errors, types
from music_embed.data.records import prepared, sense_labels
from music_embed.export import (
  check_sounds,
  checks,
  convert,
  model_card,
  saved_model,
)
from music_embed.runs import export_facts, restore
from music_embed.runs import read_outs as read_outs_lib

NOT_STATED = model_card.Facts().license


def export(
  *,
  model: str,
  dataset: str,
  output: str,
  read_outs: Sequence[str] = (),
  top_k: int = 10,
  formats: Sequence[str] = (convert.SAVED_MODEL,),
  check_audio: Sequence[str] = (),
  report: str | None = None,
  license: str = NOT_STATED,
  overwrite: bool = False,
) -> str:
  """Exports the best checkpoint of a training directory.

  Args:
    model: working directory of a training run.
    dataset: prepared dataset that it was trained on: gives the front end and
      the vocabulary, where the run has no senses of it.
    output: directory to make; one that holds the same export is left alone.
    read_outs: of evaluation that `embed` offers besides the plain mean
      embedding, of `evaluation.systems.READ_OUTS`; "z_scored" embeds the
      training part for its statistics. Without any, what a CF head predicts.
    top_k: labels that the signature `label` returns.
    formats: "saved_model", which is written in any case, and what is wanted
      besides, of `export.convert.FILES`.
    check_audio: files and folders of sound on which formats are compared with
      the SavedModel; none for synthesised sound.
    report: report.json of `launch/evaluate.py` whose figures the card states;
      None for those of the run's validation.
    license: of the weights, for the card.
    overwrite: replace an earlier export in `output`.

  Returns:
    Lines that say what was written, and how formats compare.

  Raises:
    ConfigError: there is no such checkpoint, `output` holds something else,
      `top_k` is not positive, the dataset does not hold log-mels, the network
      has no such read-out, a format cannot be made, the report is not of this
      run, or there is no such sound.
    DataError: there is no such dataset, or a format says something else than
      the SavedModel.
    AudioError: a file to compare on is no audio.
  """
  if top_k < 1:
    raise errors.ConfigError(f"--top_k={top_k}: must be at least 1")
  convert.check(formats)
  data = prepared.PreparedDataset(dataset)
  if not isinstance(data.front_end, types.LogMelFrontEnd):
    raise errors.ConfigError(
      f"--dataset={dataset} holds {data.front_end.kind} windows: only networks"
      " on log-mels can be exported"
    )
  sounds = check_sounds.of(check_audio, data.front_end)
  embedder = restore.load_embedder(model, data, checkpoint="best")
  facts = model_card.Facts(
    license=license.strip().rstrip(".") or NOT_STATED,
    data=export_facts.data(data),
    training=export_facts.training(model),
    measured=export_facts.validation(model)
    if report is None
    else export_facts.measured(report, model, data),
  )
  names = sense_labels.label_names_of(restore.dataset_of(model, data))
  card = saved_model.save(
    embedder,
    output,
    front_end=data.front_end,
    vocabulary=names.labels,
    label_names=names,
    read_outs=read_outs_lib.read_outs(embedder, data, read_outs),
    top_k=top_k,
    facts=facts,
    formats=formats,
    sounds=sounds,
    overwrite=overwrite,
    say=_say,
  )
  signatures = ", ".join(card["signatures"])
  lines = [f"export: {output} ({signatures}; {card['fingerprint'][:12]})"]
  made = sorted(card["formats"].values(), key=lambda x: x["file"])
  lines += [said_of(values) for values in made]
  return "\n".join(lines)


def said_of(made: Mapping[str, Any]) -> str:
  """A line on a format, from the card's `formats`."""
  least = made["compared"]["recording_embedding"]["min_cosine"]
  line = (
    f"export: {made['file']}, {made['bytes']:,} bytes: cosine with the"
    f" SavedModel's embedding of a recording at least {least:.6f}"
  )
  if least < checks.MIN_COSINE:
    line += ": measure what that costs before you use it"
  return line


def _say(text: str) -> None:
  print(f"export: {text}", file=sys.stderr, flush=True)
