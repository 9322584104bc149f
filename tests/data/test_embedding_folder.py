"""Embedding folders come back as they were written, or say what is wrong."""

import dataclasses
import json
import pathlib

import numpy as np
import pyarrow.parquet
import pytest

from music_embed.core import errors
from music_embed.data.records import (
  embedded,
  embedding_folder,
  embedding_parts,
  vector_files,
)

_DIM = 3
_MAKER = embedded.Maker(fingerprint="f" * 64, dim=_DIM, labels=2)
_WINDOWS = dataclasses.replace(_MAKER, level="windows")


def _source(number):
  return embedded.Source(
    id=f"séance/{number}.mp3",
    audio=f"/music/séance/{number}.mp3",
    size_bytes=1000 + number,
    mtime_ns=10**18 + number,
  )


def _embedded(number, num_windows=2):
  rng = np.random.default_rng(number)
  windows = rng.normal(size=(num_windows, _DIM)).astype(np.float32)
  windows /= np.linalg.norm(windows, axis=1, keepdims=True)
  return embedded.Embedded(
    source=_source(number),
    title=f"Title {number}",
    artist=f"Artist {number}" if number % 2 else None,
    duration_s=3.015 * num_windows,
    flags=("clipped",) if number % 2 else (),
    vector=windows.mean(0),
    start_s=3.0 * np.arange(num_windows),
    window_vectors=windows,
    labels=("bebop", "live"),
    scores=(0.5, 0.25),
  )


def _rejected(number):
  return embedded.Rejected(_source(number), "no audio in it")


def _write(directory, maker=_MAKER, parts=((0, 1, 2), (3,)), npz=True):
  """Parts of these recordings, finished; 90 and more are rejected."""
  for number, members in enumerate(parts):
    embedding_parts.write(
      str(directory),
      number,
      maker,
      [_embedded(n, 1 + n) for n in members if n < 90],
      [_rejected(n) for n in members if n >= 90],
    )
  return _finish(directory, maker, range(len(parts)), npz)


def _finish(directory, maker=_MAKER, numbers=(0, 1), npz=True):
  read = [embedding_parts.read(str(directory), number) for number in numbers]
  return embedding_folder.finish(
    str(directory),
    model="/models/label",
    maker=maker,
    parts=read,
    next_part=max(numbers) + 1,
    rejected=[file for part in read for file in part.rejected],
    npz=npz,
  )


def test_a_folder_comes_back_as_it_was_written(tmp_path):
  _write(tmp_path)
  folder = embedding_folder.EmbeddingFolder.open(str(tmp_path))
  assert (folder.fingerprint, folder.model) == ("f" * 64, "/models/label")
  assert (folder.dim, folder.size) == (3, 4)
  batches = list(folder.batches())
  assert [len(batch.ids) for batch in batches] == [3, 1]
  expected = [_embedded(n, 1 + n) for n in range(4)]
  assert [i for b in batches for i in b.ids] == [e.source.id for e in expected]
  assert [a for b in batches for a in b.audio] == [
    e.source.audio for e in expected
  ]
  assert [a for b in batches for a in b.artists] == [e.artist for e in expected]
  assert batches[0].titles == ["Title 0", "Title 1", "Title 2"]
  assert batches[0].labels == [["bebop", "live"]] * 3
  assert batches[0].scores == [[0.5, 0.25]] * 3
  np.testing.assert_array_equal(
    np.concatenate([b.vectors for b in batches]),
    np.stack([e.vector for e in expected]),
  )
  np.testing.assert_allclose(batches[0].durations_s, [3.015, 6.03, 9.045])
  assert folder.counts == {
    "audio_s": 30.15,
    "recordings": 4,
    "rejected": 0,
    "windows": 10,
  }


def test_windows_come_back_where_they_are_kept(tmp_path):
  _write(tmp_path, _WINDOWS)
  folder = embedding_folder.EmbeddingFolder.open(str(tmp_path))
  batches = list(folder.window_batches())
  assert batches[1].ids == ["séance/3.mp3"] * 4
  np.testing.assert_array_equal(batches[1].start_s, [0, 3, 6, 9])
  np.testing.assert_array_equal(
    batches[1].vectors, _embedded(3, 4).window_vectors
  )
  (tmp_path / "other").mkdir()
  _write(tmp_path / "other")
  without = embedding_folder.EmbeddingFolder.open(str(tmp_path / "other"))
  with pytest.raises(errors.ConfigError, match="--level=windows"):
    next(without.window_batches())


def test_npz_and_parquet_are_files_of_vectors_as_other_commands_read(tmp_path):
  _write(tmp_path)
  from_npz = vector_files.read(str(tmp_path / "embeddings.npz"))
  assert from_npz.ids == [_source(n).id for n in range(4)]
  parts = [
    vector_files.read(str(tmp_path / f"recordings-0000{n}.parquet"))
    for n in range(2)
  ]
  np.testing.assert_array_equal(
    from_npz.vectors, np.concatenate([part.vectors for part in parts])
  )
  first = (tmp_path / "embeddings.npz").read_bytes()
  _finish(tmp_path)
  assert (tmp_path / "embeddings.npz").read_bytes() == first
  _finish(tmp_path, npz=False)
  assert not (tmp_path / "embeddings.npz").exists()


def test_numpy_reads_the_npz_as_one_of_its_own(tmp_path):
  _write(tmp_path)
  with np.load(tmp_path / "embeddings.npz", allow_pickle=False) as file:
    assert sorted(file) == ["ids", "vectors"]
    assert file["ids"].dtype.kind == "U"
    assert file["vectors"].dtype == np.float32
    assert file["vectors"].shape == (4, _DIM)


def test_files_that_were_rejected_are_listed(tmp_path):
  _write(tmp_path, parts=((0, 90), (91,)))
  lines = (tmp_path / "rejected.jsonl").read_text("utf-8").splitlines()
  assert [json.loads(line) for line in lines] == [
    {
      "id": f"séance/{n}.mp3",
      "audio": f"/music/séance/{n}.mp3",
      "reason": "no audio in it",
    }
    for n in (90, 91)
  ]
  folder = embedding_folder.EmbeddingFolder.open(str(tmp_path))
  assert folder.size == 1
  assert [len(batch.ids) for batch in folder.batches()] == [1, 0]
  assert embedding_parts.read(str(tmp_path), 1).rejected == (_rejected(91),)


def test_a_part_says_what_its_files_were_like(tmp_path):
  _write(tmp_path)
  part = embedding_parts.read(str(tmp_path), 0)
  assert part.maker == _MAKER
  assert [row.source for row in part.stored] == [_source(n) for n in range(3)]
  assert [row.windows for row in part.stored] == [1, 2, 3]


def test_a_part_can_be_written_again_without_some_rows(tmp_path):
  _write(tmp_path, _WINDOWS)
  part = embedding_parts.read(str(tmp_path), 0)
  moved = dataclasses.replace(_source(2), audio="/elsewhere/2.mp3")
  new = dataclasses.replace(part.stored[2], source=moved, title="Other")
  embedding_parts.rewrite(
    str(tmp_path), part, 7, keep=[0, 2], rejected=[], changed={2: new}
  )
  embedding_parts.remove(str(tmp_path), 0)
  assert embedding_parts.numbers(str(tmp_path)) == [1, 7]
  _finish(tmp_path, _WINDOWS, numbers=(1, 7))
  folder = embedding_folder.EmbeddingFolder.open(str(tmp_path))
  recordings, windows = list(folder.batches()), list(folder.window_batches())
  assert recordings[1].ids == [_source(0).id, _source(2).id]
  assert recordings[1].titles == ["Title 0", "Other"]
  assert recordings[1].audio == [_source(0).audio, "/elsewhere/2.mp3"]
  np.testing.assert_array_equal(
    recordings[1].vectors, [_embedded(0, 1).vector, _embedded(2, 3).vector]
  )
  assert windows[1].ids == [_source(0).id] + [_source(2).id] * 3


def test_a_folder_without_a_summary_says_why(tmp_path):
  opened = embedding_folder.EmbeddingFolder.open
  with pytest.raises(errors.ConfigError, match="no such folder"):
    opened(str(tmp_path / "none"))
  with pytest.raises(errors.ConfigError, match="no embeddings here"):
    opened(str(tmp_path))
  embedding_parts.write(str(tmp_path), 0, _MAKER, [_embedded(0)], [])
  with pytest.raises(errors.ConfigError, match="unfinished"):
    opened(str(tmp_path))


def test_a_summary_of_another_format_is_refused(tmp_path):
  _write(tmp_path)
  path = tmp_path / "embed.json"
  value = json.loads(path.read_text())
  path.write_text(json.dumps(value | {"format": "music_embed.embeddings/9"}))
  with pytest.raises(errors.ConfigError, match="not embeddings that this"):
    embedding_folder.EmbeddingFolder.open(str(tmp_path))
  path.write_text(json.dumps({k: v for k, v in value.items() if k != "maker"}))
  with pytest.raises(errors.DataError, match=r"embed\.json: damaged"):
    embedding_folder.EmbeddingFolder.open(str(tmp_path))


def _cut(path: pathlib.Path) -> None:
  path.write_bytes(path.read_bytes()[:-10])


def _no_file(path: pathlib.Path) -> None:
  path.unlink()


def _other_maker(path: pathlib.Path) -> None:
  maker = dataclasses.replace(_MAKER, fingerprint="0" * 64)
  embedding_parts.write(str(path.parent), 0, maker, [_embedded(0)], [])


def _fewer_rows(path: pathlib.Path) -> None:
  embedding_parts.write(str(path.parent), 0, _MAKER, [_embedded(0)], [])


def _strange(path: pathlib.Path) -> None:
  table = pyarrow.parquet.read_table(path)
  pyarrow.parquet.write_table(table.replace_schema_metadata({}), path)


@pytest.mark.parametrize(
  "harm", [_cut, _no_file, _other_maker, _fewer_rows, _strange]
)
def test_a_damaged_part_is_named(tmp_path, harm):
  _write(tmp_path)
  harm(tmp_path / "recordings-00000.parquet")
  folder = embedding_folder.EmbeddingFolder.open(str(tmp_path))
  with pytest.raises(errors.DataError, match=r"recordings-00000\.parquet"):
    list(folder.batches())
