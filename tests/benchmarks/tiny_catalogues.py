"""A few sounds, a tiny model and their index, for what shows catalogues."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import tiny_exports
import tiny_indexes

from music_embed.core import types
from music_embed.retrieval import build, entries
from music_embed.retrieval import index as index_lib
from music_embed.serving import model as model_lib

GONE = 5
"""A recording whose file is not there any more."""


@dataclasses.dataclass(frozen=True)
class Catalogue:
  """Sounds and what was made of them.

  Attributes:
    index: opened.
    export: folder of the model.
    audio: file of each recording.
  """

  index: index_lib.Index
  export: pathlib.Path
  audio: list[pathlib.Path]


def sound(row: int, seconds: float = 4.0) -> npt.NDArray[np.float64]:
  """A tone of its own pitch and beat, at 16 kHz."""
  times = np.arange(round(seconds * 16_000)) / 16_000
  tone = np.sin(2 * np.pi * (150 + 90 * row) * times)
  return 0.3 * tone * np.exp(-3 * ((times * (1 + row % 3)) % 1))


def make(folder: pathlib.Path, size: int = 12) -> Catalogue:
  """Renders, embeds and indexes; writes `audio/`, `export/` and `index/`."""
  (folder / "audio").mkdir(parents=True)
  audio = []
  for row in range(size):
    ending = ("wav", "flac", "ogg", "mp3")[row % 4]
    audio.append(folder / "audio" / f"nº {row}.{ending}")
    soundfile.write(audio[-1], sound(row), 16_000)
  tiny_exports.export(folder / "export", types.LogMelFrontEnd())
  model = model_lib.Model(str(folder / "export"))
  vectors = np.asarray(model.embed([str(path) for path in audio]))
  audio[GONE].unlink()
  told = _told(audio, vectors)
  source = build.Source(
    batches=lambda: iter([told]),
    dim=tiny_indexes.DIM,
    fingerprint=model.fingerprint,
    model=str(folder / "export"),
    words=tiny_indexes.words(),
  )
  build.build(str(folder / "index"), source)
  index = index_lib.Index.open(str(folder / "index"))
  return Catalogue(index, folder / "export", audio)


def _told(
  audio: list[pathlib.Path], vectors: npt.NDArray[Any]
) -> entries.Entries:
  """Titles, pairs of one artist, and labels by parity."""
  rows = range(len(audio))
  return entries.Entries(
    ids=[path.name for path in audio],
    vectors=vectors,
    titles=["" if row == 2 else f"Título {row}" for row in rows],
    artists=["" if row == 3 else f"Artist {row // 2}" for row in rows],
    audio=["" if row == 1 else str(path) for row, path in enumerate(audio)],
    durations_s=[0.0 if row == 2 else 4.0 for row in rows],
    labels=[["piano", "drums"] if row % 2 else ["hard bop"] for row in rows],
    scores=[[0.5, 0.25] if row % 2 else [0.75] for row in rows],
  )
