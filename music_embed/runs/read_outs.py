"""The read-outs that an export offers, as evaluation has them."""

from __future__ import annotations

from collections.abc import Sequence

from music_embed.core import errors
from music_embed.data.records import prepared
from music_embed.evaluation import systems
from music_embed.export import signatures
from music_embed.models import embedder as embedder_lib
from music_embed.runs import compared, validation


def read_outs(
  embedder: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
  names: Sequence[str] = (),
  *,
  max_train_recordings: int = 20_000,
  seed: int = 0,
) -> signatures.ReadOuts:
  """What is said of a recording besides its plain mean embedding.

  Args:
    embedder: a trained network.
    data: the dataset that it was trained on; for z-scores, windows of its
      training part are embedded.
    names: of `evaluation.systems.READ_OUTS`; without any, those that cost
      nothing: what a CF head predicts, where there is one.
    max_train_recordings: sampled from a larger training part, as evaluation
      does by default.
    seed: of that sample.

  Raises:
    ConfigError: there is no such read-out, or no CF head for it.
  """
  for name in names:
    if name not in systems.READ_OUTS:
      raise errors.ConfigError(
        f"--read_out={name}: choose of {', '.join(systems.READ_OUTS)}"
      )
  if "predicted_cf" in names and embedder.cf_head is None:
    raise errors.ConfigError(
      "--read_out=predicted_cf: the network has no CF head; name a run of"
      " cf_regression.gin or cf_label.gin"
    )
  z_score = None
  if "z_scored" in names:
    train = compared.sampled_recordings(
      data, 0, max_train_recordings, seed
    ).train
    run = validation.recording_embedder(embedder, data)
    score = systems.ZScore.of(
      run(validation.all_windows(data, train)).embeddings
    )
    z_score = score.mean, score.scale
  has_cf = embedder.cf_head is not None
  return signatures.ReadOuts(
    z_score, has_cf and (not names or "predicted_cf" in names)
  )
