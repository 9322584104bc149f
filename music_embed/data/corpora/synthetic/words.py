"""Invented words in several scripts."""

from __future__ import annotations

import numpy as np

_SCRIPTS = {
  "latin": "ka ro mi te lu san dor vi bel nu fa gri zo pe tra shi mo lek",
  "cyrillic": "ка ро ми те лу сан дор ви бел ну фа гри зо пе тра ши",
  "greek": "κα ρο μι τε λου σαν δορ βι μπελ νου φα γρι ζο πε τρα",
  "kana": "カ ロ ミ テ ル サン ドル ビ ベル ヌ ファ ゾ ペ シ モ",
  "devanagari": "का रो मी ते लू सन दोर वी बेल नू फा ज़ो पे त्रा",
}
_SYLLABLES = {name: text.split() for name, text in _SCRIPTS.items()}
_NON_LATIN = tuple(name for name in _SCRIPTS if name != "latin")


class WordMaker:
  """Makes words, never the same twice."""

  def __init__(self, rng: np.random.Generator) -> None:
    self._rng = rng
    self._made: set[str] = set()

  def words(
    self, count: int, *, syllables: int = 2, foreign_share: float = 0.0
  ) -> list[str]:
    """Makes lower-case words.

    Args:
      count: of words.
      syllables: at least; more where all short words are taken.
      foreign_share: chance of a word in a script other than Latin.
    """
    return [self._word(syllables, foreign_share) for _ in range(count)]

  def _word(self, syllables: int, foreign_share: float) -> str:
    script = "latin"
    if self._rng.random() < foreign_share:
      script = str(self._rng.choice(_NON_LATIN))
    for attempt in range(10_000):
      length = syllables + attempt // 20
      word = "".join(self._rng.choice(_SYLLABLES[script], length))
      if word not in self._made:
        self._made.add(word)
        return word
    raise AssertionError("words of growing length cannot all be taken")
