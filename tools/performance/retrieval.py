"""The index of a large catalogue: what the automatic one finds, beside all.

Drawn vectors: artists scatter around genres, recordings around artists, along
axes of falling variance, so that some 20 of 128 dimensions count; words are
directions near genres. Each step is a process of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.data.records import label_names
from music_embed.retrieval import build, entries
from music_embed.retrieval import index as index_lib
from music_embed.retrieval import search as search_lib
from music_embed.retrieval import vectors as vectors_lib
from tools.performance import measure

Array = npt.NDArray[Any]

_DIM = 128
_GENRES = 300
_RECORDINGS_AN_ARTIST = 12
_BLOCK = 1 << 16
_ROUNDS = 3
_SINGLE = 100
_FLAT = 100
_K = (10, 100)
_UNITS = {"memory": "MB", "own_memory": "MB", "open_ms": "ms"}
_EQUAL = 1e-6
"""Cosines that differ by less are equal."""


@dataclasses.dataclass(frozen=True)
class Size:
  """Of what is drawn.

  Attributes:
    recordings: in the index.
    queries: of each kind.
  """

  recordings: int = 1_000_000
  queries: int = 1_000


def figures(
  scratch: str, size: Size | None = None, kind: str = "auto"
) -> list[measure.Figure]:
  """Building, memory, recall and queries a second; automatic beside flat."""
  size = size or Size()
  of = {"recordings": size.recordings, "queries": size.queries}
  kinds = ("flat", kind)
  built = {name: _run("build", scratch, kind=name, **of) for name in kinds}
  _run("exact", scratch, kind="flat", **of)
  rounds = [
    {name: _run("ask", scratch, kind=name, **of) for name in kinds}
    for _ in range(_ROUNDS)
  ]
  flat, found = (_median([usages[name] for usages in rounds]) for name in kinds)
  before, now = (built[name] for name in kinds)
  result = [
    measure.Figure("index_recordings", size.recordings, "of 128 numbers")
  ]
  for name, value, unit in (
    ("build", lambda usage: usage.wall_s, "s"),
    ("build_cpu", lambda usage: usage.cpu_s, "CPU-s"),
    ("build_peak", lambda usage: usage.peak_bytes / 1e6, "MB"),
    ("on_disk", lambda usage: usage.result["bytes"] / 1e6, "MB"),
  ):
    result.append(_beside(name, value(now), unit, value(before)))
  for name, number in found.items():
    unit = _UNITS.get(name, "" if "recall" in name else "queries/CPU-s")
    result.append(_beside(name, number, unit, flat[name]))
  return result


def _beside(name: str, value: float, unit: str, flat: float) -> measure.Figure:
  return measure.Figure.beside(f"index_{name}", value, unit, "flat", flat)


def _median(usages: Sequence[measure.Usage]) -> dict[str, float]:
  """Of what processes printed, and the most memory of one with mapped files."""
  return {
    key: statistics.median(usage.result[key] for usage in usages)
    for key in usages[0].result
  } | {"memory": max(usage.peak_bytes for usage in usages) / 1e6}


def _drawn(size: Size) -> Iterator[Array]:
  """Vectors of recordings, float32 [n, dim] at a time; the same each time."""
  rng = np.random.Generator(np.random.Philox(1))
  genres, around = _genres(rng)
  artists = size.recordings // _RECORDINGS_AN_ARTIST + 1
  made_by = genres[rng.integers(0, _GENRES, artists)] + 0.55 * around(artists)
  for start in range(0, size.recordings, _BLOCK):
    n = min(_BLOCK, size.recordings - start)
    yield made_by[rng.integers(0, artists, n)] + 0.45 * around(n)


def _genres(
  rng: np.random.Generator,
) -> tuple[Array, Callable[[int], Array]]:
  """Centres, and what draws deviations from them."""
  spread = np.arange(1, _DIM + 1, dtype=np.float32) ** -0.5
  spread /= np.linalg.norm(spread)

  def around(n: int) -> Array:
    return rng.standard_normal((n, _DIM), dtype=np.float32) * spread

  return 0.6 * around(1) + 0.75 * around(_GENRES), around


def _words(n: int) -> Array:
  """Unit vectors between genres and nowhere, float32 [n, dim]."""
  rng = np.random.Generator(np.random.Philox(2))
  genres, _ = _genres(np.random.Generator(np.random.Philox(1)))
  _, around = _genres(rng)
  centred = genres - genres.mean(axis=0)
  return vectors_lib.unit(
    centred[rng.integers(0, _GENRES, n)] + 0.6 * around(n)
  )


def _queries(folder: str, size: Size) -> dict[str, Array]:
  """Sounds that are not in the index, words, and words less other words."""
  rng = np.random.Generator(np.random.Philox(3))
  index = index_lib.Index.open(_folder(folder, "flat"))
  rows = np.sort(rng.choice(size.recordings, size.queries, replace=False))
  _, around = _genres(rng)
  sounds = index.vectors[rows] + 0.2 * around(len(rows))
  words = _words(2 * size.queries)[size.queries :]  # Not those it tunes with.
  others = words[rng.permutation(len(words))]
  return {
    "sounds": vectors_lib.unit(sounds),
    "words": words,
    "mixes": vectors_lib.unit(words - 0.5 * others),
  }


def _folder(folder: str, kind: str) -> str:
  return os.path.join(folder, f"index_{kind}")


def _build(flags: argparse.Namespace, size: Size) -> dict[str, float]:
  def batches() -> Iterator[entries.Entries]:
    start = 0
    for block in _drawn(size):
      ids = [f"{start + place:08d}" for place in range(len(block))]
      yield entries.Entries.bare(ids, block)
      start += len(block)

  words = _words(size.queries)
  names = label_names.LabelNames.plain([f"word {n}" for n in range(len(words))])
  source = build.Source(batches, _DIM, words=build.Words(names, words))
  folder = _folder(flags.folder, flags.kind)
  built = build.build(folder, source, kind=flags.kind)
  measure.say(f"  {built.card.kind} {json.dumps(built.card.finder)}")
  stored = built.card.stored.values()
  return {"bytes": sum(file.size for file in stored)}


def _exact(flags: argparse.Namespace, size: Size) -> dict[str, float]:
  """Keeps the cosine of each query's k-th nearest."""
  index = index_lib.Index.open(_folder(flags.folder, "flat"))
  for name, queries in _queries(flags.folder, size).items():
    scores, _ = index.nearest(queries, max(_K))
    np.save(os.path.join(flags.folder, f"{name}.npy"), scores)
  return {}


def _ask(flags: argparse.Namespace, size: Size) -> dict[str, float]:
  queries = _queries(flags.folder, size)
  if flags.kind == "flat":  # Whose recall is known, and rate soon seen.
    queries = {name: asked[:_FLAT] for name, asked in queries.items()}
  began = time.perf_counter()
  index = index_lib.Index.open(_folder(flags.folder, flags.kind))
  index.nearest(queries["sounds"][:1], 10)
  found = {"open_ms": 1000 * (time.perf_counter() - began)}
  for name, asked in queries.items():
    exact = np.load(os.path.join(flags.folder, f"{name}.npy"))[: len(asked)]
    for k in _K:
      began = time.process_time()
      scores, _ = index.nearest(asked, k)
      rate = len(asked) / (time.process_time() - began)
      hits = (scores >= exact[:, k - 1 : k] - _EQUAL).mean()
      found[f"recall_at_{k}_{name}"] = float(hits)
      if k == _K[0]:
        found[f"batch_{name}"] = rate
  few = queries["sounds"][:_SINGLE]
  found["single"] = _rate(lambda q: index.nearest(q[None], 10), few)
  searcher = search_lib.Searcher(index)
  _ = index.label_names
  last = size.queries - 1
  texts = [f"+'word {n % last}' -'word {n % last + 1}'" for n in range(_SINGLE)]
  found["text"] = _rate(searcher.search, texts)
  found["own_memory"] = _anonymous() / 1e6
  return found


def _anonymous() -> int:
  """Bytes that this process holds beside pages of mapped files."""
  status = pathlib.Path("/proc/self/status").read_text()
  return 1024 * int(status.partition("RssAnon:")[2].split()[0])


def _rate(call: Callable[[Any], Any], asked: Sequence[Any] | Array) -> float:
  """Calls per CPU-second of all threads."""
  began = time.process_time()
  for one in asked:
    call(one)
  return len(asked) / (time.process_time() - began)


_STEPS = {"build": _build, "exact": _exact, "ask": _ask}


def _run(step: str, folder: str, **settings: str | int) -> measure.Usage:
  given = [f"--{name}={value}" for name, value in settings.items()]
  usage = measure.run_apart(__name__, [step, f"--folder={folder}", *given])
  measure.say(
    f"  {step} {settings['kind']}: {usage.wall_s:.1f} s, {usage.cpu_s:.1f}"
    f" CPU-s, {usage.peak_bytes / 1e6:.0f} MB, {usage.result}"
  )
  return usage


def main() -> int:
  """Does one step; prints one line of JSON."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("step", choices=sorted(_STEPS))
  parser.add_argument("--folder", required=True)
  parser.add_argument("--kind", required=True)
  parser.add_argument("--recordings", type=int, default=Size.recordings)
  parser.add_argument("--queries", type=int, default=Size.queries)
  flags = parser.parse_args()
  size = Size(flags.recordings, flags.queries)
  print(json.dumps(_STEPS[flags.step](flags, size)))
  return 0


if __name__ == "__main__":
  sys.exit(main())
