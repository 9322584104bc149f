"""Folders are embedded, gone on with, brought up to date: wholly or not."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import soundfile
import tiny_exports

from music_embed.core import errors, files, types
from music_embed.data.records import embedding_folder, vector_files
from music_embed.serving import embed as embed_lib
from music_embed.serving import embed_plan
from music_embed.serving import model as model_lib

_FRONT_END = types.LogMelFrontEnd(hop_length=25)  # Windows of half a second.
_LABELS = ["bebop", "jazz", "hard bop"]
_SECONDS = [1.0, 0.2, 3.4, 40.0, 2.0, 1.3, 5.0, 0.9]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
  path = tmp_path_factory.mktemp("export") / "labelled"
  tiny_exports.export(path, _FRONT_END, vocabulary=_LABELS)
  return model_lib.Model(path)


@pytest.fixture
def music(tmp_path):
  """Eight files; one of them fills more than a batch."""
  root = tmp_path / "music"
  for number, seconds in enumerate(_SECONDS):
    _write(root / f"{number % 2}" / f"{number}.wav", seconds, number)
  return root


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
  monkeypatch.setattr(embed_plan, "_PART_FILES", 3)


def _write(path, seconds=1.0, seed=0):
  path.parent.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(seed)
  noise = rng.normal(size=round(16_000 * seconds))
  tone = np.sin(rng.uniform(0.05, 1.0) * np.arange(len(noise)))
  soundfile.write(path, 0.2 * tone + 0.05 * noise, 16_000)


def _embed(model, audio, output, **options):
  return embed_lib.embed(
    model_directory=model.exported.directory,
    audio=[str(audio)] if isinstance(audio, pathlib.Path) else audio,
    output=str(output),
    **{"num_workers": 1} | options,
  )


def _contents(folder):
  """All files of a folder but the lock, by name."""
  return {
    path.name: path.read_bytes()
    for path in sorted(folder.iterdir())
    if not path.name.startswith(".")
  }


def _rows(folder):
  """Vectors, by id."""
  opened = embedding_folder.EmbeddingFolder.open(str(folder))
  return {
    name: vector
    for batch in opened.batches()
    for name, vector in zip(batch.ids, batch.vectors, strict=True)
  }


def test_a_recording_has_the_vector_and_labels_that_the_model_gives(
  model, music, tmp_path
):
  folder = _embed(model, music, tmp_path / "out")
  assert folder.size == len(_SECONDS)
  assert folder.model == os.path.abspath(model.exported.directory)
  for batch in folder.batches():
    for row, path in enumerate(batch.audio):
      assert path == str(music / batch.ids[row])
      vector = model.embed(path)
      cosine = vector @ batch.vectors[row] / np.linalg.norm(vector)
      assert cosine / np.linalg.norm(batch.vectors[row]) > 0.99999
      # The plain mean: how far apart windows lie shows in its length.
      np.testing.assert_allclose(batch.vectors[row], vector, atol=1e-5)
      labels = model.labels(path, top=3)
      assert batch.labels[row] == [name for name, _ in labels]
      np.testing.assert_allclose(
        batch.scores[row], [score for _, score in labels], atol=1e-5
      )
      assert batch.titles[row] == pathlib.Path(path).stem
      assert batch.artists[row] is None
      seconds = _SECONDS[int(batch.titles[row])]
      assert batch.durations_s[row] == pytest.approx(seconds, abs=1e-3)


def test_windows_are_kept_where_asked_for(model, music, tmp_path):
  folder = _embed(model, music, tmp_path / "out", level="windows", labels=0)
  starts, vectors = {}, {}
  for batch in folder.window_batches():
    for row, name in enumerate(batch.ids):
      starts.setdefault(name, []).append(batch.start_s[row])
      vectors.setdefault(name, []).append(batch.vectors[row])
  for name, means in _rows(tmp_path / "out").items():
    times, expected = model.embed_windows(str(music / name))
    np.testing.assert_allclose(starts[name], times)
    np.testing.assert_allclose(vectors[name], expected, atol=1e-5)
    np.testing.assert_allclose(np.mean(vectors[name], 0), means, atol=1e-6)
  assert [batch.labels for batch in folder.batches()][0] == [[], [], []]


def test_flags_say_what_was_found(model, tmp_path):
  _write(tmp_path / "m" / "short.wav", 0.2)
  _write(tmp_path / "m" / "long.wav", 9.0)
  _write(tmp_path / "m" / "cut.wav", 5.0)
  soundfile.write(tmp_path / "m" / "loud.wav", np.ones(30_000), 16_000)
  os.truncate(tmp_path / "m" / "cut.wav", 100_000)
  _embed(model, tmp_path / "m", tmp_path / "out", max_duration_s=6.0)
  table = _table(tmp_path / "out", "id", "flags")
  assert dict(zip(table["id"], table["flags"], strict=True)) == {
    "cut.wav": ["truncated"],
    "long.wav": ["long"],
    "loud.wav": ["clipped"],
    "short.wav": ["short"],
  }


def _table(folder, *columns):
  import pyarrow.parquet

  paths = sorted(folder.glob("recordings-*.parquet"))
  tables = [pyarrow.parquet.read_table(p, columns=list(columns)) for p in paths]
  return pyarrow.concat_tables(
    [t.replace_schema_metadata({}) for t in tables]
  ).to_pydict()


def test_names_are_those_of_the_table_then_of_the_file(model, tmp_path):
  with soundfile.SoundFile(tmp_path / "a.flac", "w", 16_000, 1) as file:
    file.title, file.artist = "Tagged", "Ann"
    file.write(np.zeros(16_000))
  _write(tmp_path / "b.wav")
  (tmp_path / "t.csv").write_text(
    "recording_id,audio,title,artist\n"
    "r1,a.flac,,\nr2,b.wav,,\nr3,a.flac,Told,Bob\n"
  )
  _embed(model, tmp_path / "t.csv", tmp_path / "out")
  table = _table(tmp_path / "out", "id", "title", "artist")
  assert table == {
    "id": ["r1", "r2", "r3"],
    "title": ["Tagged", "b", "Told"],
    "artist": ["Ann", None, "Bob"],
  }


def test_what_cannot_be_embedded_is_listed_and_loses_nothing(
  model, music, tmp_path, capsys
):
  (music / "a.mp3").write_text("no music")
  (music / "list.txt").write_text("gone.mp3\n0\n1\na.mp3\n")
  folder = _embed(model, music / "list.txt", tmp_path / "out")
  assert folder.size == len(_SECONDS)
  lines = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
  rejected = [json.loads(line) for line in lines]
  assert [r["id"] for r in rejected] == ["a.mp3", "gone.mp3"]
  assert rejected[0]["audio"] == str(music / "a.mp3")
  assert rejected[0]["reason"].startswith("not an audio file")
  assert rejected[1]["reason"] == "no such file"
  assert "2 files could not be embedded" in capsys.readouterr().err


def test_nothing_that_can_be_embedded_is_an_error(model, tmp_path):
  (tmp_path / "a.mp3").write_text("no music")
  for _ in range(2):
    with pytest.raises(errors.DataError, match=r"not one file.*rejected\.json"):
      _embed(model, tmp_path / "a.mp3", tmp_path / "out")


def test_the_number_of_workers_does_not_show(model, music, tmp_path):
  for workers in (1, 3):
    _embed(model, music, tmp_path / f"out{workers}", num_workers=workers)
  assert _contents(tmp_path / "out1") == _contents(tmp_path / "out3")


def test_what_is_embedded_is_not_embedded_again(
  model, music, tmp_path, monkeypatch
):
  (music / "broken.mp3").write_text("no music")
  _embed(model, music, tmp_path / "out")
  before = _contents(tmp_path / "out")

  def run(*args, **kwargs):
    raise AssertionError("nothing is to be embedded")

  monkeypatch.setattr(embed_lib.embed_run, "run", run)
  _embed(model, music, tmp_path / "out")
  assert _contents(tmp_path / "out") == before
  with pytest.raises(AssertionError):
    _embed(model, music, tmp_path / "out", retry_rejected=True)


def test_new_files_are_embedded_into_new_parts(model, music, tmp_path):
  _embed(model, music, tmp_path / "out")
  before = _contents(tmp_path / "out")
  _write(music / "new" / "9.wav", 2.0, 9)
  _embed(model, music, tmp_path / "out")
  after = _contents(tmp_path / "out")
  assert after.keys() - before.keys() == {"recordings-00003.parquet"}
  for number in range(3):
    name = f"recordings-0000{number}.parquet"
    assert after[name] == before[name]
  np.testing.assert_allclose(
    _rows(tmp_path / "out")["new/9.wav"],
    model.embed(str(music / "new/9.wav")),
    atol=1e-5,
  )
  npz = vector_files.read(str(tmp_path / "out/embeddings.npz"))
  assert set(npz.ids) == set(_rows(tmp_path / "out"))


def test_a_file_that_changed_is_embedded_again(model, music, tmp_path):
  _embed(model, music, tmp_path / "out", level="windows")
  old = _rows(tmp_path / "out")
  _write(music / "1/3.wav", 2.5, 77)
  folder = _embed(model, music, tmp_path / "out", level="windows")
  new = _rows(tmp_path / "out")
  assert new.keys() == old.keys()
  assert folder.size == len(_SECONDS)
  for name, vector in new.items():
    assert np.array_equal(vector, old[name]) == (name != "1/3.wav")
  windows = [name for b in folder.window_batches() for name in b.ids]
  assert windows.count("1/3.wav") == 6
  numbers = {p.name[-13:-8] for p in (tmp_path / "out").glob("*-*.parquet")}
  assert numbers == {f"{number:05d}" for number in folder.parts}


def test_a_file_that_broke_loses_its_vector_and_one_that_was_mended_gains_it(
  model, music, tmp_path
):
  whole = (music / "0/0.wav").read_bytes()
  _embed(model, music, tmp_path / "out")
  (music / "0/0.wav").write_text("no music")
  _embed(model, music, tmp_path / "out")
  assert "0/0.wav" not in _rows(tmp_path / "out")
  assert "0/0.wav" in (tmp_path / "out/rejected.jsonl").read_text()
  (music / "0/0.wav").write_bytes(whole)
  _embed(model, music, tmp_path / "out")
  assert "0/0.wav" in _rows(tmp_path / "out")
  assert (tmp_path / "out/rejected.jsonl").read_text() == ""


def test_files_that_are_gone_stay_unless_they_are_pruned(
  model, music, tmp_path, capsys
):
  _embed(model, music, tmp_path / "out")
  (music / "1/3.wav").unlink()
  _embed(model, music, tmp_path / "out")
  assert len(_rows(tmp_path / "out")) == len(_SECONDS)
  assert "not named any more: they stay" in capsys.readouterr().err
  _embed(model, music, tmp_path / "out", prune=True)
  assert _rows(tmp_path / "out").keys() == {
    f"{n % 2}/{n}.wav" for n in range(8) if n != 3
  }
  pruned = _contents(tmp_path / "out")
  _embed(model, music, tmp_path / "out")
  assert _contents(tmp_path / "out") == pruned


def test_a_folder_that_was_moved_is_not_embedded_again(
  model, music, tmp_path, monkeypatch
):
  _embed(model, music, tmp_path / "out")
  old = _rows(tmp_path / "out")
  music.rename(tmp_path / "moved")
  monkeypatch.setattr(embed_lib.embed_run, "run", None)
  folder = _embed(model, tmp_path / "moved", tmp_path / "out")
  audio = [path for batch in folder.batches() for path in batch.audio]
  assert all(path.startswith(str(tmp_path / "moved")) for path in audio)
  new = _rows(tmp_path / "out")
  assert all(np.array_equal(new[name], old[name]) for name in old)


def test_another_title_in_the_table_costs_no_embedding(
  model, music, tmp_path, monkeypatch
):
  table = tmp_path / "t.csv"
  text = (
    "recording_id,audio,title\nr0,music/0/0.wav,One\nr1,music/1/1.wav,Two\n"
  )
  table.write_text(text)
  _embed(model, table, tmp_path / "out")
  monkeypatch.setattr(embed_lib.embed_run, "run", None)
  table.write_text(text.replace("Two", "Zwei"))
  folder = _embed(model, table, tmp_path / "out")
  assert [b.titles for b in folder.batches()] == [["One", "Zwei"]]


def test_another_model_or_other_options_are_refused(model, music, tmp_path):
  _embed(model, music, tmp_path / "out")
  before = _contents(tmp_path / "out")
  other = model_lib.Model(
    tiny_exports.export(tmp_path / "other", _FRONT_END, seed=99).directory
  )
  with pytest.raises(errors.ConfigError, match="another model"):
    _embed(other, music, tmp_path / "out")
  for options in ({"labels": 2}, {"level": "windows"}, {"max_duration_s": 3}):
    (name,) = options
    with pytest.raises(errors.ConfigError, match=f"--{name}="):
      _embed(model, music, tmp_path / "out", **options)
  assert _contents(tmp_path / "out") == before


def test_a_folder_of_something_else_is_not_written_to(model, music, tmp_path):
  with pytest.raises(errors.ConfigError, match="holds something else"):
    _embed(model, music, music)
  (tmp_path / "file").touch()
  with pytest.raises(errors.ConfigError, match="not a folder"):
    _embed(model, music, tmp_path / "file")
  assert not (music / "embed.json").exists()


def test_two_calls_do_not_write_one_folder(model, music, tmp_path):
  (tmp_path / "out").mkdir()
  with (
    files.exclusive(str(tmp_path / "out/.embed.lock"), "out"),
    pytest.raises(errors.DataError, match="another process"),
  ):
    _embed(model, music, tmp_path / "out")


def test_a_part_that_was_deleted_is_made_again(model, music, tmp_path):
  _embed(model, music, tmp_path / "out")
  old = _rows(tmp_path / "out")
  (tmp_path / "out/recordings-00001.parquet").unlink()
  _embed(model, music, tmp_path / "out")
  assert _rows(tmp_path / "out").keys() == old.keys()


def test_a_model_without_labels_embeds_without(music, tmp_path):
  bare = model_lib.Model(
    tiny_exports.export(tmp_path / "bare", _FRONT_END).directory
  )
  folder = _embed(bare, music / "0/0.wav", tmp_path / "out")
  assert [batch.labels for batch in folder.batches()] == [[[]]]


class _Killed(BaseException):
  """As sudden as SIGKILL: nothing catches it."""


def _killed_at(step, monkeypatch):
  """Has the step-th file that is to appear, or to go, end all."""
  left = [step]

  def count(original):
    def counted(*args, **kwargs):
      left[0] -= 1
      if left[0] < 0:
        raise _Killed
      return original(*args, **kwargs)

    return counted

  monkeypatch.setattr(os, "replace", count(os.replace))
  monkeypatch.setattr(os, "unlink", count(os.unlink))


def _change(music):
  """A file is new, one has changed, one broke, one is gone."""
  _write(music / "0" / "new.wav", 1.5, 50)
  _write(music / "1" / "5.wav", 1.5, 51)
  (music / "0/6.wav").write_text("no music")
  (music / "1/7.wav").unlink()


@pytest.mark.parametrize("changing", [False, True])
def test_a_call_that_is_killed_anywhere_ends_in_the_same_bytes(
  model, music, tmp_path, monkeypatch, changing
):
  options = {"level": "windows", "prune": True}
  start = tmp_path / "start"
  start.mkdir()
  if changing:
    _embed(model, music, start, **options)
    _change(music)
  shutil.copytree(start, tmp_path / "whole")
  _embed(model, music, tmp_path / "whole", **options)
  expected = _contents(tmp_path / "whole")
  done = False
  for step in range(40):
    out = tmp_path / f"out{step}"
    shutil.copytree(start, out)
    with monkeypatch.context() as patch:
      _killed_at(step, patch)
      try:
        _embed(model, music, out, **options)
        done = True
      except _Killed:
        # What the summary names is there, and right.
        if (out / "embed.json").exists():
          assert _rows(out)
    if done:
      assert step > 6
      return
    _embed(model, music, out, **options)
    assert _contents(out) == expected, step
  raise AssertionError("more steps than were tried")


@pytest.mark.parametrize(
  "options",
  [
    {"level": "tracks"},
    {"num_workers": 0},
    {"labels": -1},
    {"max_duration_s": 0.0},
    {"time_limit_s": float("nan")},
  ],
)
def test_options_that_cannot_be_are_named(model, music, tmp_path, options):
  (name,) = options
  with pytest.raises(errors.ConfigError, match=f"--{name}="):
    _embed(model, music, tmp_path / "out", **options)
  assert not (tmp_path / "out").exists()
