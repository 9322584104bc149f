"""Splits by recording and by artist."""

import collections

import pytest

from music_embed.core import errors
from music_embed.data.mining import splits


def test_shares_are_met_on_average() -> None:
  options = splits.SplitOptions(validation_share=0.1, evaluation_share=0.2)
  found = collections.Counter(
    splits.split_of(f"r{i}", "", options=options, seed=0) for i in range(5000)
  )
  assert abs(found["validation"] / 5000 - 0.1) < 0.02
  assert abs(found["evaluation"] / 5000 - 0.2) < 0.02
  assert found.total() == 5000


def test_recordings_of_an_artist_stay_together_however_it_is_written() -> None:
  options = splits.SplitOptions(0.3, 0.3, by="artist")
  for artist in range(50):
    found = {
      splits.split_of(f"r{i}", name, options=options, seed=0)
      for i, name in enumerate([f"Artist {artist}", f" ARTIST {artist}"])
    }
    assert len(found) == 1
  unknown = {
    splits.split_of(f"r{i}", " ", options=options, seed=0) for i in range(50)
  }
  assert len(unknown) == 3


def test_another_seed_gives_other_splits() -> None:
  options = splits.SplitOptions(0.3, 0.3)
  one, other = (
    [splits.split_of(f"r{i}", "", options=options, seed=s) for i in range(50)]
    for s in (0, 1)
  )
  assert one != other


@pytest.mark.parametrize(
  "arguments",
  [
    {"validation_share": 0.5, "evaluation_share": 0.5},
    {"validation_share": -0.1},
    {"by": "album"},
  ],
)
def test_senseless_options_are_refused(arguments: dict) -> None:
  with pytest.raises(errors.ConfigError, match="SplitOptions"):
    splits.SplitOptions(**arguments)
