"""What a person may ask an index: words, senses, recordings, sounds, mixes.

A query is one of these, or several with a sign: `+piano -drums`,
`hard bop +song.mp3 -'live at'`. Words without a sign are wanted, too. Of
adjacent words the longest run that names something is taken, so `hard bop` is
one term where the model knows it. Quotes keep together what has spaces, and
`word:`, `id:` and `file:` say what a text is where it could be several.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from music_embed.core import errors
from music_embed.retrieval import index as index_lib

Kind = Literal["term", "label", "recording", "file"]

_AUDIO = (
  ".mp3",
  ".flac",
  ".wav",
  ".ogg",
  ".oga",
  ".opus",
  ".m4a",
  ".aac",
  ".aif",
  ".aiff",
  ".wma",
)
_PREFIX = re.compile(r"(word|id|file):(.+)", re.DOTALL)
_MARKED = re.compile(r"""(?:^|\s)(?:[+-]|["'])""")
"""Signs and quotes of a query with several parts."""

_PIECE = re.compile(
  r"""(?P<sign>[+-]\s*)?
      (?P<prefix>(?:word|id|file):)?
      (?:"(?P<double>[^"]*)"(?!\S) | '(?P<single>[^']*)'(?!\S) | (?P<bare>\S+))
  """,
  re.VERBOSE,
)


@dataclasses.dataclass(frozen=True)
class Part:
  """A part of a query.

  Attributes:
    text: as asked.
    kind: what it turned out to be.
    name: of the term, label or recording; a file's path.
    sign: 1, or -1 for what is not wanted.
    labels: rows of a term's or label's vectors, by falling frequency; without
      the term's rare senses.
    row: of a recording, or of a file that is in the index.
  """

  text: str
  kind: Kind
  name: str
  sign: Literal[1, -1]
  labels: tuple[int, ...] = ()
  row: int | None = None


@dataclasses.dataclass(frozen=True)
class _Piece:
  """A word or a quoted text, before anybody knows what it is."""

  text: str
  sign: Literal[1, -1]
  signed: bool
  whole: bool  # Quoted or prefixed: not to be joined with others.


def understood(
  text: str, index: index_lib.Index, *, takes_paths: bool = True
) -> list[Part]:
  """Finds out what a query asks for.

  Args:
    text: the query.
    index: whose words and recordings it may name.
    takes_paths: whether it may name files; else no file is looked at.

  Returns:
    Its parts, at least one, at least one of them wanted.

  Raises:
    ConfigError: a part is nothing that the index or its model knows; says
      what is spelt alike.
    DataError: a part looks like an audio file that is not there.
  """
  text = text.strip()
  if not text:
    raise errors.ConfigError("an empty query: ask for a word or a recording")
  # Ids and paths may have spaces, signs and quotes; words none of the last two.
  if _MARKED.search(text):
    whole = _recording(text, text, 1, index, takes_paths)
  else:
    whole = _named(text, 1, index, takes_paths)
  if whole is not None:
    return [whole]
  parts: list[Part] = []
  pieces = list(_pieces(text))
  while pieces:
    part, used = _longest(pieces, index, takes_paths)
    parts.append(part)
    del pieces[:used]
  if all(part.sign < 0 for part in parts):
    raise errors.ConfigError(
      f"{text!r}: says only what is not wanted: add what is, in the same pair"
      " of quotes ('+piano -drums')"
    )
  return parts


def _pieces(text: str) -> Iterator[_Piece]:
  for found in _PIECE.finditer(text):
    if found["bare"] in ("+", "-"):
      raise errors.ConfigError(f"{text!r}: nothing follows {found['bare']!r}")
    quoted = found["double"] if found["double"] is not None else found["single"]
    inner = found["bare"] if quoted is None else quoted
    if not inner.strip():
      raise errors.ConfigError(f"{text!r}: an empty pair of quotes")
    sign = (found["sign"] or "").strip()
    yield _Piece(
      text=(found["prefix"] or "") + inner,
      sign=-1 if sign == "-" else 1,
      signed=bool(sign),
      whole=quoted is not None or found["prefix"] is not None,
    )


def _longest(
  pieces: Sequence[_Piece], index: index_lib.Index, takes_paths: bool
) -> tuple[Part, int]:
  """The longest run of pieces that names something, and its length."""
  first = pieces[0]
  last = 1
  if not first.whole:
    while last < len(pieces) and not (
      pieces[last].signed or pieces[last].whole
    ):
      last += 1
  for end in range(last, 0, -1):
    text = " ".join(piece.text for piece in pieces[:end])
    part = _named(text, first.sign, index, takes_paths)
    if part is not None:
      return part, end
  raise _unknown(first.text, index, takes_paths)


def _named(
  text: str,
  sign: Literal[1, -1],
  index: index_lib.Index,
  takes_paths: bool,
) -> Part | None:
  """What a text names: term, label, recording or file, in this order."""
  prefixed = _PREFIX.fullmatch(text)
  wanted, name = prefixed.groups() if prefixed else (None, text)
  part = None
  if wanted in (None, "word"):
    part = _word(text, name, sign, index)
  if part is None and wanted != "word":
    part = _recording(text, name, sign, index, takes_paths, wanted)
  return part


def _word(
  text: str, name: str, sign: Literal[1, -1], index: index_lib.Index
) -> Part | None:
  names = index.label_names
  found = None if names is None else names.find(name)
  if names is None or found is None:
    return None
  labels = tuple(int(label) for label in names.without_rare(found.labels))
  return Part(text, found.kind, found.name, sign, labels=labels)


def _recording(
  text: str,
  name: str,
  sign: Literal[1, -1],
  index: index_lib.Index,
  takes_paths: bool,
  wanted: str | None = None,
) -> Part | None:
  """A recording of the index or a file, or the one of these that is wanted.

  A path of a file that is there comes before an id, which may be the path of
  another file below the folder that was indexed.
  """
  may_be_file = takes_paths and wanted != "id"
  path = os.path.abspath(os.path.expanduser(name))
  is_file = may_be_file and os.path.isfile(path)
  row = None
  if may_be_file and _is_path(name):
    row = index.catalogue.row_of_audio(path)
  if row is None and wanted != "file" and not (is_file and _is_path(name)):
    row = index.catalogue.row_of(name)
  if row is not None:
    return Part(text, "recording", index.catalogue.ids[row], sign, row=row)
  return Part(text, "file", os.path.expanduser(name), sign) if is_file else None


def _is_path(text: str) -> bool:
  return os.sep in text or text.lower().endswith(_AUDIO)


def _unknown(
  text: str, index: index_lib.Index, takes_paths: bool
) -> errors.MusicEmbedError:
  """What to tell someone whose text names nothing."""
  prefixed = _PREFIX.fullmatch(text)
  wanted, name = prefixed.groups() if prefixed else (None, text)
  if takes_paths and (wanted == "file" or (not wanted and _is_path(name))):
    path = " ".join(name.split())
    return errors.DataError(f"{path}: no such file, and no id of the index")
  if wanted == "file":
    return errors.ConfigError(f"{name!r}: files cannot be asked for here")
  if wanted == "id":
    return errors.ConfigError(
      f"{name!r}: no recording of the index has this id"
    )
  file = " and no file" if takes_paths else ""
  if index.label_names is None:
    return errors.ConfigError(
      f"{name!r}: no recording's id{file}; this index knows no words, since it"
      " was built without a model that has labels"
    )
  told = "no word of the model"
  if wanted is None:
    told += f", no recording's id{file}"
  advice = index.label_names.unknown(name)
  return errors.ConfigError(f"{name!r}: {told}{'; ' if advice else ''}{advice}")
