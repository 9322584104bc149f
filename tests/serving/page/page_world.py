"""A small catalogue of tones, and what a page does while it is watched."""

import dataclasses
import pathlib

import numpy as np
import numpy.typing as npt
import soundfile
import tiny_exports
import tiny_indexes
from playwright import sync_api

from music_embed.core import types
from music_embed.retrieval import build, entries
from music_embed.retrieval import index as index_lib
from music_embed.serving import model as model_lib

Array = npt.NDArray[np.float32]

SIZE = 36
MISSING = 35
"""A recording whose file is gone."""

MARKUP = "<img src=x onerror=\"document.title='owned'\">"
"""Title of recording 3: what a page must show, and not run."""


@dataclasses.dataclass(frozen=True)
class World:
  """A catalogue on disk.

  Attributes:
    folder: with `audio/`, `export/` and `index/`.
    index: opened.
    audio: file of each recording.
  """

  folder: pathlib.Path
  index: index_lib.Index
  audio: list[pathlib.Path]


def _tone(row: int) -> Array:
  """Four seconds at 16 kHz: a chord, struck again and again."""
  rng = np.random.default_rng(row)
  times = np.arange(4 * 16_000) / 16_000
  pitches = 110 * 2 ** ((row % 6) / 2 + rng.uniform(0, 0.2, 3))
  sound = sum(np.sin(2 * np.pi * pitch * times) for pitch in pitches)
  beat = 1 + row % 4
  return 0.2 * sound * np.exp(-3 * ((times * beat) % 1))


def _rendered(folder: pathlib.Path) -> list[pathlib.Path]:
  folder.mkdir()
  found = []
  for row in range(SIZE):
    ending = ("wav", "flac", "ogg", "mp3")[row % 4]
    path = folder / f"{row:02d} tone.{ending}"
    soundfile.write(path, _tone(row), 16_000)
    found.append(path)
  return found


def _entries(audio: list[pathlib.Path], vectors: Array) -> entries.Entries:
  names = np.array(tiny_indexes.LABELS)
  closeness = vectors @ tiny_indexes.words().vectors.T
  best = np.argsort(-closeness, axis=1)[:, :3]
  return entries.Entries(
    ids=[f"tones/{path.name}" for path in audio],
    vectors=vectors,
    titles=[MARKUP if row == 3 else f"Song {row}" for row in range(SIZE)],
    artists=["" if row == 5 else f"Artist {row // 3}" for row in range(SIZE)],
    audio=[str(path) for path in audio],
    durations_s=[4.0] * SIZE,
    labels=[list(names[some]) for some in best],
    scores=[[0.5, 0.25, 0.125]] * SIZE,
  )


def make(folder: pathlib.Path) -> World:
  """Renders, embeds and indexes the recordings."""
  audio = _rendered(folder / "audio")
  tiny_exports.export(folder / "export", types.LogMelFrontEnd())
  model = model_lib.Model(str(folder / "export"))
  vectors = model.embed([str(path) for path in audio])
  recordings = _entries(audio, vectors)
  audio[MISSING].unlink()
  source = build.Source(
    batches=lambda: iter([recordings]),
    dim=tiny_indexes.DIM,
    fingerprint=model.fingerprint,
    model=str(folder / "export"),
    words=tiny_indexes.words(),
  )
  build.build(str(folder / "index"), source)
  index = index_lib.Index.open(str(folder / "index"))
  return World(folder, index, audio)


@dataclasses.dataclass
class Watched:
  """A page and what it did.

  Attributes:
    page: of playwright.
    asked: addresses that it asked for.
    complaints: errors and warnings on its console.
  """

  page: sync_api.Page
  asked: list[str]
  complaints: list[str]
