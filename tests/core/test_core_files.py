import resource

import pytest

from music_embed.core import errors, files


def test_an_atomic_write_appears_whole(tmp_path):
  path = str(tmp_path / "a.txt")
  with files.atomic_write(path, "w") as file:
    file.write("one")
    assert not files.exists(path)
  assert (tmp_path / "a.txt").read_text() == "one"


def _write_half(path):
  with files.atomic_write(path, "w") as file:
    file.write("half")
    raise RuntimeError("disk full")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("old")
  with pytest.raises(RuntimeError, match="disk full"):
    _write_half(str(path))
  assert path.read_text() == "old"
  assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_leftovers_of_killed_writes_are_removed(tmp_path):
  (tmp_path / "a.json.tmp1234").write_text("half")
  (tmp_path / "a.json").write_text("{}")
  files.remove_leftovers(str(tmp_path))
  assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_comes_back_with_sorted_keys(tmp_path):
  path = str(tmp_path / "a.json")
  files.write_json(path, {"b": 1, "a": "é"})
  assert files.read_json(path) == {"a": "é", "b": 1}
  text = (tmp_path / "a.json").read_text(encoding="utf-8")
  assert text == '{\n  "a": "é",\n  "b": 1\n}\n'


@pytest.mark.parametrize("content", [None, "{", "\x00"])
def test_unreadable_json_is_an_error_that_names_the_file(tmp_path, content):
  path = tmp_path / "a.json"
  if content is not None:
    path.write_text(content)
  with pytest.raises(errors.DataError, match=r"a\.json"):
    files.read_json(str(path))


def test_sha256_is_that_of_the_bytes(tmp_path):
  (tmp_path / "a").write_bytes(b"abc")
  assert files.sha256(str(tmp_path / "a")).startswith("ba7816bf8f01cfea")


def test_shard_names_sort_by_number():
  names = [files.shard_name("train", i, 12) for i in range(12)]
  assert names == sorted(names)
  assert names[2] == "train.tfrecord-00002-of-00012"


def test_a_file_without_room_is_named_and_leaves_nothing(tmp_path) -> None:
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
  try:
    with (
      pytest.raises(errors.MusicEmbedError, match=r"x\.bin: cannot be written"),
      files.atomic_write(str(tmp_path / "x.bin")) as file,
    ):
      file.write(bytes(1 << 20))
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  assert not list(tmp_path.iterdir())
