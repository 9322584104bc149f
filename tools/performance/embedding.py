"""launch/embed.py over a folder of mp3s, beside its parts and a plain script.

Windows a second of wall-clock time, medians of alternating rounds; the start of
processes and networks is left out, being what a folder of any size costs once.
Where decoding and network share the cores, neither can have its rate alone:
what both together could reach, 1 / (1 / decode + 1 / network), stands beside.
Pinned, decoding has one core and the network another, so that they don't.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from music_embed.core import types
from music_embed.data.records import embedding_folder
from music_embed.export import saved_model
from music_embed.models import embedder
from music_embed.models.backbones import resnet, small_cnn
from music_embed.models.heads import label_softmax, projection
from tools.performance import ingestion, measure

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ROUNDS = 3
_CLIP_S = 60.0
_LONG_S = 36_000.0
_NETWORK_S = 4.0
_NUM_LABELS = 1_000
_NETWORKS = {"small_cnn": small_cnn.SmallCNN, "resnet18": resnet.ResNet18}
_REPEATS = {"small_cnn": 16, "resnet18": 5}
"""How often each mp3 lies in the folder of the longer call."""

_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""A second, by the number in an MPEG-1 layer III header."""

_PINNING = """
import os, sys
where = int(os.environ["PERF_NETWORK_CORE"])
if "music_embed.data.ingestion.window_worker" in sys.orig_argv:
  where = int(os.environ["PERF_DECODE_CORE"])
os.sched_setaffinity(0, {where})
"""
"""Of a `sitecustomize` module: each process takes its core as it starts."""


@dataclasses.dataclass(frozen=True)
class _Took:
  """What some windows took."""

  windows: int
  wall_s: float
  cpu_s: float

  @property
  def rate(self) -> float:
    """Windows a second."""
    return self.windows / self.wall_s

  @property
  def cpu_rate(self) -> float:
    """Windows per CPU-second."""
    return self.windows / self.cpu_s


def figures(scratch: str) -> list[measure.Figure]:
  """Rates of embedding for each network, and the memory of a long file."""
  mp3s = ingestion.make_mp3s(os.path.join(scratch, "mp3"), _CLIP_S)
  found: list[measure.Figure] = []
  for name in _NETWORKS:
    export = _export(name, os.path.join(scratch, name))
    rounds = [
      _round(name, export, mp3s, os.path.join(scratch, f"{name}{turn}"))
      for turn in range(_ROUNDS)
    ]
    found += _figures(name, rounds)
  export = os.path.join(scratch, "small_cnn")
  found.append(_long_file(export, mp3s[0], os.path.join(scratch, "long")))
  return found


def _figures(
  name: str, rounds: Sequence[dict[str, _Took]]
) -> list[measure.Figure]:
  def rates(what: str) -> list[float]:
    return [turn[what].rate for turn in rounds]

  def cpu_rates(what: str) -> list[float]:
    return [turn[what].cpu_rate for turn in rounds]

  def both(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [1 / (1 / a + 1 / b) for a, b in zip(one, other, strict=True)]

  def least(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [min(a, b) for a, b in zip(one, other, strict=True)]

  decode, network = rates("decode"), rates("network")
  decode_1, network_1 = rates("decode pinned"), rates("network pinned")
  total = both(cpu_rates("decode"), cpu_rates("network"))
  rows = (
    ("", rates("embed"), "the slower of its parts", least(decode, network)),
    ("_of_both", rates("embed"), "both parts at once", both(decode, network)),
    (
      "_pinned",
      rates("embed pinned"),
      "the slower of its parts",
      least(decode_1, network_1),
    ),
    ("_over_librosa", rates("embed"), "librosa script", rates("librosa")),
    ("_cpu", cpu_rates("embed"), "its parts' CPU time", total),
    (
      "_cpu_over_librosa",
      cpu_rates("embed"),
      "librosa script",
      cpu_rates("librosa"),
    ),
    ("_decode", decode, "the network alone", network),
    ("_decode_pinned", decode_1, "the network alone", network_1),
  )
  return [
    measure.Figure(
      f"embed_{name}{suffix}",
      statistics.median(own),
      "windows/CPU-s" if "_cpu" in suffix else "windows/s",
      reference,
      statistics.median(others),
      statistics.median(np.divide(own, others).tolist()),
    )
    for suffix, own, reference, others in rows
  ]


def _round(
  name: str, export: str, mp3s: list[str], folder: str
) -> dict[str, _Took]:
  """Everything once: on all cores, then decoding and network on one each."""
  few = _linked(mp3s, 1, os.path.join(folder, "few"))
  many = _linked(mp3s, _REPEATS[name], os.path.join(folder, "many"))
  cores = sorted(os.sched_getaffinity(0))
  shares = [many[start :: len(cores)] for start in range(len(cores))]
  seconds = str(_NETWORK_S)
  took = {
    "decode": _apart([["decode", *share] for share in shares if share]),
    "network": _apart([["network", export, seconds]]),
    "embed": _embed(export, few, many, folder, {}),
    "librosa": _apart([["librosa", export, *mp3s]]),
  }
  if len(cores) > 1:
    with _pinning(folder, cores[0], cores[1]) as environment:
      took["embed pinned"] = _embed(export, few, many, folder, environment)
    decode_only = [["decode", *many[: 4 * len(mp3s)]]]
    took["decode pinned"] = _apart(decode_only, core=cores[0])
    took["network pinned"] = _apart(
      [["network", export, seconds]], core=cores[1]
    )
  shown = [
    f"{key} {value.rate:,.0f} ({value.cpu_rate:,.0f})"
    for key, value in took.items()
  ]
  measure.say(f"  {name}: windows/s (windows/CPU-s): {', '.join(shown)}")
  return took


def _apart(commands: Sequence[Sequence[str]], core: int | None = None) -> _Took:
  """Runs children side by side, once all of them are ready."""
  module = "tools.performance.embedding_child"
  prefix = [] if core is None else ["taskset", "-c", str(core)]
  children = [
    subprocess.Popen(
      [*prefix, sys.executable, "-m", module, *command],
      cwd=_ROOT,
      env=measure.environment() | _threads(command[0]),
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    for command in commands
  ]
  for child in children:
    _line(child)
  for child in children:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
  found = [_line(child) for child in children]
  for child in children:
    child.communicate()
  return _Took(
    windows=sum(one["windows"] for one in found),
    wall_s=max(one["wall_s"] for one in found),
    cpu_s=sum(one["cpu_s"] for one in found),
  )


def _threads(what: str) -> dict[str, str]:
  """Variables that have decoding compute in one thread, as its workers do."""
  return {"OMP_NUM_THREADS": "1"} if what == "decode" else {}


def _line(child: subprocess.Popen[str]) -> dict[str, Any]:
  assert child.stdout is not None
  line = child.stdout.readline()
  if not line:
    raise RuntimeError(f"{child.args!r} failed; its own message is above")
  return json.loads(line)


def _embed(
  export: str,
  few: list[str],
  many: list[str],
  folder: str,
  environment: dict[str, str],
) -> _Took:
  """What the further files of a longer call took."""
  took = []
  for number, paths in enumerate((few, many)):
    output = os.path.join(folder, f"out{len(os.listdir(folder))}{number}")
    before, began = os.times(), time.monotonic()
    _run(export, os.path.dirname(paths[0]), output, environment)
    wall_s, after = time.monotonic() - began, os.times()
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    counts = embedding_folder.EmbeddingFolder.open(output).counts
    took.append(_Took(counts["windows"], wall_s, cpu_s))
  short, long = took
  return _Took(
    long.windows - short.windows,
    long.wall_s - short.wall_s,
    long.cpu_s - short.cpu_s,
  )


def _run(
  export: str, audio: str, output: str, environment: dict[str, str]
) -> int:
  """Runs launch/embed.py; returns the peak memory of all its processes.

  Returns:
    Bytes: the largest sum of resident set sizes, as polled.
  """
  process = subprocess.Popen(
    [
      sys.executable,
      str(_ROOT / "launch" / "embed.py"),
      f"--model={export}",
      f"--output={output}",
      *([] if not environment else ["--num_workers=1"]),
      audio,
    ],
    env=measure.environment() | environment,
    stderr=subprocess.PIPE,
    text=True,
  )
  peak = [0]
  watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
  watcher.start()
  _, message = process.communicate()
  watcher.join()
  if process.returncode:
    raise RuntimeError(f"launch/embed.py failed: {message}")
  return peak[0]


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
  while process.poll() is None:
    peak[0] = max(peak[0], measure.resident_bytes(process.pid))
    time.sleep(0.05)


@contextlib.contextmanager
def _pinning(
  folder: str, decode_core: int, network_core: int
) -> Iterator[dict[str, str]]:
  """Variables that put decoding on one core and all else on another."""
  where = os.path.join(folder, "pinning")
  os.makedirs(where)
  pathlib.Path(where, "sitecustomize.py").write_text(_PINNING)
  search = [where, os.environ.get("PYTHONPATH", "")]
  yield {
    "PYTHONPATH": os.pathsep.join(filter(None, search)),
    "PERF_DECODE_CORE": str(decode_core),
    "PERF_NETWORK_CORE": str(network_core),
  }


def _linked(paths: list[str], repeats: int, folder: str) -> list[str]:
  """The same files several times over, under names of their own."""
  os.makedirs(folder)
  made = []
  for repeat in range(repeats):
    for path in paths:
      name = f"{repeat:03d}_{os.path.basename(path)}"
      made.append(os.path.join(folder, name))
      os.link(path, made[-1])
  return made


def _export(name: str, directory: str) -> str:
  """A network of fresh weights: what it computes costs the same."""
  front_end = types.LogMelFrontEnd()
  model = embedder.Embedder(
    backbone=_NETWORKS[name](),
    projection=projection.Projection(dim=128),
    label_head=label_softmax.LabelSoftmaxHead(num_labels=_NUM_LABELS),
  )
  model(np.zeros((1, *front_end.window_shape), np.float32), training=False)
  vocabulary = [f"label {number}" for number in range(_NUM_LABELS)]
  saved_model.save(model, directory, front_end=front_end, vocabulary=vocabulary)
  return directory


def _long_file(export: str, mp3: str, folder: str) -> measure.Figure:
  """Peak memory over a file of ten hours, all processes of the call."""
  os.makedirs(os.path.join(folder, "audio"))
  path = os.path.join(folder, "audio", "long.mp3")
  frames = _without_header(pathlib.Path(mp3).read_bytes())
  with open(path, "wb") as file:
    for _ in range(round(_LONG_S / _CLIP_S) + 1):
      file.write(frames)
  output = os.path.join(folder, "out")
  peak = _run(export, os.path.dirname(path), output, {})
  counts = embedding_folder.EmbeddingFolder.open(output).counts
  hours = counts["audio_s"] / 3600
  measure.say(f"  {hours:.1f} hours: {peak / 2**30:.2f} GiB")
  return measure.Figure.beside(
    f"embed_{hours:.0f}_hours_peak", peak / 2**30, "GiB", "allowed", 1.5
  )


def _without_header(content: bytes) -> bytes:
  """An MP3's frames without the first one, which would tell their number.

  Args:
    content: of an MPEG-1 layer III file at 44.1 kHz, without tags.
  """
  if content[:2] != b"\xff\xfb" or content[2] & 0x0C:
    raise RuntimeError("the mp3 does not begin with a frame as expected")
  rate = 1000 * _KILOBITS[content[2] >> 4]
  padding = content[2] >> 1 & 1
  return content[144 * rate // ingestion.RATE_HZ + padding :]
