"""Queries of any text are answered or refused in one line."""

import hypothesis
import pytest
import tiny_indexes
from hypothesis import strategies

from music_embed.core import errors
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import query

_PIECES = strategies.sampled_from(
  [*tiny_indexes.LABELS, "bebop", "r7", "+", "-", "'", '"', " ", "  ", "id:"]
  + ["word:", "file:", "\n", "\x00", "/", "～", "é", "x" * 300, "\ud800"]
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> index_lib.Index:
  return tiny_indexes.make(tmp_path_factory.mktemp("index"), 20)


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(
  text=strategies.text() | strategies.lists(_PIECES).map("".join),
  takes_paths=strategies.booleans(),
)
def test_any_text_is_understood_or_refused_in_a_line(
  index: index_lib.Index, text: str, takes_paths: bool
) -> None:
  try:
    parts = query.understood(text, index, takes_paths=takes_paths)
  except errors.MusicEmbedError as error:
    told = str(error)
    parts = []
  else:
    told = "understood"
    assert any(part.sign > 0 for part in parts)
  assert len(told.splitlines()) == 1
  for part in parts:
    assert part.labels or part.kind in ("recording", "file")


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(
  strategies.lists(
    strategies.tuples(
      strategies.sampled_from(["", "+", "-", "+ ", "- "]),
      strategies.sampled_from(["piano", "drums", "r7", "0_bebop", "hard bop"]),
      strategies.sampled_from(["", "'", '"']),
    ),
    min_size=1,
  )
)
def test_parts_are_read_as_they_were_written(
  index: index_lib.Index, written: list[tuple[str, str, str]]
) -> None:
  text = " ".join(
    f"{sign}{quote}{name}{quote}" for sign, name, quote in written
  )
  wanted = [(name, -1 if "-" in sign else 1) for sign, name, _ in written]
  if all(sign < 0 for _, sign in wanted):
    with pytest.raises(errors.ConfigError, match="only what is not wanted"):
      query.understood(text, index)
    return
  parts = query.understood(text, index)
  assert [(part.name, part.sign) for part in parts] == wanted
