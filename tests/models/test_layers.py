import pytest

from music_embed.models import layers


@pytest.mark.parametrize(
  ("channels", "multiplier", "multiple", "expected"),
  [
    (78, 1.0, 1, 78),
    (78, 0.25, 1, 20),  # 19.5 rounds up.
    (32, 0.33, 4, 12),  # 10.56
    (64, 0.33, 4, 20),  # 21.12
    (512, 0.33, 4, 168),  # 168.96
    (8, 0.01, 1, 1),
    (8, 0.01, 4, 4),
  ],
)
def test_scaled_rounds_to_the_multiple_and_never_to_zero(
  channels: int, multiplier: float, multiple: int, expected: int
) -> None:
  assert layers.scaled(channels, multiplier, multiple=multiple) == expected
