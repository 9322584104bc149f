"""The memory-mapped graph of a dataset, beside its edge shards."""

import dataclasses
import pathlib
import resource
from typing import Any

import numpy as np
import pytest

from music_embed.core import errors, types
from music_embed.data.mining import graph as graph_lib
from music_embed.data.records import (
  cache,
  example,
  graph_store,
  manifest,
  schema,
  writer,
)


def _random_edges(num: int, density: float) -> list[tuple[int, int]]:
  rng = np.random.default_rng(0)
  low, high = np.triu_indices(num, 1)
  kept = rng.random(len(low)) < density
  return list(zip(low[kept].tolist(), high[kept].tolist(), strict=True))


def _load(written: Any, split: str | None = None) -> graph_lib.Graph:
  made = manifest.load(written.directory)
  return graph_store.load(written.directory, made, split)


@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("at_once", [1, 3, 1_000])
def test_the_store_holds_the_edges_of_the_shards(
  write_dataset: Any,
  monkeypatch: pytest.MonkeyPatch,
  density: float,
  at_once: int,
) -> None:
  monkeypatch.setattr(graph_store, "_VERTICES_AT_ONCE", at_once)
  monkeypatch.setattr(graph_store, "_ROWS_AT_ONCE", at_once)
  written = write_dataset(edges=_random_edges(18, density))
  for graph in (_load(written), _load(written)):  # Built, then mapped.
    assert graph.starts.tolist() == written.graph.starts.tolist()
    assert graph.ends.tolist() == written.graph.ends.tolist()
    assert graph.indices.tolist() == written.graph.indices.tolist()
    assert graph.counts.tolist() == written.graph.counts.tolist()
    assert graph.indices.dtype == graph.counts.dtype == np.int32


@pytest.mark.parametrize("split", types.SPLITS)
def test_a_splits_rows_are_those_of_the_restricted_graph(
  write_dataset: Any, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
  monkeypatch.setattr(graph_store, "_ROWS_AT_ONCE", 5)
  written = write_dataset(edges=_random_edges(18, 0.4))
  part = written.open().split_range(split)
  graph = _load(written, split)
  expected = written.graph.restrict(part)
  assert graph.pairs().tolist() == expected.pairs().tolist()
  assert graph.starts.tolist() == expected.starts.tolist()
  assert graph.degrees.tolist() == expected.degrees.tolist()
  assert np.shares_memory(graph.indices, graph.neighbors(part[0]))


def test_rows_are_sorted_and_every_edge_is_known_at_both_ends(
  write_dataset: Any,
) -> None:
  graph = _load(write_dataset(edges=_random_edges(18, 0.5)))
  rows = [graph.neighbors(i).tolist() for i in range(18)]
  for i, row in enumerate(rows):
    assert row == sorted(set(row) - {i})
    assert all(i in rows[j] for j in row)


def _with_graph(
  written: Any, records: list[bytes], **changes: Any
) -> manifest.Manifest:
  """Replaces the edge shards by one of these records."""
  made = manifest.load(written.directory)
  name = "graph.tfrecord-00000-of-00001"
  entry = writer.write_shard(written.directory, name, records)
  entry = dataclasses.replace(entry, **changes)
  others = [f for f in made.files if not f.name.startswith("graph")]
  changed = dataclasses.replace(made, files=(*others, entry))
  changed.save(written.directory)
  return changed


def _vertex(recording: int, *neighbors: int) -> bytes:
  values = np.array(neighbors, np.int64)
  return schema.encode_vertex(recording, values, values)


_TWO_RECORDINGS = example.encode(
  {name: np.arange(2) for name in ("recording", "neighbors", "counts")}
)


@pytest.mark.parametrize(
  ("records", "message"),
  [
    ([_vertex(0, 1), _vertex(1, 0, 18)], "record 1: neighbour indices"),
    ([_vertex(0, 2, 1)], "record 0: neighbour indices"),
    ([_vertex(0, 1, 1)], "record 0: neighbour indices"),
    ([_vertex(0, 5), _vertex(3, 3)], "record 1: .*its own neighbour"),
    ([_vertex(3, 1), _vertex(3, 2)], "record 1: recording 3 is out of order"),
    ([_vertex(0, 1), _vertex(18, 0)], "record 1: recording 18 is out of"),
    ([_vertex(0, 1), _TWO_RECORDINGS], "record 1: holds not one recording"),
    ([_vertex(0, 1), b"\x00junk"], "record 1: not the record of a graph"),
    (
      [schema.encode_vertex(0, np.arange(1, 4), np.arange(2))],
      "record 0: 3 neighbours, 2 counts",
    ),
  ],
)
def test_shards_that_break_the_contract_are_named(
  write_dataset: Any, records: list[bytes], message: str
) -> None:
  written = write_dataset()
  made = _with_graph(written, records)
  with pytest.raises(errors.DataError, match=f"00000-of-00001: {message}"):
    graph_store.load(written.directory, made)


def test_a_shard_of_another_length_than_in_the_manifest_is_named(
  write_dataset: Any,
) -> None:
  written = write_dataset()
  made = _with_graph(written, [_vertex(0, 1)], num_records=2)
  with pytest.raises(errors.DataError, match="holds 1 records, but 2"):
    graph_store.load(written.directory, made)


def test_a_damaged_shard_is_named_with_its_record(write_dataset: Any) -> None:
  written = write_dataset()
  path = pathlib.Path(written.directory, "graph.tfrecord-00000-of-00003")
  data = bytearray(path.read_bytes())
  data[-6] ^= 1
  path.write_bytes(data)
  with pytest.raises(errors.DataError, match=r"00000-of-00003: record 2 .*dam"):
    _load(written)


def test_a_whole_shard_of_another_dataset_is_named(write_dataset: Any) -> None:
  written = write_dataset()
  made = manifest.load(written.directory)
  writer.write_shard(
    written.directory, "graph.tfrecord-00000-of-00003", [_vertex(0, 1)]
  )
  with pytest.raises(errors.DataError, match="checksum differs"):
    graph_store.load(written.directory, made)


def test_a_new_graph_replaces_the_cache(write_dataset: Any) -> None:
  written = write_dataset()
  assert _load(written).num_edges == 4
  made = _with_graph(written, [_vertex(0, 7), _vertex(7, 0)])
  assert graph_store.load(written.directory, made).pairs().tolist() == [[0, 7]]


def test_opening_reads_no_entry(write_dataset: Any) -> None:
  written = write_dataset()
  _load(written)
  # 100 M entries: 800 MB, of which opening maps all and touches nothing.
  made = manifest.load(written.directory)
  made = dataclasses.replace(
    made, splits={"train": 4_000_000, "validation": 0, "evaluation": 1_000_000}
  )
  with cache.building(
    written.directory, graph_store.CACHE, graph_store.key(made)
  ) as builder:
    builder.empty("indptr", (5_000_001,), np.int64)
    builder.empty("indices", (100_000_000,), np.int32)
    builder.empty("counts", (100_000_000,), np.int32)
    for split in types.SPLITS:
      builder.empty(f"{split}_starts", (5_000_000,), np.int64)
      builder.empty(f"{split}_ends", (5_000_000,), np.int64)
  before = _resident_bytes()
  graph = graph_store.load(written.directory, made, "train")
  assert graph.num_vertices == 5_000_000
  assert _resident_bytes() - before < 200_000_000


def _resident_bytes() -> int:
  with open("/proc/self/statm") as file:
    return int(file.read().split()[1]) * resource.getpagesize()
