"""Indexes of a few drawn recordings, with words, for tests that search."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from music_embed.data.records import label_names
from music_embed.retrieval import build, entries, finder_build
from music_embed.retrieval import index as index_lib

DIM = 8
LABELS = ("0_bebop", "1_bebop", "piano", "drums", "hard bop", "bop", "hard")
FINGERPRINT = "f" * 64


def vectors(
  size: int, seed: int = 1, dim: int = DIM
) -> npt.NDArray[np.float32]:
  """Directions around ten centres, float32 [size, dim], of norms below 1."""
  rng = np.random.default_rng(seed)
  centres = rng.normal(size=(10, dim))
  drawn = centres[rng.integers(0, 10, size)] + 0.4 * rng.normal(
    size=(size, dim)
  )
  drawn *= 0.9 / np.linalg.norm(drawn, axis=1, keepdims=True)
  return drawn.astype(np.float32)


def recordings(size: int, seed: int = 1, first: int = 0) -> entries.Entries:
  """Recordings r0, r1 ...; three of each artist, written in two ways."""
  numbers = range(first, first + size)
  names = [f"Artist {n // 3}" for n in numbers]
  return entries.Entries(
    ids=[f"r{n}" for n in numbers],
    vectors=vectors(size, seed),
    titles=[f"Title {n}" for n in numbers],
    artists=[f" {a.upper()}" if n % 2 else a for n, a in enumerate(names)],
    audio=[f"/music/{n}.mp3" for n in numbers],
    durations_s=[30.0 + n for n in numbers],
    labels=[["piano", "drums"] for _ in numbers],
    scores=[[0.5, 0.25] for _ in numbers],
  )


def words(labels: Sequence[str] = LABELS, seed: int = 2) -> build.Words:
  """A direction for each label; `0_bebop` and `1_bebop` are senses."""
  drawn = np.random.default_rng(seed).normal(size=(len(labels), DIM))
  drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
  terms = [label.rpartition("_")[2] for label in labels]
  names = list(dict.fromkeys(terms))
  known = label_names.LabelNames(
    labels=list(labels),
    counts=np.arange(len(labels), 0, -1),
    term_names=names,
    terms=np.array([names.index(term) for term in terms]),
    clusters=np.array(
      [int(label[0]) if "_" in label else -1 for label in labels]
    ),
  )
  return build.Words(known, drawn.astype(np.float32))


def source(
  *batches: entries.Entries,
  fingerprint: str = FINGERPRINT,
  with_words: bool = True,
) -> build.Source:
  """These recordings, of a model that knows `LABELS`."""

  def given() -> Iterator[entries.Entries]:
    yield from batches

  return build.Source(
    batches=given,
    dim=batches[0].vectors.shape[1],
    fingerprint=fingerprint,
    model="/models/tiny",
    words=words() if with_words else None,
  )


def make(
  folder: pathlib.Path,
  size: int = 60,
  *,
  kind: finder_build.WantedKind = "auto",
  with_words: bool = True,
) -> index_lib.Index:
  """Builds and opens an index of `recordings`."""
  made = source(recordings(size), with_words=with_words)
  build.build(str(folder), made, kind=kind)
  return index_lib.Index.open(str(folder))
