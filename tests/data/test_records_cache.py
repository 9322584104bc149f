"""Memory-mapped caches beside a dataset."""

import multiprocessing
import pathlib
import time

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.records import cache

_KEY = {"made_from": ["a", 1]}


def _build(builder: cache.Builder) -> None:
  builder.put("small", np.arange(5, dtype=np.int32))
  builder.empty("large", (4, 3), np.float32)[1] = 2.0
  builder.put("nothing", np.empty(0, np.int64))


@pytest.fixture(autouse=True)
def _home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(tmp_path / "home"))


@pytest.fixture
def dataset(tmp_path: pathlib.Path) -> pathlib.Path:
  path = tmp_path / "dataset"
  path.mkdir()
  return path


def _assert_whole(arrays: cache.Arrays | None) -> None:
  assert arrays is not None
  assert arrays["small"].tolist() == [0, 1, 2, 3, 4]
  assert arrays["small"].dtype == np.int32
  assert arrays["large"].sum() == 6.0
  assert arrays["nothing"].shape == (0,)
  assert not any(array.flags.writeable for array in arrays.values())


def test_what_was_built_is_loaded_again(dataset: pathlib.Path) -> None:
  assert cache.load(str(dataset), "index", _KEY) is None
  with cache.building(str(dataset), "index", _KEY) as builder:
    _build(builder)
    assert cache.load(str(dataset), "index", _KEY) is None
  _assert_whole(builder.arrays)
  _assert_whole(cache.load(str(dataset), "index", _KEY))
  assert (dataset / "cache/index/small.npy").exists()


def test_another_key_makes_it_stale_and_a_new_one_takes_its_place(
  dataset: pathlib.Path,
) -> None:
  old = cache.obtain(str(dataset), "index", {"made_from": "b"}, _build)
  assert cache.load(str(dataset), "index", _KEY) is None
  _assert_whole(cache.obtain(str(dataset), "index", _KEY, _build))
  _assert_whole(old)  # Still mapped.
  assert cache.load(str(dataset), "index", {"made_from": "b"}) is None
  names = sorted(path.name for path in (dataset / "cache").iterdir())
  assert names == ["index", "index.lock"]


@pytest.mark.parametrize("damage", [0, 40, 130])
def test_a_damaged_array_makes_it_stale(
  dataset: pathlib.Path, damage: int
) -> None:
  cache.obtain(str(dataset), "index", _KEY, _build)
  path = dataset / "cache/index/small.npy"
  path.write_bytes(path.read_bytes()[:damage])
  assert cache.load(str(dataset), "index", _KEY) is None
  _assert_whole(cache.obtain(str(dataset), "index", _KEY, _build))


def _fail(builder: cache.Builder) -> None:
  _build(builder)
  raise RuntimeError("disk full")


def test_a_failed_build_leaves_nothing(dataset: pathlib.Path) -> None:
  with pytest.raises(RuntimeError, match="disk full"):
    cache.obtain(str(dataset), "index", _KEY, _fail)
  assert cache.load(str(dataset), "index", _KEY) is None
  assert [p.name for p in (dataset / "cache").iterdir()] == ["index.lock"]


def test_a_dataset_that_cannot_be_written_to_is_cached_at_home(
  dataset: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  (dataset / "cache").write_text("a file, so no folder can be made")
  cache.obtain(str(dataset), "index", _KEY, _build)
  assert list((tmp_path / "home").glob("*/index/small.npy"))
  _assert_whole(cache.load(str(dataset), "index", _KEY))


def test_without_any_writable_place_it_lasts_as_long_as_the_process(
  dataset: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  (dataset / "cache").write_text("")
  (tmp_path / "home").write_text("")
  cache.obtain(str(dataset), "index", _KEY, _build)
  _assert_whole(cache.load(str(dataset), "index", _KEY))


def test_a_remote_dataset_is_cached_at_home(tmp_path: pathlib.Path) -> None:
  cache.obtain("gs://bucket/dataset", "index", _KEY, _build)
  assert list((tmp_path / "home").glob("*/index/small.npy"))
  _assert_whole(cache.load("gs://bucket/dataset", "index", _KEY))
  assert cache.load("gs://bucket/other", "index", _KEY) is None


def _build_slowly(builder: cache.Builder) -> None:
  time.sleep(0.5)
  builder.put("owner", np.array(time.time_ns()))


def _obtain(directory: str) -> int:
  return int(cache.obtain(directory, "index", _KEY, _build_slowly)["owner"])


def test_processes_that_ask_at_once_build_it_once(
  dataset: pathlib.Path,
) -> None:
  with multiprocessing.get_context("spawn").Pool(3) as pool:
    owners = pool.map(_obtain, [str(dataset)] * 3, chunksize=1)
  assert len(set(owners)) == 1


def test_a_cache_without_room_is_one_line_and_leaves_nothing(
  dataset: pathlib.Path,
) -> None:
  def build(builder: cache.Builder) -> None:
    builder.empty("huge", (1 << 42,), np.int64)

  with pytest.raises(errors.MusicEmbedError, match=r"cache/big: .*is full"):
    cache.obtain(str(dataset), "big", {}, build)
  assert [p.name for p in (dataset / "cache").iterdir()] == ["big.lock"]
