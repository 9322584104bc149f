"""N-grams in many scripts, counted over documents."""

import pytest

from music_embed.data.mining import vocabulary

_OPTIONS = vocabulary.VocabularyOptions


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("Hello, World!", ["hello", "world"]),
    ("don't rock’n’roll 'quoted'", ["don't", "rock'n'roll", "quoted"]),
    ("Ｆｕｌｌｗｉｄｔｈ ﬁne", ["fullwidth", "fine"]),
    ("STRASSE straße", ["strasse", "strasse"]),
    ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
    ("snake_case 46_bebop", ["snake", "case", "46", "bebop"]),
    ("हिन्दी संगीत", ["हिन्दी", "संगीत"]),
    ("الموسيقى العربية", ["الموسيقى", "العربية"]),
    ("русская МУЗЫКА", ["русская", "музыка"]),
    ("東京ブルース", ["東", "京", "ブルース"]),
    ("케이팝 음악", ["케이팝", "음악"]),
    ("🎵 ♫ ... --", []),
    ("", []),
  ],
)
def test_text_of_any_script_is_split_into_words(
  text: str, words: list[str]
) -> None:
  assert vocabulary.tokenize(text) == words


def test_a_document_has_its_ngrams_once_and_none_across_texts() -> None:
  grams = vocabulary.document_ngrams(("a b a b", "c"), 3)
  assert grams == {"a", "b", "a b", "b a", "a b a", "b a b", "c"}


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


def test_label_ids_are_the_sorted_positions_of_known_ngrams() -> None:
  found = vocabulary.Vocabulary(("b", "a b", "a", "z"), (4, 3, 2, 1), 2)
  assert found.label_ids("A b", "unknown").tolist() == [0, 1, 2]
  assert found.label_ids("nothing").tolist() == []
