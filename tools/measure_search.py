"""Measures what word queries find in a synthetic catalogue.

  tools/measure_search.py --truth=demo/corpus/truth.json --index=demo/index \\
    [--index=NAME=DIR ...] [--dataset=demo/dataset] [--k=10]

Asks each word that the world and the model both know, and prints the share of
the first k recordings that fit it by the generator's truth: over the whole
catalogue, and with --dataset over its evaluation part, which training never
heard. "one meaning" is the share of the first k that fit one meaning of a
word, asked for by its senses where the model has any: a planted word has two.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.records import label_names, prepared
from music_embed.evaluation import word_search
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import search

Mask = npt.NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> int:
  """Parses the flags, measures and prints; returns the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--truth", required=True)
  parser.add_argument("--index", action="append", required=True)
  parser.add_argument("--dataset", help="adds rows for its evaluation part")
  parser.add_argument("--k", type=int, default=10)
  parser.add_argument("--json", metavar="FILE", help="also write it here")
  flags = parser.parse_args(arguments)
  try:
    rows = [row for text in flags.index for row in _measured(text, flags)]
  except errors.MusicEmbedError as error:
    print(f"measure_search.py: error: {error}", file=sys.stderr)
    return 1
  _print(rows)
  if flags.json:
    files.write_json(flags.json, rows)
  return 0


def _measured(
  text: str, flags: argparse.Namespace
) -> Iterator[dict[str, str | float]]:
  """Rows of one index, by part of the catalogue and kind of word."""
  name, _, folder = text.rpartition("=")
  index = index_lib.Index.open(folder)
  if index.label_names is None:
    raise errors.ConfigError(f"{folder}: its model has no words")
  ids = list(index.catalogue.ids)
  with open(flags.truth, encoding="utf-8") as file:
    words = word_search.words_of(json.load(file), ids, flags.truth)
  for part, mask in _parts(ids, flags.dataset):
    found = word_search.precision(
      [_within(word, mask) for word in words],
      _ranked(search.Searcher(index), mask),
      {word.text: _senses(word.text, index.label_names) for word in words},
      k=flags.k,
    )
    for kind, value in found.items():
      yield {
        "index": name or os.path.basename(os.path.normpath(folder)),
        "recordings": f"{part} ({int(mask.sum()):,})",
        "words": f"{kind} ({value.num_words})",
        "chance": value.expected,
        f"precision@{flags.k}": value.found,
        "one meaning": value.one_meaning,
      }


def _parts(
  ids: Sequence[str], dataset: str | None
) -> Iterator[tuple[str, Mask]]:
  yield "all", np.ones(len(ids), bool)
  if dataset is not None:
    data = prepared.PreparedDataset(dataset)
    held_out = {data.recording_ids[i] for i in data.split_range("evaluation")}
    yield "evaluation", np.array([i in held_out for i in ids])


def _within(word: word_search.Word, mask: Mask) -> word_search.Word:
  return word_search.Word(
    word.text, word.kind, word.fits[mask], word.meanings[:, mask]
  )


def _ranked(searcher: search.Searcher, mask: Mask) -> word_search.Rank:
  """Searches all, and numbers recordings of the part by their place in it."""
  place = np.cumsum(mask) - 1

  def rank(text: str) -> npt.NDArray[np.int64]:
    hits = searcher.search(text, k=len(mask)).hits
    return np.array([place[hit.row] for hit in hits if mask[hit.row]])

  return rank


def _senses(text: str, names: label_names.LabelNames) -> list[str]:
  """What to ask for each meaning of a word by; empty for an unknown word."""
  found = names.find(text)
  if found is None:
    return []
  senses = [
    names.labels[label] for label in found.labels if names.clusters[label] >= 0
  ]
  return senses or [text]


def _print(rows: Sequence[dict[str, str | float]]) -> None:
  cells = [list(rows[0])] + [
    [v if isinstance(v, str) else f"{v:.3f}" for v in row.values()]
    for row in rows
  ]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  side: Callable[[int], str] = lambda place: "<" if place < 3 else ">"
  for line in cells:
    print(
      "  ".join(
        f"{cell:{side(place)}{width}}"
        for place, (cell, width) in enumerate(zip(line, widths, strict=True))
      ).rstrip()
    )


if __name__ == "__main__":
  sys.exit(main())
