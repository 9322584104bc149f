"""A run goes on, checkpoint by checkpoint, on other numbers of replicas."""

import pathlib

import pytest
import replica_cases
import worker_pair

from music_embed.training import history, strategy

_HEADS = ("small_cnn_label", "small_cnn_sharded")
_TIMEOUT_S = 1_200

pytestmark = pytest.mark.timeout(_TIMEOUT_S)


class _Replicas:
  """A strategy that is there already."""

  def __init__(self, made) -> None:
    self._made = made

  def create(self):
    return self._made


def _losses(workdir: pathlib.Path) -> list[float]:
  rows = history.read(str(workdir / history.FILE_NAME))
  return [row["label_softmax/loss"] for row in rows if row["split"] == "train"]


def test_a_chain_over_replicas_and_processes_ends_as_one_uninterrupted_run(
  mirrored, floatx, tmp_path
) -> None:
  floatx("float64")
  dataset = str(tmp_path / "dataset")
  replica_cases.write_dataset(dataset)
  chain, alone = tmp_path / "chain", tmp_path / "alone"

  def go_on(folder: pathlib.Path, steps: int, placement) -> None:
    for name in _HEADS:
      replica_cases.run(
        replica_cases.CASES[name],
        dataset,
        str(folder / name),
        steps=steps,
        strategy=placement,
      )

  one_device = strategy.OneDevice("CPU:0")
  go_on(alone, 15, one_device)
  go_on(chain, 3, one_device)
  go_on(chain, 6, _Replicas(mirrored(2)))
  go_on(chain, 9, _Replicas(mirrored(4)))
  worker = str(pathlib.Path(__file__).with_name("chain_worker.py"))
  pair = worker_pair.Pair(
    [worker, dataset, str(chain), "12", *_HEADS], tmp_path
  )
  try:
    pair.wait(_TIMEOUT_S)
  finally:
    pair.kill()
  go_on(chain, 15, one_device)
  for name in _HEADS:
    expected = _losses(alone / name)
    assert len(expected) == 15
    assert _losses(chain / name) == pytest.approx(expected, rel=1e-9)
  # The chain is worth comparing: it has learnt, and both heads alike.
  assert min(expected[-4:]) < min(expected[:4])
  assert expected == pytest.approx(_losses(alone / _HEADS[0]), rel=1e-9)
