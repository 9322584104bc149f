"""launch/serving.md: its snippets and requests, where our package is not."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import predict_stand_in
import pytest
import soundfile
import tensorflow as tf
import tiny_exports

from music_embed.core import types
from music_embed.export import check_sounds, convert, exported, saved_model

_PAGE = pathlib.Path(__file__).resolve().parents[2] / "launch" / "serving.md"
_TEXT = _PAGE.read_text(encoding="utf-8")
_VOCABULARY = ["jazz", "bebop", "民謡", "opera"]
_NUM_SNIPPETS = 6
_BLOCKER = """
import sys

class Blocker:
  def find_spec(self, name, *args):
    if name.split(".")[0] == "music_embed":
      raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
try:
  import music_embed
except ImportError:
  pass
else:
  sys.exit("music_embed could be imported")
"""
_SAVE = """
import numpy as np
np.save("vector.npy", vector)
"""


@dataclasses.dataclass(frozen=True)
class Exchange:
  """A request of the page, and the response that follows it."""

  command: str
  response: dict


def _blocks(language: str) -> list[str]:
  return re.findall(rf"```{language}\n(.*?)```", _TEXT, re.DOTALL)


def _exchanges() -> list[Exchange]:
  found = re.findall(r"```bash\n(curl .*?)```\s+```json\n(.*?)```", _TEXT, re.S)
  return [Exchange(command, json.loads(text)) for command, text in found]


_SNIPPETS = _blocks("python")
_EXCHANGES = _exchanges()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
  """Holds what the page speaks of: the export, and song.mp3."""
  path = tmp_path_factory.mktemp("serving")
  front_end = types.LogMelFrontEnd()
  names = set(convert.FILES)
  if importlib.util.find_spec("tf2onnx") is None:
    names -= {"onnx"}
  saved_model.save(
    tiny_exports.network(front_end, num_labels=len(_VOCABULARY)),
    str(path / "demo" / "export_all"),
    front_end=front_end,
    vocabulary=_VOCABULARY,
    top_k=3,
    formats=sorted(names),
  )
  sound = np.stack(
    [check_sounds.synthesised(seed, 4.0, 44_100) for seed in (1, 2)], axis=1
  )
  soundfile.write(path / "song.mp3", sound, 44_100)
  return path


@pytest.fixture(scope="module")
def loaded(folder):
  return exported.Exported(str(folder / "demo" / "export_all")).load()


@pytest.fixture(scope="module")
def port(loaded):
  with predict_stand_in.serve(loaded.signatures, "music") as port:
    yield port


def _run(folder: pathlib.Path, code: str) -> str:
  """Runs code in a process that cannot import our package."""
  done = subprocess.run(
    [sys.executable, "-I", "-c", _BLOCKER + code],
    cwd=folder,
    capture_output=True,
    encoding="utf-8",
    check=False,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


def _skip_without(snippet: str) -> None:
  """Skips a snippet whose runtime is not installed; never in CI."""
  for package in ("onnxruntime", "ai_edge_litert"):
    if package in snippet and importlib.util.find_spec(package) is None:
      if os.environ.get("CI"):
        pytest.fail(f"{package} is not installed")
      pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize(
  ("place", "tolerance"),
  [(1, 1e-6), (2, 1e-4), (3, 2e-2), (4, 1e-4)],
  ids=["saved_model", "tflite", "tflite_int8", "onnx"],
)
def test_a_process_without_our_package_embeds_with_every_format(
  folder, loaded, place: int, tolerance: float
) -> None:
  _skip_without(_SNIPPETS[place])
  printed = _run(folder, _SNIPPETS[0] + _SNIPPETS[place] + _SAVE)
  found = np.load(folder / "vector.npy")
  expected = _embedding(folder, loaded)
  np.testing.assert_allclose(found, expected, atol=tolerance)
  if place == 1:
    assert printed.split()[0] in _VOCABULARY


def _embedding(folder: pathlib.Path, loaded) -> np.ndarray:
  from music_embed.audio import decode

  waveform = decode.decode(str(folder / "song.mp3")).waveform
  outputs = loaded.signatures["embed"](waveform=tf.constant(waveform))
  return outputs["recording_embedding"].numpy()


def test_the_page_has_the_snippets_that_are_run_here() -> None:
  assert len(_SNIPPETS) == _NUM_SNIPPETS
  assert 'open("request.json", "w")' in _SNIPPETS[-1]
  curls = [block for block in _blocks("bash") if block.startswith("curl")]
  assert len(curls) == len(_EXCHANGES) == 5
  assert "No TensorFlow Serving was run" in _TEXT


def _curl(folder: pathlib.Path, command: str, port: int) -> dict:
  if shutil.which("curl") is None:
    pytest.skip("curl is not installed")
  assert "localhost:8501/" in command
  done = subprocess.run(
    ["bash", "-c", command.replace("localhost:8501/", f"127.0.0.1:{port}/")],
    cwd=folder,
    capture_output=True,
    encoding="utf-8",
    check=True,
    timeout=120,
  )
  return json.loads(done.stdout)


@pytest.mark.parametrize(
  "exchange",
  _EXCHANGES,
  ids=[f"{place}" for place in range(len(_EXCHANGES))],
)
def test_curl_gets_the_response_that_the_page_shows(
  folder, loaded, port, exchange: Exchange
) -> None:
  if "@request.json" in exchange.command:
    _run(folder, _SNIPPETS[0] + _SNIPPETS[-1])
  found = _curl(folder, exchange.command, port)
  _compare(found, exchange.response, {"dim": 8, "top_k": 3})
  if "@request.json" in exchange.command:
    np.testing.assert_allclose(
      found["outputs"]["recording_embedding"],
      _embedding(folder, loaded),
      atol=1e-3,  # Samples have five digits.
    )


def _compare(found, shown, sizes: dict[str, int]) -> None:
  """Checks a response against "float [windows, dim]" and the like."""
  if isinstance(shown, dict):
    assert set(found) == set(shown)
    for key in shown:
      _compare(found[key], shown[key], dict(sizes))
  elif isinstance(shown, list):
    assert found
    for row in found:
      _compare(row, shown[0], sizes)
  else:
    kind, names = re.fullmatch(r"(\w+) \[(.*)\]", shown).groups()
    array = np.array(found)
    letters = {"float": "f", "int": "i", "string": "U"}
    assert array.dtype.kind == letters[kind]
    wanted = [name for name in names.split(", ") if name]
    assert array.ndim == len(wanted)
    for name, size in zip(wanted, array.shape, strict=True):
      assert sizes.setdefault(name, size) == size


def test_the_table_says_which_signatures_take_rows(loaded, folder) -> None:
  rows = re.findall(r"^\| `(\w+)` \| (`.*?) \| (yes|no)", _TEXT, re.MULTILINE)
  card = exported.Exported(str(folder / "demo" / "export_all")).card
  assert {name for name, _, _ in rows} == set(card["signatures"])
  # Two windows each: of three recordings of three, `embed` would pass.
  sound = [0.1] * 90_000
  instances = {
    "embed": [sound] * 3,
    "embed_padded": [{"waveform": sound, "num_samples": 90_000}] * 3,
    "label": [sound] * 3,
    "label_padded": [{"waveform": sound, "num_samples": 90_000}] * 3,
    "embed_log_mel": np.zeros([3, 300, 64]).tolist(),
    "label_embeddings": [
      {"window_embeddings": [0.0] * 8, "recording": 0, "top_k": 2}
    ]
    * 3,
    "label_vectors": [0, 1, 2],
  }
  for name, inputs, takes_rows in rows:
    described = card["signatures"][name]["inputs"]
    assert set(re.findall(r"`(\w+)`", inputs)) == set(described)
    request = {"signature_name": name, "instances": instances[name]}
    if takes_rows == "yes":
      found = predict_stand_in.predict(loaded.signatures, request)
      assert len(found["predictions"]) == 3
    else:
      with pytest.raises(predict_stand_in.BadRequest):
        predict_stand_in.predict(loaded.signatures, request)


def test_every_signature_takes_columns(loaded) -> None:
  sound = [[0.1] * 4_000] * 2
  inputs = {
    "embed": {"waveform": sound},
    "embed_padded": {"waveform": sound, "num_samples": [4_000, 100]},
    "label": sound,
    "label_padded": {"waveform": sound, "num_samples": [4_000, 100]},
    "embed_log_mel": np.zeros([2, 300, 64]).tolist(),
    "label_embeddings": {
      "window_embeddings": [[0.0] * 8] * 3,
      "recording": [0, 1, 1],
      "top_k": 2,
    },
    "label_vectors": [3],
  }
  assert set(inputs) == set(loaded.signatures)
  for name, values in inputs.items():
    request = {"signature_name": name, "inputs": values}
    found = predict_stand_in.predict(loaded.signatures, request)["outputs"]
    described = loaded.signatures[name].structured_outputs
    if len(described) == 1:
      assert isinstance(found, list)
    else:
      assert set(found) == set(described)
