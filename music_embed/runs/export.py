"""Exports a trained network as a SavedModel."""

from __future__ import annotations

from collections.abc import Sequence

from music_embed.core import errors, types
from music_embed.data.records import prepared, sense_labels
from music_embed.export import saved_model
from music_embed.runs import read_outs as read_outs_lib
from music_embed.runs import restore


def export(
  *,
  model: str,
  dataset: str,
  output: str,
  read_outs: Sequence[str] = (),
  top_k: int = 10,
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
    overwrite: replace an earlier export in `output`.

  Returns:
    One line that says what was written.

  Raises:
    ConfigError: there is no such checkpoint, `output` holds something else,
      `top_k` is not positive, the dataset does not hold log-mels, or the
      network has no such read-out.
    DataError: there is no such dataset.
  """
  if top_k < 1:
    raise errors.ConfigError(f"--top_k={top_k}: must be at least 1")
  data = prepared.PreparedDataset(dataset)
  if not isinstance(data.front_end, types.LogMelFrontEnd):
    raise errors.ConfigError(
      f"--dataset={dataset} holds {data.front_end.kind} windows: only networks"
      " on log-mels can be exported"
    )
  embedder = restore.load_embedder(model, data, checkpoint="best")
  names = sense_labels.label_names_of(restore.dataset_of(model, data))
  card = saved_model.save(
    embedder,
    output,
    front_end=data.front_end,
    vocabulary=names.labels,
    label_names=names,
    read_outs=read_outs_lib.read_outs(embedder, data, read_outs),
    top_k=top_k,
    overwrite=overwrite,
  )
  signatures = ", ".join(card["signatures"])
  return f"export: {output} ({signatures}; {card['fingerprint'][:12]})"
