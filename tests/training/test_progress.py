import pytest

from music_embed.training import progress as progress_lib


@pytest.mark.parametrize(
  ("seconds", "text"),
  [(5, "5 s"), (59.6, "1 min 00 s"), (95, "1 min 35 s"), (7300, "2 h 01 min")],
)
def test_durations_read_as_a_person_says_them(seconds, text):
  assert progress_lib.duration(seconds) == text


def test_the_line_holds_step_losses_rate_and_time_left(monkeypatch):
  clock = iter([100.0, 110.0])
  monkeypatch.setattr(progress_lib.time, "monotonic", lambda: next(clock))
  progress = progress_lib.Progress(
    name="triplet", total_steps=200, windows_per_step=132
  )
  progress.start(0)
  line = progress.line(50, {"triplet/loss": 0.25, "triplet/mined": 0.5})
  # 50 steps in 10 s: 5 steps/s of 132 windows; 150 steps left take 30 s.
  assert line == (
    "triplet  step 50/200  triplet/loss 0.2500  660 windows/s  30 s left"
  )
