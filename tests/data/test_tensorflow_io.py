"""Shards are read through tensorflow-io's file systems, here over HTTP.

Runs on the TensorFlow 2.16 set alone (`bash tools/test.sh --tf216`):
tensorflow-io's native code loads there and nowhere else.
"""

import http.server
import os
import re
import threading

import numpy as np
import pytest
import tensorflow as tf

from music_embed.core import file_systems, files, types
from music_embed.data import engines
from music_embed.data.pipeline import (
  layout,
  materialize,
  materialized,
  triplets,
)
from music_embed.data.records import prepared

pytestmark = pytest.mark.skipif(
  not tf.__version__.startswith("2.16."),
  reason="tensorflow-io's file systems load on TensorFlow 2.16 only",
)


class _Handler(http.server.SimpleHTTPRequestHandler):
  """Files with ranges, which the standard library's server has not."""

  protocol_version = "HTTP/1.1"
  asked: list[str | None]

  def do_GET(self):
    path = self.translate_path(self.path)
    if not os.path.isfile(path):
      self.send_error(404)
      return
    with open(path, "rb") as file:
      content = file.read()
    wanted = self.headers.get("Range")
    self.server.asked.append(wanted)
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
    if match is None:
      self._send(200, content)
      return
    first = int(match[1])
    last = min(int(match[2] or len(content)), len(content) - 1)
    if first > last:
      self._send(416, b"", f"bytes */{len(content)}")
    else:
      part = content[first : last + 1]
      self._send(206, part, f"bytes {first}-{last}/{len(content)}")

  def _send(self, status, content, content_range=None):
    self.send_response(status)
    self.send_header("Content-Length", str(len(content)))
    self.send_header("Accept-Ranges", "bytes")
    if content_range:
      self.send_header("Content-Range", content_range)
    self.end_headers()
    self.wfile.write(content)

  def log_message(self, *arguments):
    pass


@pytest.fixture
def served(tmp_path):
  """(address of tmp_path, ranges that were asked for)."""
  server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", 0),
    lambda *arguments: _Handler(*arguments, directory=str(tmp_path)),
  )
  server.asked = []
  thread = threading.Thread(target=server.serve_forever, daemon=True)
  thread.start()
  address = f"http://127.0.0.1:{server.server_port}"
  file_systems.require(address)
  yield address, server.asked
  server.shutdown()
  thread.join()
  server.server_close()


def test_shards_hold_the_same_records_over_http(write_dataset, served):
  dataset = write_dataset()
  address, _ = served
  for name in sorted(os.listdir(dataset.directory)):
    if "tfrecord" not in name or not name[-1].isdigit():
      continue
    local = files.join(dataset.directory, name)
    remote = tf.data.TFRecordDataset(f"{address}/dataset/{name}")
    expected = tf.data.TFRecordDataset(local)
    assert list(remote.as_numpy_iterator()) == list(
      expected.as_numpy_iterator()
    )


def test_a_dataset_is_opened_and_read_over_http(
  write_dataset, served, tmp_path, monkeypatch
):
  monkeypatch.setenv("MUSIC_EMBED_CACHE", str(tmp_path / "cache"))
  local = write_dataset().open()
  address, _ = served
  remote = prepared.PreparedDataset(f"{address}/dataset")
  assert list(remote.recording_ids) == list(local.recording_ids)
  assert remote.vocabulary == local.vocabulary
  recordings = np.arange(local.num_recordings)
  starts = local.num_rows - local.window_shape[0]
  np.testing.assert_array_equal(
    remote.windows(recordings, starts), local.windows(recordings, starts)
  )
  np.testing.assert_array_equal(remote.rows(7), local.rows(7))
  for split in types.SPLITS:
    expected = local.graph(split)
    found = remote.graph(split)
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.indices, expected.indices)


def test_materialised_batches_are_read_over_http(
  write_dataset, served, tmp_path
):
  dataset = write_dataset().open()
  source = triplets.TripletSource(batch_triplets=4)
  made = layout.of_source(
    dataset,
    source,
    seed=3,
    steps=range(9),
    parts=2,
    lanes=2,
    steps_per_shard=2,
  )
  with engines.create("local", num_workers=1) as engine:
    materialize.materialize(
      dataset, source, made, output=str(tmp_path / "batches"), engine=engine
    )
  address, _ = served
  remote = materialized.MaterializedSource(paths=f"{address}/batches")
  for first_step in (0, 5):
    found, expected = (
      one.batches(dataset, seed=3, first_step=first_step).take(9 - first_step)
      for one in (remote, source)
    )
    for a, b in zip(
      found.as_numpy_iterator(), expected.as_numpy_iterator(), strict=True
    ):
      assert a.keys() == b.keys()
      for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_a_range_of_a_shard_is_read_without_the_rest(served, tmp_path):
  address, asked = served
  content = np.random.default_rng(0).bytes(4 << 20)
  (tmp_path / "shard").write_bytes(content)
  with tf.io.gfile.GFile(f"{address}/shard", "rb") as file:
    file.seek(3_000_000)
    asked.clear()
    assert file.read(1000) == content[3_000_000:3_001_000]
  ranges = [re.fullmatch(r"bytes=(\d+)-(\d+)", text) for text in asked if text]
  num_bytes = sum(int(m[2]) - int(m[1]) + 1 for m in ranges)
  assert 1000 <= num_bytes < len(content) / 4


def test_a_missing_shard_is_named(served):
  address, _ = served
  with pytest.raises(FileNotFoundError, match="nothing"):
    files.read_bytes(f"{address}/nothing")
