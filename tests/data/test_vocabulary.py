"""N-grams counted over documents."""

import pytest

from music_embed.core import errors
from music_embed.data.mining import vocabulary

_OPTIONS = vocabulary.VocabularyOptions


def test_labels_are_ranked_by_documents_with_ties_in_code_point_order() -> None:
  documents = [("rock rock rock", "b"), ("rock", "a"), ("pop", "b")]
  options = _OPTIONS(num_labels=4, max_ngram=1)
  found = vocabulary.count_vocabulary(documents, options)
  assert found.labels == ("b", "rock", "a", "pop")
  assert found.counts == (2, 2, 1, 1)
  backwards = vocabulary.count_vocabulary(documents[::-1], options)
  assert backwards == found


def test_only_the_most_frequent_labels_are_kept() -> None:
  documents = [("x y",), ("x",), ("x z",), ("z",)]
  options = _OPTIONS(num_labels=2, max_ngram=1)
  assert vocabulary.count_vocabulary(documents, options).labels == ("x", "z")
  options = _OPTIONS(max_ngram=1, min_documents=3)
  assert vocabulary.count_vocabulary(documents, options).labels == ("x",)


def test_frequent_words_are_not_filtered() -> None:
  documents = [("the band",)] * 5
  found = vocabulary.count_vocabulary(documents, _OPTIONS())
  assert found.labels == ("band", "the", "the band")


def test_words_of_too_many_documents_can_be_left_out() -> None:
  # Of five texts, "the" is in all, "band" in 3, "x" and "y" in 1.
  documents = [("the band",), ("the band x",), ("the band y",), ("the",)]
  documents.append(("the",))
  options = _OPTIONS(max_ngram=1, max_document_share=0.6)
  found = vocabulary.count_vocabulary(documents, options)
  assert found.labels == ("band", "x", "y")
  options = _OPTIONS(max_ngram=1, max_document_share=0.59)
  assert vocabulary.count_vocabulary(documents, options).labels == ("x", "y")


@pytest.mark.parametrize("share", [0.0, 1.01])
def test_a_share_that_is_none_is_refused(share: float) -> None:
  with pytest.raises(errors.ConfigError, match="max_document_share"):
    _OPTIONS(max_document_share=share)


def test_label_ids_are_the_sorted_positions_of_known_ngrams() -> None:
  found = vocabulary.Vocabulary(("b", "a b", "a", "z"), (4, 3, 2, 1), 2)
  assert found.label_ids("A b", "unknown").tolist() == [0, 1, 2]
  assert found.label_ids("nothing").tolist() == []
