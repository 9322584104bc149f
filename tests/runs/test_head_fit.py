"""A softmax head on stored embeddings."""

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.records import embedding_store
from music_embed.runs import head_fit

_OPTIONS = head_fit.FitOptions(train_steps=150, batch=16, learning_rate=5e-2)
_LABELS = 6


@pytest.fixture(scope="module")
def store():
  """40 recordings of 1 to 3 rows around one of four corners."""
  rng = np.random.default_rng(3)
  rows_each = rng.integers(1, 4, 40)
  corners = np.repeat(np.arange(40) % 4, rows_each)
  vectors = np.eye(4)[corners] + 0.05 * rng.normal(size=(len(corners), 4))
  indptr = np.concatenate([[0], np.cumsum(rows_each)])
  return embedding_store.EmbeddingStore("", vectors.astype("f4"), indptr)


@pytest.fixture(scope="module")
def labels():
  """Recording i has label i % 4, and each fourth label 4 too; 39 has none."""
  rows = [[i % 4] + ([4] if i % 4 == 3 else []) for i in range(39)] + [[]]
  indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
  return indptr, np.concatenate(rows).astype(np.int32)


def _fit(store, labels, seed=0):
  return head_fit.fit(
    store, *labels, _LABELS, np.arange(40), options=_OPTIONS, seed=seed
  )


def test_it_learns_which_labels_embeddings_have(store, labels) -> None:
  head = _fit(store, labels)
  every = np.arange(_LABELS, dtype=np.int32)
  found = head.summed_posteriors(store, np.arange(40), every, _LABELS)
  assert found.shape == (40, _LABELS)
  np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
  corners = np.arange(40) % 4
  assert (found[:, :4].argmax(axis=1) == corners).all()
  # Labels 3 and 4 share their recordings, and so the targets.
  np.testing.assert_allclose(found[corners == 3, 3:5], 0.5, atol=0.15)
  assert found[:, 5].max() < 0.05


def test_the_same_seed_gives_the_same_head_and_another_another(
  store, labels
) -> None:
  first, again, other = (_fit(store, labels, seed) for seed in (0, 0, 1))
  np.testing.assert_array_equal(first.kernel, again.kernel)
  np.testing.assert_array_equal(first.bias, again.bias)
  assert (first.kernel != other.kernel).any()


@pytest.mark.parametrize("most", [1, 20, 1 << 25])
def test_posteriors_of_groups_are_sums_over_their_labels(
  store, monkeypatch, most
) -> None:
  monkeypatch.setattr(head_fit, "_POSTERIORS", most)
  rng = np.random.default_rng(1)
  head = head_fit.FittedHead(
    rng.normal(size=(_LABELS, 4)).astype("f4"),
    rng.normal(size=_LABELS).astype("f4"),
  )
  recordings = np.array([7, 0, 33])
  groups = np.array([1, 0, -1, 1, 2, 0], np.int32)
  found = head.summed_posteriors(store, recordings, groups, 3)
  for row, index in zip(found, recordings, strict=True):
    rows = store.embeddings[store.indptr[index] : store.indptr[index + 1]]
    logits = rows.astype("f8") @ head.kernel.T + head.bias
    posterior = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    mean = posterior.mean(axis=0)
    expected = [mean[groups == group].sum() for group in range(3)]
    np.testing.assert_allclose(row, expected, rtol=1e-5)


def test_recordings_without_any_label_are_refused(store, labels) -> None:
  with pytest.raises(errors.DataError, match="has a label"):
    head_fit.fit(
      store, *labels, _LABELS, np.array([39]), options=_OPTIONS, seed=0
    )


def test_options_out_of_range_are_refused() -> None:
  with pytest.raises(errors.ConfigError, match="train_steps must be at least"):
    head_fit.FitOptions(train_steps=0)
