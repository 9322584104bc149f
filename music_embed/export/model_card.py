"""The machine's card of an export: `model.json`."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from music_embed.core import types
from music_embed.data.records import label_names as label_names_lib

FORMAT = "music_embed.saved_model/2"
_FAMILY = "music_embed.saved_model/"


@dataclasses.dataclass(frozen=True)
class Facts:
  """What is known of a network besides what it is, all JSON values.

  Nothing here names a path, a file or a person.

  Attributes:
    license: of the weights, as their maker puts it.
    data: counts of the data that it was trained on; None where unknown.
    training: stages, the first one first; empty where unknown.
    measured: figures, and what they are of; None where nothing was measured.
  """

  license: str = "not stated"
  data: Mapping[str, Any] | None = None
  training: Sequence[Mapping[str, Any]] = ()
  measured: Mapping[str, Any] | None = None


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
  num_parameters: Mapping[str, int] | None = None,
  facts: Facts | None = None,
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
    num_parameters: by part of the network.
    facts: what else is known of it.

  Returns:
    JSON-serialisable values; `saved_model` adds what it checked and made.
  """
  facts = facts or Facts()
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
    "labels": _labels(label_names),
    "top_k": top_k,
    "parameters": dict(num_parameters or {}),
    "license": facts.license,
    "data": facts.data and dict(facts.data),
    "training": [dict(stage) for stage in facts.training],
    "measured": facts.measured and dict(facts.measured),
    "signatures": {
      **_signatures(dim, top_k, num_factors, is_z_scored),
      **_vector_signatures(dim, front_end, num_labels > 0, has_label_vectors),
    },
  }


def is_card(values: Any) -> bool:
  """Whether something is the card of an export, of any version."""
  found = values.get("format") if isinstance(values, dict) else None
  return isinstance(found, str) and found.startswith(_FAMILY)


def same(found: Any, card: dict[str, Any]) -> bool:
  """Whether an export that is there is the one that would be written.

  Args:
    found: contents of its `model.json`.
    card: of the export to write, its formats not yet made.
  """
  return is_card(found) and _asked_for(found) == _asked_for(card)


def _asked_for(card: dict[str, Any]) -> dict[str, Any]:
  """What of a card does not depend on how its formats came out."""
  checked_on = card.get("checked_on") or {}
  return {k: v for k, v in card.items() if k != "made_with"} | {
    "formats": sorted(card.get("formats") or ()),
    "checked_on": {
      k: checked_on.get(k) for k in ("kind", "recordings", "seconds")
    },
  }


def _labels_sha256(names: label_names_lib.LabelNames | None) -> str | None:
  """Of labels.tsv."""
  if names is None:
    return None
  return hashlib.sha256(names.table().encode()).hexdigest()


def _labels(names: label_names_lib.LabelNames | None) -> dict[str, Any] | None:
  """What the labels are; None without a label head."""
  if names is None:
    return None
  return {
    "labels": len(names.labels),
    "terms": len(set(names.terms.tolist())),
    "senses": int((names.clusters >= 0).sum()),
  }


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
