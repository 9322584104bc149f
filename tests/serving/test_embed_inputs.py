"""What is named is found, each file once, and nothing is left out silently."""

import os
import pathlib
import tempfile

import pytest

from music_embed.core import errors
from music_embed.serving import input_folders, inputs


def _touch(root, *names):
  for name in names:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"audio")


def _ids(*named):
  return [item.source.id for item in inputs.find([str(n) for n in named]).items]


def test_a_folder_gives_its_audio_at_any_depth_by_relative_path(tmp_path):
  _touch(tmp_path, "b.MP3", "a/z.flac", "a/b/c.ogg", "cover.jpg", "a/notes.txt")
  listing = inputs.find([str(tmp_path)])
  assert [item.source.id for item in listing.items] == [
    "a/b/c.ogg",
    "a/z.flac",
    "b.MP3",
  ]
  assert listing.items[0].source.audio == str(tmp_path / "a/b/c.ogg")
  assert listing.items[0].source.size_bytes == 5
  assert listing.items[0].source.mtime_ns == (
    os.stat(tmp_path / "a/b/c.ogg").st_mtime_ns
  )
  assert listing.num_other == 2


def test_audio_that_cannot_be_decoded_is_found_too(tmp_path):
  _touch(tmp_path, "a.m4a", "b.wma")
  assert _ids(tmp_path) == ["a.m4a", "b.wma"]


def test_hidden_files_and_folders_are_left_out_and_counted(tmp_path):
  _touch(tmp_path, "a.mp3", "._a.mp3", ".trash/b.mp3")
  listing = inputs.find([str(tmp_path)])
  assert [item.source.id for item in listing.items] == ["a.mp3"]
  assert listing.num_hidden == 2
  assert _ids(tmp_path / "._a.mp3") == ["._a.mp3"]


def test_loops_of_links_end_and_each_folder_is_entered_once(tmp_path):
  _touch(tmp_path, "music/real/a.mp3", "outside/b.mp3")
  (tmp_path / "music/a_link").symlink_to("real")
  (tmp_path / "music/real/loop").symlink_to("..")
  (tmp_path / "music/self").symlink_to("self")
  (tmp_path / "music/other").symlink_to("../outside")
  walk = input_folders.walk(str(tmp_path / "music"))
  assert walk.names == ["other/b.mp3", "real/a.mp3"]
  assert walk.num_links == 2


def test_a_link_that_leads_nowhere_is_a_problem_of_its_own(tmp_path):
  _touch(tmp_path, "a.mp3")
  (tmp_path / "b.mp3").symlink_to("gone.mp3")
  (tmp_path / "c.mp3").symlink_to("c.mp3")
  listing = inputs.find([str(tmp_path)])
  assert [item.source.id for item in listing.items] == ["a.mp3"]
  assert [(p.source.id, p.reason) for p in listing.problems] == [
    ("b.mp3", "no such file"),
    ("c.mp3", "cannot be read (Too many levels of symbolic links)"),
  ]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_folder_that_cannot_be_read_is_a_problem_of_its_own():
  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    _touch(root, "open/a.mp3", "closed/b.mp3")
    root.chmod(0o755)
    (root / "closed").chmod(0o700)
    os.seteuid(65_534)
    try:
      listing = inputs.find([folder])
    finally:
      os.seteuid(0)
  assert [item.source.id for item in listing.items] == ["open/a.mp3"]
  (problem,) = listing.problems
  assert problem.source.id == "closed"
  assert problem.reason == "this folder cannot be read (Permission denied)"


def test_a_name_that_is_no_utf8_is_a_problem_of_its_own(tmp_path):
  _touch(tmp_path, "a.mp3")
  (pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp3"))).write_bytes(
    b"audio"
  )
  listing = inputs.find([str(tmp_path)])
  assert [item.source.id for item in listing.items] == ["a.mp3"]
  (problem,) = listing.problems
  assert problem.source.id == r"\xff.mp3"
  assert "not UTF-8" in problem.reason


def test_what_is_no_file_is_not_opened(tmp_path):
  os.mkfifo(tmp_path / "pipe.wav")
  (problem,) = inputs.find([str(tmp_path)]).problems
  assert problem.reason == "not a file"


def test_a_file_is_called_by_its_name_whatever_that_is(tmp_path):
  _touch(tmp_path, "x/song", "x/song [live] *.mp3")
  assert _ids(tmp_path / "x/song", tmp_path / "x/song [live] *.mp3") == [
    "song",
    "song [live] *.mp3",
  ]


def test_a_pattern_names_files_below_its_fixed_part(tmp_path):
  _touch(tmp_path, "m/x/1.mp3", "m/y/2.mp3", "m/y/2.jpg", "m/y/deep/3.mp3")
  assert _ids(f"{tmp_path}/m/*/[0-9].*") == ["x/1.mp3", "y/2.mp3"]
  assert _ids(f"{tmp_path}/m/[y]") == ["y/2.mp3", "y/deep/3.mp3"]
  assert _ids(f"{tmp_path}/m/**/*.mp3") == [
    "x/1.mp3",
    "y/2.mp3",
    "y/deep/3.mp3",
  ]
  assert _ids(f"{tmp_path}/m/**/deep/*") == ["y/deep/3.mp3"]
  assert len(_ids(f"{tmp_path}/m/**")) == 3


def test_a_pattern_ends_in_loops_of_links(tmp_path):
  _touch(tmp_path, "m/a.mp3")
  for name in "bcd":
    (tmp_path / "m" / name).symlink_to(".")
  assert _ids(f"{tmp_path}/m/**/*.mp3") == ["a.mp3"]


def test_a_list_names_files_relative_to_itself(tmp_path):
  _touch(tmp_path, "a.mp3", "f/b.mp3")
  (tmp_path / "list.txt").write_text("a.mp3\n\n./f\ngone.mp3\n", "utf-8")
  listing = inputs.find([str(tmp_path / "list.txt")])
  assert [item.source.id for item in listing.items] == ["a.mp3", "f/b.mp3"]
  assert [(p.source.id, p.reason) for p in listing.problems] == [
    ("gone.mp3", "no such file")
  ]


def test_a_table_gives_ids_titles_and_artists(tmp_path):
  _touch(tmp_path, "audio/a.mp3", "audio/b.mp3")
  (tmp_path / "t.csv").write_text(
    "artist,recording_id,audio,title,description\n"
    "Ann,r1,audio/a.mp3,One,words\n,r2,audio/b.mp3,,\n,r3,audio/a.mp3,,\n"
  )
  listing = inputs.find([str(tmp_path / "t.csv")])
  assert [
    (i.source.id, i.source.audio, i.title, i.artist) for i in listing.items
  ] == [
    ("r1", str(tmp_path / "audio/a.mp3"), "One", "Ann"),
    ("r2", str(tmp_path / "audio/b.mp3"), "", ""),
    ("r3", str(tmp_path / "audio/a.mp3"), "", ""),
  ]
  (tmp_path / "t.jsonl").write_text('{"audio": "audio/a.mp3"}\n')
  assert _ids(tmp_path / "t.jsonl") == ["audio/a.mp3"]


@pytest.mark.parametrize(
  ("rows", "said"),
  [
    ("r1,a.mp3\nr1,b.mp3\n", "row 3: 'r1' is already that of row 2"),
    ("r1,\n", "row 2: audio is empty"),
    ("r1,gs://bucket/a.mp3\n", "row 2: .* local disk"),
    ("r1\n", "row 2: 1 fields"),
  ],
)
def test_a_wrong_row_is_named(tmp_path, rows, said):
  (tmp_path / "t.csv").write_text(f"recording_id,audio\n{rows}")
  with pytest.raises(errors.DataError, match=rf"t\.csv, {said}"):
    _ids(tmp_path / "t.csv")


def test_two_files_of_one_id_are_refused_by_name(tmp_path):
  _touch(tmp_path, "x/01.mp3", "y/01.mp3")
  with pytest.raises(errors.ConfigError, match=r"'01\.mp3'.*x/01.*y/01") as e:
    _ids(tmp_path / "x", tmp_path / "y")
  assert "\n" not in str(e.value)
  assert _ids(tmp_path) == ["x/01.mp3", "y/01.mp3"]


def test_a_file_that_is_named_twice_is_one(tmp_path):
  _touch(tmp_path, "x/a.mp3", "x/b.mp3")
  listing = inputs.find(
    [str(tmp_path), str(tmp_path / "x/a.mp3"), str(tmp_path)]
  )
  assert [item.source.id for item in listing.items] == ["x/a.mp3", "x/b.mp3"]
  assert listing.num_twice == 3


@pytest.mark.parametrize("name", ["gone", "gone/*.mp3", "empty", "empty.txt"])
def test_an_input_that_names_nothing_is_refused(tmp_path, name):
  (tmp_path / "empty").mkdir()
  (tmp_path / "empty.txt").write_text("\n")
  _touch(tmp_path, "a.mp3")
  with pytest.raises(errors.ConfigError, match=f"--input=.*{name[:4]}"):
    _ids(tmp_path / "a.mp3", tmp_path / name)


def test_nothing_and_stores_are_refused():
  with pytest.raises(errors.ConfigError, match="nothing to embed"):
    inputs.find([])
  with pytest.raises(errors.ConfigError, match="local disk"):
    inputs.find(["gs://bucket/music"])
