"""Tests of the names of labels, and of their table on disk."""

import pathlib

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.records import label_names


def _names() -> label_names.LabelNames:
  return label_names.LabelNames(
    labels=["3_bebop", "hard bop", "bebop", "12_bebop", "ドルド"],
    counts=np.array([5, 9, 4, 40, 2]),
    term_names=["hard bop", "bebop", "ドルド"],
    terms=np.array([1, 0, 1, 1, 2]),
    clusters=np.array([3, -1, -1, 12, -1]),
  )


def test_a_table_gives_back_what_was_written(tmp_path: pathlib.Path):
  names = _names()
  path = str(tmp_path / "labels.tsv")
  names.write(path)
  again = label_names.LabelNames.read(path)
  assert list(again.labels) == names.labels
  assert again.counts.tolist() == [5, 9, 4, 40, 2]
  assert again.clusters.tolist() == [3, -1, -1, 12, -1]
  assert [again.term_names[t] for t in again.terms] == [
    names.term_names[t] for t in names.terms
  ]
  found = again.find("bebop")
  assert found is not None
  assert [again.labels[i] for i in found.labels] == [
    "12_bebop",
    "3_bebop",
    "bebop",
  ]


def test_rare_senses_are_left_to_those_who_name_them():
  names = _names()
  labels = names.labels_of(1)
  assert names.counts[labels].tolist() == [40, 5, 4]
  assert [names.labels[i] for i in names.without_rare(labels)] == ["12_bebop"]
  assert names.without_rare(labels[1:]).tolist() == labels[1:].tolist()


def test_labels_of_unknown_frequency_are_all_kept():
  names = label_names.LabelNames.plain(["a", "b"])
  assert names.without_rare(np.array([1, 0])).tolist() == [1, 0]


def test_a_term_without_labels_has_none():
  names = label_names.LabelNames(
    labels=["a"],
    counts=np.array([1]),
    term_names=["b", "a", "c"],
    terms=np.array([1]),
    clusters=np.array([-1]),
  )
  assert [names.labels_of(t).tolist() for t in range(3)] == [[], [0], []]


def test_what_is_unknown_is_not_found():
  names = _names()
  assert names.find("polka") is None
  assert names.unknown("polka") == ""
  assert names.unknown("bepop") == "near it: bebop"
  assert names.unknown("7_bebop") == (
    "there is no such sense; 'bebop' has 12_bebop, 3_bebop, bebop"
  )


@pytest.mark.parametrize(
  ("text", "place"),
  [
    ("label\tterm\n", "line 1"),
    ("label\tterm\tcluster\trecordings\na\ta\t\t1\nb\tb\n", "line 3"),
    ("label\tterm\tcluster\trecordings\na\ta\tx\t1\n", "line 2"),
    ("label\tterm\tcluster\trecordings\na\ta\t\t1\n\nb\tb\t\t1\n", "line 3"),
  ],
)
def test_a_damaged_table_is_named_with_its_line(text, place, tmp_path):
  path = tmp_path / "labels.tsv"
  path.write_text(text, encoding="utf-8")
  with pytest.raises(errors.DataError, match=rf"labels\.tsv: {place}"):
    label_names.LabelNames.read(str(path))
