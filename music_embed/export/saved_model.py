"""Writes a network as a SavedModel that needs none of our code."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from music_embed.core import errors, files, types
from music_embed.data.records import label_names as label_names_lib
from music_embed.export import (
  card_text,
  check_sounds,
  checks,
  convert,
  functions,
  model_card,
  network,
  run_formats,
  signatures,
)
from music_embed.models import embedder

_CARD_FILE = "model.json"


def save(
  model: embedder.Embedder,
  output: str,
  *,
  front_end: types.LogMelFrontEnd,
  vocabulary: Sequence[str],
  label_names: label_names_lib.LabelNames | None = None,
  read_outs: signatures.ReadOuts | None = None,
  top_k: int = 10,
  facts: model_card.Facts | None = None,
  formats: Sequence[str] = (),
  sounds: check_sounds.Sounds | None = None,
  overwrite: bool = False,
  say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
  """Writes SavedModel, `model.json`, `README.md`, `labels.tsv` in `output`.

  The directory appears whole or not at all. One that holds the same export
  already is left as it is.

  Args:
    model: the network, built.
    output: directory that is empty or does not exist yet.
    front_end: the front end that the network was trained on.
    vocabulary: label texts, in the order of the label head's rows.
    label_names: the same labels with terms, clusters and frequencies; None
      for labels none of which is a sense, of unknown frequency.
    read_outs: what `embed` says of a recording besides its plain mean
      embedding; None for what the network's CF head, if any, predicts.
    top_k: labels that `label` returns; all where there are fewer.
    facts: what the card says besides; None for nothing.
    formats: of `convert.FILES`, written besides the SavedModel and compared
      with it.
    sounds: to compare them on; None for synthesised ones.
    overwrite: replace another export in `output`; never anything else.
    say: told what is being done.

  Returns:
    The contents of `model.json`.

  Raises:
    ConfigError: `output` exists and is not this export, `top_k` is not
      positive, or a format is not known or cannot be made.
    DataError: the vocabulary is not the label head's, or not that of
      `label_names`; or a format says something else than the SavedModel.
  """
  if top_k < 1:
    raise errors.ConfigError(f"top_k={top_k}: must be at least 1")
  convert.check(formats)
  names = _label_names(model, vocabulary, label_names)
  vocabulary = [] if names is None else list(names.labels)
  top_k = min(top_k, len(vocabulary))
  if read_outs is None:
    read_outs = signatures.ReadOuts(predicted_cf=model.cf_head is not None)
  card = model_card.card(
    fingerprint=fingerprint(model, front_end, vocabulary, read_outs.z_score),
    front_end=front_end,
    label_names=names,
    has_label_vectors=functions.has_label_vectors(model),
    top_k=top_k,
    dim=model.projection.dim,
    num_factors=_num_factors(model) if read_outs.predicted_cf else 0,
    is_z_scored=read_outs.z_score is not None,
    network=network.describe(model, front_end),
    num_parameters={k: p.count_params() for k, p in model.parts.items()},
    facts=facts,
  )
  portable = [name for name in convert.FILES if name in formats]
  if portable and sounds is None:
    sounds = check_sounds.of((), front_end)
  card["formats"] = dict.fromkeys(portable)
  card["checked_on"] = sounds.to_json() if portable and sounds else None
  card["made_with"] = _versions(portable)
  if (there := _there(output, card, overwrite)) is not None:
    return there
  temporary = f"{output.rstrip('/')}.tmp"
  if tf.io.gfile.exists(temporary):
    tf.io.gfile.rmtree(temporary)
  traced = functions.signatures_of(
    model,
    front_end=front_end,
    vocabulary=vocabulary,
    read_outs=read_outs,
    top_k=top_k,
  )
  tf.saved_model.save(_module(model, traced), temporary, signatures=traced)
  if names is not None:
    names.write(files.join(temporary, label_names_lib.FILE_NAME))
  if portable and sounds is not None:
    made = convert.convert(
      portable, model, front_end=front_end, read_outs=read_outs, say=say
    )
    card |= _checked(temporary, made, sounds, len(vocabulary))
  _put(temporary, output, card)
  return card


def _put(temporary: str, output: str, card: dict[str, Any]) -> None:
  """Completes an export with its cards, and puts it where it belongs."""
  files.write_json(files.join(temporary, _CARD_FILE), card)
  with files.atomic_write(files.join(temporary, "README.md"), "w") as file:
    file.write(card_text.text(card))
  if tf.io.gfile.exists(output):
    tf.io.gfile.rmtree(output)
  tf.io.gfile.rename(temporary, output.rstrip("/"))


def _checked(
  directory: str,
  made: Iterable[tuple[str, bytes]],
  sounds: check_sounds.Sounds,
  num_labels: int,
) -> dict[str, Any]:
  """Writes formats beside a SavedModel, each once it agrees with that.

  Returns:
    What the card says of them: `formats`, `checked_on`.

  Raises:
    DataError: one does not agree.
  """
  loaded = tf.saved_model.load(directory)
  reference = checks.Reference(
    run_formats.saved_model(loaded, num_labels), sounds
  )
  formats = {}
  for name, content in made:
    compared = checks.compare(reference, name, content)
    with files.atomic_write(files.join(directory, convert.FILES[name])) as file:
      file.write(content)
    formats[name] = {
      "file": convert.FILES[name],
      "bytes": len(content),
      "sha256": hashlib.sha256(content).hexdigest(),
      "compared": compared,
    }
  return {"formats": formats, "checked_on": reference.to_json()}


def fingerprint(
  model: embedder.Embedder,
  front_end: types.LogMelFrontEnd,
  vocabulary: Sequence[str],
  z_score: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
) -> str:
  """Hexadecimal SHA-256 of weights, front end, vocabulary and z-scores.

  Embeddings with different fingerprints must not be compared.
  """
  digest = hashlib.sha256()
  for name, part in sorted(model.parts.items()):
    for variable in part.variables:
      value = variable.numpy()
      digest.update(f"{name} {value.dtype} {value.shape}".encode())
      digest.update(value.tobytes())
  digest.update(json.dumps(front_end.to_json(), sort_keys=True).encode())
  digest.update("\n".join(vocabulary).encode())
  for values in z_score or ():
    digest.update(values.tobytes())
  return digest.hexdigest()


def _label_names(
  model: embedder.Embedder,
  vocabulary: Sequence[str],
  label_names: label_names_lib.LabelNames | None,
) -> label_names_lib.LabelNames | None:
  """Names of the label head's rows, checked; None without such a head."""
  if model.label_head is None:
    return None
  if model.label_head.num_labels != len(vocabulary):
    raise errors.DataError(
      f"the model has {model.label_head.num_labels} labels, the vocabulary"
      f" {len(vocabulary)}"
    )
  if label_names is None:
    return label_names_lib.LabelNames.plain(vocabulary)
  if list(label_names.labels) != list(vocabulary):
    raise errors.DataError("the names of the labels are not the vocabulary's")
  return label_names


def _num_factors(model: embedder.Embedder) -> int:
  if model.cf_head is None:
    raise errors.ConfigError(
      "read-out predicted_cf: the network has no CF head"
    )
  return int(model.cf_head.num_factors or 0)


def _there(
  output: str, card: dict[str, Any], overwrite: bool
) -> dict[str, Any] | None:
  """The card of this export where it is there; None where it may be written."""
  if not files.exists(output) or not tf.io.gfile.listdir(output):
    return None
  path = files.join(output, _CARD_FILE)
  if files.exists(path):
    found = files.read_json(path)
    names = [convert.FILES[name] for name in card["formats"]]
    is_whole = all(files.exists(files.join(output, name)) for name in names)
    if is_whole and model_card.same(found, card):
      return dict(found)
    if overwrite and model_card.is_card(found):
      return None
  raise errors.ConfigError(
    f"{output}: already holds something else; choose another output directory,"
    " or replace an earlier export with --overwrite"
  )


def _versions(formats: Sequence[str]) -> dict[str, str]:
  """Of the packages that make an export."""
  packages = ["music_embed", "tensorflow"]
  packages += ["tf2onnx", "onnxruntime"] if "onnx" in formats else []
  found = {}
  for package in packages:
    with contextlib.suppress(metadata.PackageNotFoundError):
      found[package] = metadata.version(package)
  return found


def _module(model: embedder.Embedder, traced: functions.Functions) -> tf.Module:
  """The object to save."""
  module = tf.Module(name="music_embed")
  # Variables only: Keras layers would add traces of their own. `network`
  # names them by their place here.
  module.weights = list(model.variables)
  for name, function in traced.items():
    setattr(module, name, function)
  return module
