"""Prints a backbone's layers, parameters and multiplies beside the paper's.

python tools/describe_model.py [small_cnn mobilenet resnet ...]
"""

from __future__ import annotations

import importlib
import inspect
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import tf_keras  # noqa: E402

from music_embed.models import counting, embedder  # noqa: E402
from music_embed.models.heads import projection  # noqa: E402

PAPER = {
  "SmallCNN": (537e3, 22e6),
  "MobileNet": (670e3, 26.1e6),
  "ResNet18": (11.2e6, 686e6),
}
"""Huang et al. 2020: parameters and multiplies, batch norm not counted."""


def backbones(module_name: str) -> list[type[tf_keras.layers.Layer]]:
  """The networks of one file: classes that take `width_multiplier`."""
  module = importlib.import_module(
    f"music_embed.models.backbones.{module_name}"
  )
  return [
    value
    for value in vars(module).values()
    if isinstance(value, type)
    and value.__module__ == module.__name__
    and "width_multiplier" in inspect.signature(value).parameters
  ]


def describe(backbone: type[tf_keras.layers.Layer]) -> str:
  """A table of the network's layers and its totals."""
  model = embedder.Embedder(
    backbone=backbone(), projection=projection.Projection()
  )
  layers = counting.count(model)
  lines = [backbone.__name__]
  for layer in layers:
    shape = "x".join(map(str, layer.output_shape))
    lines.append(
      f"  {layer.name:50} {shape:>12} {layer.parameters:>12,}"
      f" {layer.multiplies:>14,}"
    )
  parameters, multiplies = counting.total(layers)
  lines.append(f"  {'total':63} {parameters:>12,} {multiplies:>14,}")
  if backbone.__name__ in PAPER:
    paper = PAPER[backbone.__name__]
    lines.append(f"  {'paper':63} {paper[0]:>12,.0f} {paper[1]:>14,.0f}")
  return "\n".join(lines)


def main() -> None:
  """Describes the backbones named on the command line, or all."""
  folder = ROOT / "music_embed" / "models" / "backbones"
  every = sorted(path.stem for path in folder.glob("[!_]*.py"))
  names = sys.argv[1:] or every
  if unknown := [name for name in names if name not in every]:
    print(
      f"no backbone {unknown[0]!r}; there are: {', '.join(every)}",
      file=sys.stderr,
    )
    sys.exit(2)
  for name in names:
    for backbone in backbones(name):
      print(describe(backbone))


if __name__ == "__main__":
  main()
