"""The card of an export for people: `README.md`, from `model.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from music_embed.core import types
from music_embed.export import card_training, convert

_USE = """```python
import tensorflow as tf
model = tf.saved_model.load("this/directory")
outputs = model.signatures["embed"](waveform=tf.constant(samples))
```"""

_USE_TFLITE = """```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # Or tf.lite.Interpreter
embed = Interpreter("{file}").get_signature_runner("embed")
vector = embed(waveform=samples.astype(np.float32))["recording_embedding"]
```"""

_USE_ONNX = """```python
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("{file}")
inputs = {{"waveform": samples.astype(np.float32)}}
(vector,) = session.run(["recording_embedding"], inputs)
```"""

_LIMITS = """\
Meant for: finding recordings that sound alike or are listened to by the same
people, searching a catalogue by word, features for other models of music.

Not meant for: identifying persons, deciding over people, or telling whether two
recordings are the same one. The labels are words that people wrote beside music
of the training data, with their errors and prejudices; a score is no statement
about an artist. Music unlike the training data (other styles, languages of the
labels, recording conditions) is embedded worse, and speech or noise is embedded
all the same, without a sign. Measure on your own data before you rely on it."""


def text(card: Mapping[str, Any]) -> str:
  """The README of an export, from its `model.json`."""
  sections = [
    (f"Music embeddings, {card['embedding_dim']} dimensions", _model(card)),
    ("Use", _use(card)),
    ("Training data", _data(card["data"], card["labels"])),
    ("Training", card_training.lines(card["training"])),
    ("Measured", _measured(card["measured"])),
    ("Files", _files(card)),
    ("Intended use and limits", [_LIMITS]),
    ("Licence", [f"Of the weights: {card['license']}."]),
    ("Signatures", _signatures(card["signatures"])),
    ("How it was made", _made(card)),
  ]
  lines = []
  for place, (heading, body) in enumerate(sections):
    lines += [f"{'##' if place else '#'} {heading}", "", *body, ""]
  return "\n".join(lines)


def _model(card: Mapping[str, Any]) -> list[str]:
  """What the model is."""
  front_end = types.front_end_from_json(card["front_end"])
  assert isinstance(front_end, types.LogMelFrontEnd)
  rate = front_end.sample_rate_hz
  hop_s = front_end.window_rows * front_end.hop_samples / rate
  return [
    "Audio in; out come a vector for every window and one for the recording"
    + (", and labels." if card["num_labels"] else "."),
    "",
    *_network(card),
    f"- Input: mono waveform, {rate:,} Hz, in [-1, 1].",
    f"- Front end, inside: log-mel spectrogram, {front_end.num_bins} bands of"
    f" {front_end.min_hz:,g} to {front_end.max_hz:,g} Hz, frames of"
    f" {1000 * front_end.frame_length / rate:g} ms every"
    f" {1000 * front_end.hop_length / rate:g} ms.",
    f"- A window is {front_end.window_samples / rate:.3f} s long; windows"
    f" follow one another every {hop_s:g} s, and the last one ends with the"
    " recording. A shorter recording is filled up with silence.",
    "- Window embeddings have unit norm; a recording's embedding is their plain"
    " mean. A label's score is the mean of the windows' posteriors.",
    *_read_outs(card["read_outs"]),
    "",
    f"Fingerprint: `{card['fingerprint']}`. Compare embeddings of one"
    " fingerprint only.",
  ]


def _network(card: Mapping[str, Any]) -> list[str]:
  lines = []
  if card["network"] is not None:
    name = card["network"]["parts"]["backbone"]["class"].rpartition(".")[2]
    lines.append(
      f"- Network: {name}. To train it on: `network` in model.json names the"
      " classes of its parts, their arguments, and their variables in"
      " `variables/variables`."
    )
  if card["parameters"]:
    parts = ", ".join(f"{k} {v:,}" for k, v in card["parameters"].items())
    lines.append(f"- Parameters: {parts}.")
  return lines


def _read_outs(read_outs: Mapping[str, str]) -> list[str]:
  """What stands beside the plain mean embedding."""
  lines = []
  if "z_scored" in read_outs:
    lines.append(
      "- `z_scored_embedding`: the recording's embedding, each dimension by its"
      " mean and deviation over the training part's recordings."
    )
  if "predicted_cf" in read_outs:
    lines.append(
      "- `cf_vector`: the recording's vector in the factorised co-listen graph,"
      " as predicted from its sound: compare by cosine; up to one factor that"
      " all vectors share."
    )
  return lines


def _use(card: Mapping[str, Any]) -> list[str]:
  lines = [
    "A TensorFlow SavedModel; it needs no other code.",
    "",
    _USE,
    "",
    "With recordings of different lengths in one batch, use the `_padded`"
    " signatures: samples from `num_samples` on are not looked at; rows past"
    " `num_windows` are zero.",
  ]
  if card["num_labels"]:
    lines.append(
      "`labels.tsv` names the rows of the label head: label, term, cluster"
      " (of a sense), training recordings that have it."
    )
  for name, snippet in (("tflite", _USE_TFLITE), ("onnx", _USE_ONNX)):
    if name in card["formats"]:
      lines += ["", snippet.format(file=convert.FILES[name])]
  return lines


def _data(
  data: Mapping[str, Any] | None, labels: Mapping[str, Any] | None
) -> list[str]:
  lines = []
  if data is None:
    lines.append("Not stated.")
  else:
    splits = ", ".join(f"{n:,} {name}" for name, n in data["splits"].items())
    hours = "" if data["hours"] is None else f", {data['hours']:,g} hours"
    lines.append(
      f"- Recordings: {data['recordings']:,}{hours} ({splits}; split by"
      f" {data['split_by']})."
    )
    if data["edges"] is not None:
      lines.append(f"- Co-listen edges: {data['edges']:,}.")
    lines.append(f"- Fingerprint of the data: `{data['fingerprint']}`.")
  if labels is not None:
    kinds = f"{labels['terms']:,} terms"
    if labels["senses"]:
      kinds += f"; {labels['senses']:,} labels are senses of a term"
    lines.append(f"- Labels: {labels['labels']:,} ({kinds}).")
  return lines


def _measured(measured: Mapping[str, Any] | None) -> list[str]:
  if measured is None:
    return ["Nothing was measured."]
  lines = [measured["what"], ""]
  columns = measured["columns"]
  lines += [
    f"| | {' | '.join(columns)} |",
    f"|---|{'---|' * len(columns)}",
  ]
  for name, values in measured["rows"].items():
    cells = " | ".join(_figure(values.get(column)) for column in columns)
    lines.append(f"| {name} | {cells} |")
  if notes := measured.get("notes"):
    lines += ["", *notes]
  return lines


def _figure(value: Any) -> str:
  """A number, a list [number, low, high], or nothing."""
  if value is None:
    return "–"
  if isinstance(value, list):
    number, low, high = value
    return f"{number:.3f} ({low:.3f} to {high:.3f})"
  return f"{value:.3f}"


def _files(card: Mapping[str, Any]) -> list[str]:
  """The files besides the SavedModel's, and how they compare with it."""
  lines = ["- `saved_model.pb`, `variables/`: the SavedModel."]
  if not card["formats"]:
    return lines
  for name, made in card["formats"].items():
    compared = made["compared"]
    cosines = ", ".join(
      f"{output} {values['min_cosine']:.6f}"
      for output, values in compared.items()
      if isinstance(values, Mapping)
    )
    labels = compared.get("label_scores_max_difference")
    if labels is not None:
      cosines += f"; label scores differ by {labels:.1e} at most"
    lines.append(
      f"- `{made['file']}` ({made['bytes'] / 1e6:.1f} MB,"
      f" {_KINDS[name]}). Least cosine with the SavedModel's vectors:"
      f" {cosines}."
    )
  sounds = card["checked_on"]
  lines += [
    "",
    "Each of them takes one recording: input `waveform`, float32 [samples], of"
    " any length; outputs `window_embeddings` [windows, dim], `window_times_s`"
    " [windows], `recording_embedding` [dim]"
    + (", `label_scores` [labels]" if card["num_labels"] else "")
    + (" and the other read-outs" if len(card["read_outs"]) > 1 else "")
    + ". They were compared with the SavedModel on"
    f" {sounds['kind']} ({sounds['recordings']:,} recordings,"
    f" {sounds['seconds']:g} s, {sounds['windows']} windows). Two different"
    " windows of these have a mean cosine of"
    f" {sounds['cosine_of_other_windows']:.3f}.",
  ]
  return lines


_KINDS = {
  "tflite": "TensorFlow Lite, float32, builtin operations",
  "tflite_int8": "TensorFlow Lite, weights in int8 (dynamic range), front end"
  " in float32",
  "onnx": "ONNX, float32, standard operations",
}
assert set(_KINDS) == set(convert.FILES)


def _signatures(signatures: Mapping[str, Any]) -> list[str]:
  lines = []
  for name, signature in signatures.items():
    lines += [f"### {name}", ""]
    for direction in ("inputs", "outputs"):
      for key, kind in signature[direction].items():
        lines.append(f"- {direction[:-1]} `{key}`: {kind}")
    lines.append("")
  return lines[:-1]


def _made(card: Mapping[str, Any]) -> list[str]:
  versions = ", ".join(f"{k} {v}" for k, v in card["made_with"].items())
  return [f"`launch/export.py` of music_embed wrote it, with {versions}."]
