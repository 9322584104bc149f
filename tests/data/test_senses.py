import collections

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.mining import senses

_VOCABULARY = ["bebop", "live", "hall", "1_live"]
_ROWS = [[0, 1], [0, 1], [0], [0, 1, 2], [1, 3], [0, 2], [0]]
_CLUSTERS = np.array([0, 0, 1, 1, 1, -1, 1], np.int32)


def _split(rows=_ROWS, found=_CLUSTERS, num_train=6, **options):
  indptr = np.cumsum([0, *map(len, rows)])
  indices = np.array([label for row in rows for label in row], np.int32)
  return senses.split_labels(
    indptr,
    indices,
    _VOCABULARY,
    found,
    range(num_train),
    senses.SenseOptions(**({"min_recordings": 2} | options)),
  )


def _texts(split):
  return [
    {split.labels[i] for i in split.indices[start:end]}
    for start, end in zip(split.indptr[:-1], split.indptr[1:], strict=True)
  ]


def test_labels_are_prefixed_with_their_recordings_cluster():
  texts = _texts(_split())
  assert texts[0] == {"0_bebop", "0_live"}
  assert texts[2] == {"1_bebop"}


def test_rare_senses_and_recordings_without_a_cluster_keep_the_plain_label():
  texts = _texts(_split())
  assert texts[3] == {"1_bebop", "live", "hall"}  # Of the two one is taken.
  assert texts[5] == {"bebop", "hall"}


def test_a_sense_that_reads_like_a_plain_label_folds_back():
  assert _texts(_split())[4] == {"live", "1_live"}


def test_only_training_recordings_count():
  split = _split(num_train=3)
  assert "1_bebop" not in split.labels
  assert dict(zip(split.labels, split.counts, strict=True)) == {
    "0_bebop": 2,
    "0_live": 2,
    "bebop": 1,
    "live": 0,
    "hall": 0,
    "1_live": 0,
  }


def test_the_most_frequent_senses_fill_the_vocabulary():
  split = _split(max_labels=5, min_recordings=1)
  assert [label for label in split.labels if "_bebop" in label] == ["0_bebop"]
  assert _texts(split)[0] == {"0_bebop", "live"}
  with pytest.raises(errors.ConfigError, match="4 plain labels already"):
    _split(max_labels=3)


def test_it_equals_the_obvious_way_on_random_labels():
  rng = np.random.default_rng(0)
  rows = [sorted(set(rng.integers(0, 3, 3).tolist())) for _ in range(200)]
  found = rng.integers(-1, 5, 200).astype(np.int32)
  split = _split(rows, found, num_train=150, min_recordings=9)
  count = collections.Counter(
    (found[r], label) for r in range(150) for label in rows[r]
  )
  names = lambda r, label: (
    f"{found[r]}_{_VOCABULARY[label]}"
    if found[r] >= 0
    and count[found[r], label] >= 9
    and (found[r], label) != (1, 1)
    else _VOCABULARY[label]
  )
  expected = [{names(r, label) for label in rows[r]} for r in range(200)]
  assert _texts(split) == expected
  trained = collections.Counter(t for row in expected[:150] for t in row)
  assert [trained[label] for label in split.labels] == split.counts.tolist()
  keys = [(-trained[label], label) for label in split.labels]
  assert keys == sorted(keys)
  for label, plain, cluster in zip(
    split.labels, split.plain, split.cluster, strict=True
  ):
    prefix = f"{cluster}_" if cluster >= 0 else ""
    assert label == prefix + _VOCABULARY[plain]
  for row in np.split(split.indices, split.indptr[1:-1]):
    assert (np.diff(row) > 0).all()
