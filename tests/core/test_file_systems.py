import pytest
import tensorflow as tf

from music_embed.core import errors, file_systems


def test_paths_that_tensorflow_knows_pass():
  for path in ("/data/x", "data/x", "ram://x", "gs://bucket/x"):
    file_systems.require(path)


@pytest.mark.skipif(
  tf.__version__.startswith("2.16."), reason="tensorflow-io loads on 2.16"
)
def test_a_file_system_that_cannot_be_had_is_said_with_what_to_install():
  with pytest.raises(errors.ConfigError, match=r"s3://b/x: .* 2\.16"):
    file_systems.require("s3://b/x")


@pytest.mark.skipif(
  not tf.__version__.startswith("2.16."), reason="tensorflow-io needs 2.16"
)
def test_tensorflow_io_adds_object_stores():
  for scheme in ("s3", "az", "hdfs", "http", "https"):
    file_systems.require(f"{scheme}://bucket/x")
  with pytest.raises(errors.ConfigError, match=r"nope://x: .*s3://"):
    file_systems.require("nope://x")
