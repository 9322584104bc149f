"""What a label, a recording or an audio file lies near, in label space."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.audio import windows as windows_lib
from music_embed.core import errors, files
from music_embed.data.ingestion import featurize
from music_embed.data.ingestion import options as options_lib
from music_embed.data.records import manifest, prepared, sense_labels
from music_embed.data.records.label_names import LabelNames
from music_embed.evaluation import label_neighbors
from music_embed.models import embedder as embedder_lib
from music_embed.runs import config, label_queries, restore, validation, workdir
from music_embed.runs.label_queries import Kind, Query


@dataclasses.dataclass(frozen=True)
class Neighbor:
  """A label near something.

  Attributes:
    label: as in the vocabulary of the run.
    cosine: between its row of the softmax layer and what it is near to.
    recordings: training recordings that have it.
    same_term: whether it is another sense of the term that was asked for.
  """

  label: str
  cosine: float
  recordings: int
  same_term: bool = False


@dataclasses.dataclass(frozen=True)
class Entry:
  """A point of the space and the labels near it.

  Attributes:
    name: a label, or the title of a recording, or a file.
    cluster: of a sense; None for plain labels and all else.
    recordings: training recordings that have this label; None where the entry
      is no label.
    neighbors: nearest first.
  """

  name: str
  cluster: int | None
  recordings: int | None
  neighbors: list[Neighbor]


@dataclasses.dataclass(frozen=True)
class Answer:
  """All entries of one query: of a term each sense, else one.

  Attributes:
    query: as asked.
    kind: what it turned out to be.
    entries: of a term its senses and plain label, by falling number of
      recordings.
  """

  query: str
  kind: Kind
  entries: list[Entry]

  def to_json(self) -> dict[str, Any]:
    """As a JSON-serialisable dictionary."""
    return dataclasses.asdict(self)


def neighbors(
  queries: Sequence[str],
  *,
  model: str,
  dataset: str | None = None,
  top_k: int = 10,
  same_term: bool = False,
  checkpoint: str = "best",
) -> list[Answer]:
  """The nearest labels of each query, by cosine.

  Args:
    queries: terms, labels of the run (senses: `46_bebop`), recording ids or
      paths of audio files; what is a term is not looked for among recordings.
    model: working directory of a training run with a label head.
    dataset: the one it was trained on; None takes the path that the run has
      noted.
    top_k: labels of each entry.
    same_term: whether other senses of the term itself count.
    checkpoint: "best" by validation, or "last".

  Returns:
    One answer a query.

  Raises:
    ConfigError: no query, a query that is nothing, a model without a label
      head, or an exported one.
    DataError: the dataset is missing, or an audio file cannot be read.
  """
  if not queries:
    raise errors.ConfigError(
      "nothing to look up: give words, recording ids or audio files"
    )
  if top_k < 1:
    raise errors.ConfigError(f"--top_k={top_k}: must be at least 1")
  data = open_dataset(model, dataset)
  names = sense_labels.label_names_of(data)
  resolved = [label_queries.resolve(q, names, data) for q in queries]
  embedder = restore.load_embedder(model, data, checkpoint)
  if embedder.label_head is None:
    raise errors.ConfigError(
      f"{model}: this run has no label head; name a run of a label stage"
    )
  kernel = np.asarray(embedder.label_head.kernel)
  vectors, owners = _vectors(resolved, names, kernel, embedder, data)
  found = label_neighbors.nearest(
    vectors,
    kernel,
    top_k=top_k,
    left_out=[_left_out(owner, names, same_term) for owner in owners],
  )
  entries = iter(
    _entry(owner, labels, cosines, names)
    for owner, labels, cosines in zip(
      owners, found.labels, found.cosines, strict=True
    )
  )
  return [
    Answer(q.text, q.kind, [next(entries) for _ in range(q.num_entries)])
    for q in resolved
  ]


def open_dataset(model: str, dataset: str | None) -> prepared.PreparedDataset:
  """The dataset of a run, with the labels that the run was trained on.

  Args:
    model: working directory of a training run.
    dataset: where it lies; None takes the path that the run has noted.

  Raises:
    ConfigError: the directory holds no run, or the noted path no dataset.
    DataError: the dataset is damaged or missing.
  """
  if files.exists(files.join(model, "saved_model.pb")):
    raise errors.ConfigError(
      f"{model}: an exported model holds no labels' vectors to look into; name "
      "the directory of the training run"
    )
  if dataset is None:
    dataset = _noted_dataset(model)
  return restore.dataset_of(model, prepared.PreparedDataset(dataset))


def _noted_dataset(model: str) -> str:
  from music_embed.runs import train  # Imports TensorFlow.

  with open(workdir.config_path(model), encoding="utf-8") as file:
    noted = config.parse_text(train.train, file.read()).arguments["dataset"]
  if not files.exists(files.join(noted, manifest.FILE_NAME)):
    raise errors.ConfigError(
      f"{model}: was trained on {noted}, which is not there, seen from here: "
      "give its place with --dataset"
    )
  return noted


@dataclasses.dataclass(frozen=True)
class _Owner:
  """What a vector belongs to: a label, or something with a name."""

  name: str
  label: int | None = None


def _vectors(
  queries: Sequence[Query],
  names: LabelNames,
  kernel: npt.NDArray[Any],
  embedder: embedder_lib.Embedder,
  data: prepared.PreparedDataset,
) -> tuple[npt.NDArray[Any], list[_Owner]]:
  """One vector an entry, float32 [entries, dim], and whose it is."""
  heard = [query for query in queries if not query.is_label]
  run = validation.recording_embedder(embedder, data)
  embeddings = run(_windows(heard, data)).embeddings
  position = {id(query): place for place, query in enumerate(heard)}
  vectors, owners = [], []
  for query in queries:
    if query.is_label:
      for label in query.labels:
        vectors.append(kernel[label])
        owners.append(_Owner(names.labels[label], int(label)))
    else:
      vectors.append(embeddings[position[id(query)]])
      owners.append(_Owner(query.name))
  return np.stack(vectors), owners


def _windows(
  queries: Sequence[Query], data: prepared.PreparedDataset
) -> Iterator[npt.NDArray[Any]]:
  """Windows of recordings and files as the dataset stores them."""
  length = data.front_end.window_rows
  ingestion = data.manifest.options.get("ingestion", {})
  max_s = ingestion.get(
    "max_duration_s", options_lib.IngestionOptions.max_duration_s
  )
  for query in queries:
    if query.kind == "recording":
      yield from validation.all_windows(data, query.labels)
      continue
    rows = featurize.featurize(
      query.text, data.front_end, data.quantization, max_duration_s=max_s
    ).rows
    starts = windows_lib.window_starts(len(rows), length)
    yield np.stack([rows[start : start + length] for start in starts])


def _left_out(
  owner: _Owner, names: LabelNames, same_term: bool
) -> npt.NDArray[Any]:
  """Labels that are no news: the label itself, and its term's others."""
  if owner.label is None:
    return np.zeros(0, np.int64)
  if same_term:
    return np.array([owner.label])
  return names.labels_of(names.terms[owner.label])


def _entry(
  owner: _Owner,
  labels: npt.NDArray[Any],
  cosines: npt.NDArray[Any],
  names: LabelNames,
) -> Entry:
  own = None if owner.label is None else int(names.terms[owner.label])
  near = [
    Neighbor(
      names.labels[label],
      round(float(cosine), 6),
      int(names.counts[label]),
      int(names.terms[label]) == own,
    )
    for label, cosine in zip(labels, cosines, strict=True)
    if label >= 0
  ]
  if owner.label is None:
    return Entry(owner.name, None, None, near)
  cluster = int(names.clusters[owner.label])
  return Entry(
    owner.name,
    None if cluster < 0 else cluster,
    int(names.counts[owner.label]),
    near,
  )
