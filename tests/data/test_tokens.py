"""Words of many scripts, and their n-grams."""

import pytest

from music_embed.data.mining import tokens


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("Hello, World!", ["hello", "world"]),
    ("don't rock’n’roll 'quoted'", ["don't", "rock'n'roll", "quoted"]),
    ("Ｆｕｌｌｗｉｄｔｈ ﬁne", ["fullwidth", "fine"]),
    ("STRASSE straße", ["strasse", "strasse"]),
    ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
    ("snake_case 46_bebop", ["snake", "case", "46", "bebop"]),
    ("R.E.M. 3.14 AC/DC", ["r.e.m", "3.14", "ac", "dc"]),
    ("🎵 ♫ ... -- \ufe0f", []),
    ("🎵love🎵 ❤️ me", ["love", "me"]),
    ("", []),
    ("bad \udc80 surrogate", ["bad", "surrogate"]),
  ],
)
def test_text_is_split_into_words(text: str, words: list[str]) -> None:
  assert tokens.tokenize(text) == words


@pytest.mark.parametrize(
  ("language", "text", "words"),
  [
    ("Hindi", "हिन्दी संगीत", ["हिन्दी", "संगीत"]),
    ("Tamil", "தமிழ் பாடல்கள்", ["தமிழ்", "பாடல்கள்"]),
    ("Arabic", "الموسيقى العربية", ["الموسيقى", "العربية"]),
    ("Hebrew", "מוזיקה ישראלית", ["מוזיקה", "ישראלית"]),
    ("Russian", "русская МУЗЫКА", ["русская", "музыка"]),
    ("Greek", "Ελληνική ΜΟΥΣΙΚΉ", ["ελληνική", "μουσική"]),
    ("Korean", "케이팝 음악", ["케이팝", "음악"]),
    ("Japanese", "東京ブルース", ["東京", "ブルース"]),
    ("Japanese, narrow", "ｶﾞﾗｽ 少年", ["ガラス", "少年"]),
    ("Chinese", "我爱北京天安门", ["我", "爱", "北京", "天安门"]),
    ("Thai", "เพลงไทยสากล", ["เพลง", "ไทย", "สากล"]),
    ("Thai with vowel sign am", "น้ำตกทำไม", ["น้ำตก", "ทำไม"]),
    ("Lao", "ນັກຮ້ອງລາວ", ["ນັກຮ້ອງ", "ລາວ"]),
    ("Lao with vowel sign am", "ນ້ຳຕົກ", ["ນ້ຳ", "ຕົກ"]),
    ("Khmer", "ចម្រៀងខ្មែរ", ["ចម្រៀង", "ខ្មែរ"]),
    ("Burmese", "မြန်မာသီချင်း", ["မြန်မာ", "သီချင်း"]),
    (
      "mixed",
      "YOASOBI「夜に駆ける」MV",
      ["yoasobi", "夜", "に", "駆ける", "mv"],
    ),
  ],
)
def test_words_of_scripts_with_and_without_spaces_are_found(
  language: str, text: str, words: list[str]
) -> None:
  assert tokens.tokenize(text) == words, language


def test_invisible_characters_do_not_make_another_word() -> None:
  with_joiner, without = "می\u200cخواهم", "میخواهم"
  assert tokens.tokenize(with_joiner) == tokens.tokenize(without) == [without]
  assert tokens.tokenize("co\u00adop \u202brock\u202c") == ["coop", "rock"]


def test_a_document_has_its_ngrams_once_and_none_across_texts() -> None:
  grams = tokens.document_ngrams(("a b a b", "c"), 3)
  assert grams == ["a", "b", "a b", "b a", "a b a", "b a b", "c"]


def test_ngrams_of_scripts_without_spaces_are_of_words() -> None:
  grams = tokens.document_ngrams(("東京ブルース",), 2)
  assert grams == ["東京", "ブルース", "東京 ブルース"]


def test_normalizing_is_idempotent() -> None:
  for text in ("Ｆｕｌｌ ﬁne", "น้ำตก", "ΜΟΥΣΙΚΉΣ", "rock’n’roll", "\udc80"):
    once = tokens.normalize(text)
    assert tokens.normalize(once) == once


def test_no_ngram_crosses_a_line_of_a_description():
  grams = tokens.document_ngrams(("pop rock\njazz\r\nblues",), 2)
  assert grams == ["pop", "rock", "pop rock", "jazz", "blues"]
