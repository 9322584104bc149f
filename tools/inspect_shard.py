"""Shows what a shard holds, checks its checksums, draws a window of it.

  tools/inspect_shard.py dataset/train.tfrecord-00000-of-00004
  tools/inspect_shard.py dataset --check
  tools/inspect_shard.py dataset/train.tfrecord-00000-of-00004 \\
    --record=0 --window=12.5 --png=window.png

A dataset's directory stands for all its shards. Exit code 1: something is
damaged, and named on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from music_embed.audio import log_mel
from music_embed.core import errors, files, types
from music_embed.data.records import (
  manifest,
  quantize,
  schema,
  sidecar,
  tfrecord,
  writer,
)

_GRAPH = "graph.tfrecord-"
_SHARD = ".tfrecord-"
_SHADES = " .:-=+*#%@"
_COLUMNS, _LINES = 75, 20
_SHOWN_LABELS = 4


def survey(path: str, made: manifest.Manifest) -> Iterator[tuple[str, str]]:
  """A line for each record of a shard.

  Args:
    path: of the shard.
    made: the manifest of its dataset.

  Yields:
    (what the record holds, what is wrong with it); one of them is empty.
  """
  name = os.path.basename(path)
  entries = {entry.name: entry for entry in made.files}
  vocabulary = _vocabulary(os.path.dirname(path))
  if not os.path.exists(path):
    yield "", f"{path}: missing"
    return
  number = -1
  for number, record in enumerate(tfrecord.survey(path)):
    try:
      if record.damage:
        raise errors.DataError(record.damage)
      if name.startswith(_GRAPH):
        yield f"{number:>6}  {_vertex(record.payload)}", ""
      else:
        text = _recording(record.payload, made, vocabulary)
        yield f"{number:>6}  {text}", ""
    except errors.DataError as error:
      yield "", f"{path}: record {number} {error}"
  expected = entries.get(name)
  if expected is None:
    yield "", f"{path}: not one of the manifest's shards"
  elif expected.num_records != number + 1:
    yield (
      "",
      f"{path} shows {number + 1} records, but {expected.num_records} in the"
      " manifest",
    )
  beside = entries.get(sidecar.name_of(name))
  if beside is not None and beside.name != name:
    problem = _file_problem(os.path.dirname(path), beside)
    if problem:
      yield "", f"{problem} (it is made again when the dataset is opened)"


def window(
  path: str, made: manifest.Manifest, record: str, start_s: float
) -> tuple[str, float, npt.NDArray[np.float32]]:
  """Values of a window.

  Args:
    path: of a shard of recordings.
    made: the manifest of its dataset.
    record: id of a recording, or its number in the shard.
    start_s: where the window starts in the recording.

  Returns:
    Id, start in seconds, and values [window_rows, *row_shape].

  Raises:
    DataError: there is no such recording, or it ends before the window does.
  """
  if os.path.basename(path).startswith(_GRAPH):
    raise errors.DataError(
      f"{path}: holds the graph; windows are in the shards of recordings"
    )
  front_end, q = made.front_end, made.quantization
  for number, (_, message) in enumerate(tfrecord.scan(path)):
    entry = schema.decode_recording(message)
    if record not in (entry.recording_id, str(number)):
      continue
    stored = np.frombuffer(message[entry.payload], q.storage)
    rows = stored.reshape(-1, *front_end.row_shape)
    start = round(start_s * front_end.sample_rate_hz / front_end.hop_samples)
    last = len(rows) - front_end.window_rows
    if not 0 <= start <= last:
      raise errors.DataError(
        f"{path}: windows of {entry.recording_id} start between 0 and"
        f" {_seconds(last, front_end):.3f} s, not at {start_s:g} s"
      )
    values = quantize.dequantize(rows[start : start + front_end.window_rows], q)
    return entry.recording_id, _seconds(start, front_end), values
  raise errors.DataError(f"{path}: holds no recording {record!r}")


def draw(values: npt.NDArray[np.float32], front_end: types.FrontEnd) -> str:
  """A window as lines of text: time to the right, frequency or level up."""
  if values.ndim == 2:
    assert isinstance(front_end, types.LogMelFrontEnd)
    image = _resized(values.T[::-1], _LINES, _COLUMNS)
    span = float(np.ptp(image)) or 1.0
    shades = ((image - image.min()) / span * (len(_SHADES) - 1)).round()
    lines = ["".join(_SHADES[int(s)] for s in line) for line in shades]
    hz = _resized(_centres_hz(front_end)[::-1, None], _LINES, 1)[:, 0]
    marks = [f"{value:7.0f}" for value in hz]
    unit = "Hz"
  else:
    pieces = np.array_split(values, _COLUMNS)
    low = np.array([piece.min() for piece in pieces])
    high = np.array([piece.max() for piece in pieces])
    edges = np.linspace(1.0, -1.0, _LINES + 1)
    lines = [
      "".join(
        "#" if below <= top and above >= bottom else " "
        for below, above in zip(low, high, strict=True)
      )
      for top, bottom in zip(edges[:-1], edges[1:], strict=True)
    ]
    marks = [f"{value:7.2f}" for value in (edges[:-1] + edges[1:]) / 2]
    unit = ""
  length_s = _seconds(len(values), front_end)
  body = [f"{m} |{line}" for m, line in zip(marks, lines, strict=True)]
  end = f"{length_s:.2f} s"
  axis = f"{unit:>7} +0 s{end.rjust(_COLUMNS - 3)}"
  return "\n".join([*body, axis])


def save_png(
  path: str,
  values: npt.NDArray[np.float32],
  front_end: types.FrontEnd,
  *,
  title: str,
  start_s: float,
) -> None:
  """Draws a window with axes in seconds and Hz (or full scale)."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
  end_s = start_s + _seconds(len(values), front_end)
  if values.ndim == 2:
    assert isinstance(front_end, types.LogMelFrontEnd)
    image = axes.imshow(
      values.T,
      origin="lower",
      aspect="auto",
      extent=(start_s, end_s, -0.5, len(values.T) - 0.5),
    )
    figure.colorbar(image, label="log(mel + offset)")
    bins = np.linspace(0, front_end.num_bins - 1, 8).round().astype(int)
    hz = _centres_hz(front_end)[bins]
    axes.set_yticks(bins, [f"{value:.0f}" for value in hz])
    axes.set_ylabel("Hz")
  else:
    axes.plot(np.linspace(start_s, end_s, len(values)), values, linewidth=0.5)
    axes.set_ylim(-1, 1)
    axes.set_ylabel("of full scale")
  axes.set_xlabel("s")
  axes.set_title(title)
  with files.atomic_write(path) as file:
    figure.savefig(file, format="png", dpi=120)
  pyplot.close(figure)


def _vocabulary(directory: str) -> list[str]:
  path = files.join(directory, writer.VOCABULARY_FILE)
  if not os.path.exists(path):
    return []  # Which is among the problems; labels are shown by number.
  text = files.read_bytes(path)
  return [
    line.split("\t")[0]
    for line in text.decode(errors="replace").split("\n")[:-1]
  ]


def _recording(
  message: bytes, made: manifest.Manifest, vocabulary: list[str]
) -> str:
  entry = schema.decode_recording(message)
  if entry.row_bytes != made.row_bytes:
    raise errors.DataError(
      f"has rows of {entry.row_bytes} bytes, {made.row_bytes} by the manifest"
    )
  samples = made.front_end.num_samples(entry.num_rows)
  seconds = samples / made.front_end.sample_rate_hz
  words = [
    vocabulary[label] if label < len(vocabulary) else f"#{label}"
    for label in entry.labels[:_SHOWN_LABELS]
  ]
  more = ["..."] if len(entry.labels) > _SHOWN_LABELS else []
  labels = f"{len(entry.labels)} labels ({', '.join(words + more)})"
  flags = f"  [{', '.join(entry.flags)}]" if entry.flags else ""
  return (
    f"{entry.recording_id:<24} {entry.num_rows:>8} rows {seconds:>8.2f} s "
    f" {labels}{flags}"
  )


def _vertex(message: bytes) -> str:
  recording, neighbors, counts = schema.decode_vertex(message)
  span = f", {min(counts)} to {max(counts)} listeners" if len(counts) else ""
  return f"recording {recording}: {len(neighbors)} neighbours{span}"


def _file_problem(directory: str, entry: manifest.FileEntry) -> str:
  path = files.join(directory, entry.name)
  if not os.path.exists(path):
    return f"{path}: missing"
  if files.sha256(path) != entry.sha256:
    return f"{path}: damaged: not the checksum of the manifest"
  return ""


def _centres_hz(front_end: types.LogMelFrontEnd) -> npt.NDArray[np.float64]:
  """Centre of each mel bin, float64 [bins]."""
  low, high = (
    log_mel.hz_to_mel(front_end.min_hz),
    log_mel.hz_to_mel(front_end.max_hz),
  )
  return log_mel.mel_to_hz(np.linspace(low, high, front_end.num_bins + 2))[1:-1]


def _resized(
  image: npt.NDArray[Any], lines: int, columns: int
) -> npt.NDArray[np.float64]:
  """Means over the blocks of a coarser grid, [lines, columns]."""
  for axis, size in ((0, lines), (1, columns)):
    size = min(size, image.shape[axis])
    blocks = np.array_split(image, size, axis=axis)
    image = np.stack([block.mean(axis=axis) for block in blocks], axis=axis)
  return image


def _seconds(num_rows: int, front_end: types.FrontEnd) -> float:
  """Time between the starts of rows that are so many apart."""
  return num_rows * front_end.hop_samples / front_end.sample_rate_hz


def _dataset(given: str) -> tuple[str, manifest.Manifest]:
  """The dataset of a shard, or that a directory is."""
  if os.path.isdir(given):
    return given, manifest.load(given, check_files=False)
  if not os.path.exists(given):
    raise errors.DataError(f"{given}: no such file")
  if _SHARD not in os.path.basename(given):
    raise errors.DataError(
      f"{given}: not a shard: name a *.tfrecord-* file, or the dataset's"
      " directory"
    )
  directory = os.path.dirname(given)
  return directory, manifest.load(directory or ".", check_files=False)


def _problems(given: str, *, quiet: bool) -> Iterator[str]:
  """Lists a shard or a dataset; what is wrong in it."""
  directory, made = _dataset(given)
  shards = [given]
  if directory == given:
    names = sorted(entry.name for entry in made.files)
    shards = [files.join(given, name) for name in names if _SHARD in name]
  for path in shards:
    if not quiet:
      print(path)
    for text, problem in survey(path, made):
      if problem:
        yield problem
      elif not quiet:
        print(text)
  if directory == given:
    beside = {sidecar.name_of(os.path.basename(path)) for path in shards}
    checked = beside | {os.path.basename(path) for path in shards}
    for entry in made.files:
      if entry.name not in checked and (problem := _file_problem(given, entry)):
        yield problem


def _inspect(flags: argparse.Namespace) -> int:
  damaged = 0
  for given in flags.shards:
    for problem in _problems(given, quiet=flags.check):
      damaged += 1
      print(problem, file=sys.stderr)
  print("damaged" if damaged else "all checksums hold")
  return 1 if damaged else 0


def _show_window(flags: argparse.Namespace) -> int:
  (path,) = flags.shards
  _, made = _dataset(path)
  name, start_s, values = window(path, made, flags.record, flags.window)
  title = f"{name}, from {start_s:.2f} s"
  if flags.png is None:
    print(title)
    print(draw(values, made.front_end))
  else:
    save_png(flags.png, values, made.front_end, title=title, start_s=start_s)
  return 0


def main(arguments: list[str] | None = None) -> int:
  """Parses the flags; returns the exit code."""
  parser = argparse.ArgumentParser(description="Shows what a shard holds.")
  parser.add_argument("shards", nargs="+", help="shards, or a dataset")
  parser.add_argument("--check", action="store_true", help="list nothing")
  parser.add_argument("--record", help="draw a window of it: id or number")
  parser.add_argument(
    "--window", type=float, default=0.0, help="where it starts, seconds"
  )
  parser.add_argument("--png", help="draw into this file, not the terminal")
  flags = parser.parse_args(arguments)
  if flags.png is not None and flags.record is None:
    parser.error("--png needs --record")
  if flags.record is not None and (
    len(flags.shards) > 1 or os.path.isdir(flags.shards[0])
  ):
    parser.error("--record needs one shard")
  try:
    return _inspect(flags) if flags.record is None else _show_window(flags)
  except BrokenPipeError:
    # Who reads along has seen enough; nothing is left to flush at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except errors.MusicEmbedError as error:
    print(error, file=sys.stderr)
    return 1
  except OSError as error:
    print(f"{error.filename}: {error.strerror}", file=sys.stderr)
    return 1


if __name__ == "__main__":
  sys.exit(main())
