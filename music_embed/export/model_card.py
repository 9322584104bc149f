"""What lies beside a SavedModel: `model.json` and a README for people."""

from __future__ import annotations

import hashlib
from typing import Any

from music_embed.core import types
from music_embed.data.records import label_names as label_names_lib

FORMAT = "music_embed.saved_model/2"


def card(
  *,
  fingerprint: str,
  front_end: types.LogMelFrontEnd,
  label_names: label_names_lib.LabelNames | None,
  has_label_vectors: bool,
  top_k: int,
  dim: int,
  num_factors: int = 0,
  is_z_scored: bool = False,
  network: dict[str, Any] | None = None,
) -> dict[str, Any]:
  """The contents of `model.json`.

  Args:
    fingerprint: of weights, front end and vocabulary.
    front_end: what the waveform passes first.
    label_names: of the label head's rows, None without such a head.
    has_label_vectors: whether labels have embeddings of their own.
    top_k: labels that `label` returns.
    dim: width of the embedding.
    num_factors: width of the predicted CF vector, 0 where it is not given.
    is_z_scored: whether the z-scored embedding is given.
    network: how the network is made again (`export.network`); None where it
      cannot be.

  Returns:
    JSON-serialisable values.
  """
  num_labels = 0 if label_names is None else len(label_names.labels)
  return {
    "format": FORMAT,
    "fingerprint": fingerprint,
    "front_end": front_end.to_json(),
    "network": network,
    "embedding_dim": dim,
    "read_outs": _read_outs(num_factors, is_z_scored),
    "num_labels": num_labels,
    "labels_sha256": _labels_sha256(label_names),
    "top_k": top_k,
    "signatures": {
      **_signatures(dim, top_k, num_factors, is_z_scored),
      **_vector_signatures(dim, front_end, num_labels > 0, has_label_vectors),
    },
  }


def _labels_sha256(names: label_names_lib.LabelNames | None) -> str | None:
  """Of labels.tsv."""
  if names is None:
    return None
  return hashlib.sha256(names.table().encode()).hexdigest()


def _read_outs(num_factors: int, is_z_scored: bool) -> dict[str, str]:
  """Output by the name that evaluation gives the way of reading."""
  found = {"raw": "recording_embedding"}
  if is_z_scored:
    found["z_scored"] = "z_scored_embedding"
  if num_factors:
    found["predicted_cf"] = "cf_vector"
  return found


def _signatures(
  dim: int, top_k: int, num_factors: int, is_z_scored: bool
) -> dict[str, Any]:
  any_rank = {"waveform": "float32 [samples] or [batch, samples]"}
  padded = {
    "waveform": "float32 [batch, samples]",
    "num_samples": "int32 [batch]",
  }
  result: dict[str, Any] = {
    "embed": {
      "inputs": any_rank,
      "outputs": {
        "window_embeddings": f"float32 [..., windows, {dim}]",
        "window_times_s": "float32 [windows]",
        "recording_embedding": f"float32 [..., {dim}]",
      },
    },
    "embed_padded": {
      "inputs": padded,
      "outputs": {
        "window_embeddings": f"float32 [batch, windows, {dim}]",
        "window_times_s": "float32 [batch, windows]",
        "num_windows": "int32 [batch]",
        "recording_embedding": f"float32 [batch, {dim}]",
      },
    },
  }
  for name, leading in (("embed", "..."), ("embed_padded", "batch")):
    outputs = result[name]["outputs"]
    if is_z_scored:
      outputs["z_scored_embedding"] = f"float32 [{leading}, {dim}]"
    if num_factors:
      outputs["cf_vector"] = f"float32 [{leading}, {num_factors}]"
  if top_k:
    for name, inputs, shape in (
      ("label", any_rank, f"[..., {top_k}]"),
      ("label_padded", padded, f"[batch, {top_k}]"),
    ):
      result[name] = {
        "inputs": inputs,
        "outputs": {"labels": f"string {shape}", "scores": f"float32 {shape}"},
      }
  return result


def _vector_signatures(
  dim: int,
  front_end: types.LogMelFrontEnd,
  has_labels: bool,
  has_label_vectors: bool,
) -> dict[str, Any]:
  """Signatures that begin or end within the network."""
  frames, bins = front_end.window_shape
  vectors = f"float32 [windows, {dim}]"
  found: dict[str, Any] = {
    "embed_log_mel": {
      "inputs": {"log_mel": f"float32 [windows, {frames}, {bins}]"},
      "outputs": {"window_embeddings": vectors},
    }
  }
  if has_labels:
    found["label_embeddings"] = {
      "inputs": {
        "window_embeddings": vectors,
        "recording": "int32 [windows], which recording each is of, from 0",
        "top_k": "int32 []",
      },
      "outputs": {
        "labels": "string [recordings, top_k]",
        "indices": "int32 [recordings, top_k], rows of labels.tsv",
        "scores": "float32 [recordings, top_k]",
      },
    }
  if has_label_vectors:
    found["label_vectors"] = {
      "inputs": {"labels": "int32 [labels], rows of labels.tsv"},
      "outputs": {"label_vectors": f"float32 [labels, {dim}], unit norm"},
    }
  return found


def readme(values: dict[str, Any]) -> str:
  """The README of an export, from its `model.json`."""
  front_end = types.front_end_from_json(values["front_end"])
  window_s = front_end.window_samples / front_end.sample_rate_hz
  hop_s = (
    front_end.window_rows * front_end.hop_samples / front_end.sample_rate_hz
  )
  lines = [
    "# Music embeddings from a waveform",
    "",
    "A TensorFlow SavedModel; it needs no other code.",
    "",
    "```python",
    "import tensorflow as tf",
    'model = tf.saved_model.load("this/directory")',
    'outputs = model.signatures["embed"](waveform=tf.constant(samples))',
    "```",
    "",
    f"Input: mono, {front_end.sample_rate_hz:,} Hz, in [-1, 1].",
    f"A window is {window_s:.3f} s long; windows follow one another every"
    f" {hop_s:g} s, and the last one ends with the recording. A shorter"
    " recording is filled up with silence.",
    "Window embeddings have unit norm; a recording's embedding is their plain"
    " mean. A label's score is the mean of the windows' posteriors.",
    "With recordings of different lengths in one batch, use the `_padded`"
    " signatures: samples from `num_samples` on are not looked at; rows past"
    " `num_windows` are zero.",
    *_read_out_lines(values["read_outs"]),
    *_network_lines(values["network"]),
    "",
  ]
  for name, signature in values["signatures"].items():
    lines.append(f"## {name}")
    lines.append("")
    for direction in ("inputs", "outputs"):
      for key, kind in signature[direction].items():
        lines.append(f"- {direction[:-1]} `{key}`: {kind}")
    lines.append("")
  lines.append(
    f"Fingerprint: `{values['fingerprint']}`. Compare embeddings of one"
    " fingerprint only."
  )
  return "\n".join(lines) + "\n"


def _network_lines(network: dict[str, Any] | None) -> list[str]:
  """How to train the network on."""
  if network is None:
    return []
  return [
    "To train the network on: `network` in model.json names the classes of its"
    " parts, their arguments, and their variables in `variables/variables`.",
  ]


def _read_out_lines(read_outs: dict[str, str]) -> list[str]:
  """What stands beside the plain mean embedding."""
  lines = []
  if "z_scored" in read_outs:
    lines.append(
      "`z_scored_embedding`: the recording's embedding, each dimension by its"
      " mean and deviation over the training part's recordings."
    )
  if "predicted_cf" in read_outs:
    lines.append(
      "`cf_vector`: the recording's vector in the factorised co-listen graph,"
      " as predicted from its sound: compare by cosine; up to one factor that"
      " all vectors share."
    )
  return lines
