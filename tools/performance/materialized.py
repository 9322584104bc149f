"""Materialised batches: writing them, and reading them in sequence."""

from __future__ import annotations

import os
import time
from typing import Any

from music_embed.data.pipeline import materialized, triplets
from music_embed.data.records import prepared
from music_embed.objectives import triplet
from music_embed.runs import materialize
from music_embed.training import task
from tools.performance import datasets, measure, windows

_NUM_STEPS = 384
_BATCH_TRIPLETS = windows.BATCH_WINDOWS // 3


def figures(scratch: str) -> list[measure.Figure]:
  """Windows per CPU-second of writing and of reading, 396 a step."""
  data = datasets.write(os.path.join(scratch, "to_materialize"))
  source = triplets.TripletSource(
    batch_triplets=_BATCH_TRIPLETS, **windows.IN_PAGE_CACHE
  )
  folder = os.path.join(scratch, "materialized")
  began = time.process_time()
  read = write(data, source, folder, _NUM_STEPS)
  written = _NUM_STEPS * windows.BATCH_WINDOWS / (time.process_time() - began)
  rates = measure.side_by_side(
    {
      "materialized": windows.drain(
        read.batches(data, seed=0, first_step=0).take(_NUM_STEPS).repeat(),
        windows.BATCH_WINDOWS,
      ),
      "positioned": windows.drain(
        source.batches(data, seed=0, first_step=0), windows.BATCH_WINDOWS
      ),
      "sequential": windows.drain(
        windows.sequential(data), windows.BATCH_WINDOWS
      ),
    }
  )
  return [
    measure.Figure.beside(
      "materialized_read_uint8",
      rates["materialized"],
      "1/CPU-s",
      windows.SEQUENTIAL,
      rates["sequential"],
    ),
    measure.Figure.beside(
      "materialized_read_over_positioned_uint8",
      rates["materialized"],
      "1/CPU-s",
      "the positioned source",
      rates["positioned"],
    ),
    measure.Figure.beside(
      "materialized_write_uint8",
      written,
      "1/CPU-s",
      "the positioned source",
      rates["positioned"],
    ),
  ]


def write(
  data: prepared.PreparedDataset, source: Any, folder: str, num_steps: int
) -> materialized.MaterializedSource:
  """Materialises batches in this process and opens them.

  Args:
    data: the dataset.
    source: of the batches.
    folder: new.
    num_steps: batches, from step 0 on, with seed 0.
  """
  materialize.materialize(
    output=folder,
    dataset=data.directory,
    tasks=[task.Task(triplet.TripletObjective(), source)],
    seed=0,
    num_steps=num_steps,
    num_workers=1,
  )
  return materialized.MaterializedSource(paths=folder)
