"""The same networks and loss in PyTorch, written by hand for the comparison.

Needs PyTorch (extra `perf`); imported only where it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

_MOBILE_BLOCKS = (
  (20, 1),
  (44, 2),
  (44, 1),
  (84, 2),
  (84, 1),
  (168, 2),
  (168, 1),
  (168, 1),
  (168, 1),
  (168, 1),
  (168, 1),
  (168, 2),
  (168, 1),
)


def _conv(
  inputs: int,
  outputs: int,
  kernel: tuple[int, int],
  stride: tuple[int, int],
  *,
  same: bool = True,
  groups: int = 1,
  relu: bool = True,
) -> nn.Sequential:
  padding = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
  layers: list[nn.Module] = [
    nn.Conv2d(
      inputs, outputs, kernel, stride, padding, groups=groups, bias=False
    ),
    nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
  ]
  return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class _Block(nn.Module):
  """ResNet's basic block."""

  def __init__(self, inputs: int, outputs: int, stride: int) -> None:
    super().__init__()
    self.first = _conv(inputs, outputs, (3, 3), (stride, stride))
    self.second = _conv(outputs, outputs, (3, 3), (1, 1), relu=False)
    self.shortcut: nn.Module = nn.Identity()
    if stride > 1:
      self.shortcut = _conv(
        inputs, outputs, (1, 1), (stride, stride), relu=False
      )

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return torch.relu(self.second(self.first(x)) + self.shortcut(x))


class _Mean(nn.Module):
  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return x.mean((2, 3))


def _resnet18() -> list[nn.Module]:
  layers: list[nn.Module] = [
    _conv(1, 64, (7, 5), (2, 1)),
    nn.MaxPool2d((5, 3), (4, 2)),
  ]
  inputs = 64
  for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
    layers += [_Block(inputs, outputs, stride), _Block(outputs, outputs, 1)]
    inputs = outputs
  return [*layers, _Mean()]


def _mobilenet() -> list[nn.Module]:
  layers: list[nn.Module] = [_conv(1, 12, (3, 3), (2, 1))]
  inputs = 12
  for index, (outputs, stride) in enumerate(_MOBILE_BLOCKS):
    if index == 2:
      layers.append(nn.MaxPool2d((4, 2), (2, 1)))
    layers.append(
      _conv(inputs, inputs, (3, 3), (stride, stride), groups=inputs)
    )
    layers.append(_conv(inputs, outputs, (1, 1), (1, 1)))
    inputs = outputs
  return [*layers, nn.Flatten()]


def _small_cnn() -> list[nn.Module]:
  layers: list[nn.Module] = []
  inputs = 1
  for outputs in (8, 16, 78):
    layers.append(_conv(inputs, outputs, (7, 5), (2, 1), same=False))
    layers.append(nn.MaxPool2d((4, 2), (2, 1)))
    inputs = outputs
  return [*layers, nn.Flatten()]


_NETWORKS: dict[str, Callable[[], list[nn.Module]]] = {
  "small_cnn": _small_cnn,
  "mobilenet": _mobilenet,
  "resnet18": _resnet18,
}


def step(
  name: str, windows: np.ndarray[Any, Any], *, bfloat16: bool
) -> tuple[Callable[[], float], int]:
  """A training step on fixed data: triplet loss with mining, and Adam.

  Args:
    name: of the network.
    windows: float32 [triplets, 3, frames, bins].
    bfloat16: whether the network computes under autocast.

  Returns:
    A function that takes a step and returns the loss, and the number of
    trained parameters of convolutions and dense layers.
  """
  torch.manual_seed(0)
  triplets = windows.shape[0]
  x = torch.from_numpy(windows.reshape(-1, 1, *windows.shape[2:]))
  x = x.contiguous(memory_format=torch.channels_last)
  layers = nn.Sequential(*_NETWORKS[name]())
  with torch.no_grad():
    features = layers(x[:2]).shape[1]
  network = nn.Sequential(layers, nn.Linear(features, 128))
  network = network.to(memory_format=torch.channels_last)
  optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, eps=1e-7)

  def run() -> float:
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
      embedding = network(x)
    loss = _loss(embedding.float().reshape(triplets, 3, -1))
    loss.backward()
    optimizer.step()
    return float(loss.detach())

  counted = (
    module.weight.numel()
    + (module.bias.numel() if module.bias is not None else 0)
    for module in network.modules()
    if isinstance(module, nn.Conv2d | nn.Linear)
  )
  return run, sum(counted)


def _loss(embedding: torch.Tensor) -> torch.Tensor:
  """Eq. 1 with semi-hard negatives of the batch, margin .1, summed."""
  unit = nn.functional.normalize(embedding, dim=-1)
  anchor, positive, negative = unit.unbind(1)
  to_positive = (anchor - positive).square().sum(1)
  with torch.no_grad():
    distances = torch.cdist(anchor, negative).square()
    masked = distances.masked_fill(distances <= to_positive[:, None], torch.inf)
    nearest, index = masked.min(1)
  mined = torch.where(
    torch.isfinite(nearest)[:, None], negative[index], negative
  )
  to_negative = (anchor - mined).square().sum(1)
  return torch.relu(to_positive - to_negative + 0.1).sum()
