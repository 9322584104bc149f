import pytest

from music_embed.training import progress as progress_lib


@pytest.mark.parametrize(
  ("seconds", "text"),
  [(5, "5 s"), (59.6, "1 min 00 s"), (95, "1 min 35 s"), (7300, "2 h 01 min")],
)
def test_durations_read_as_a_person_says_them(seconds, text):
  assert progress_lib.duration(seconds) == text


def _progress(monkeypatch, times, **options):
  clock = iter(times)
  monkeypatch.setattr(progress_lib.time, "monotonic", lambda: next(clock))
  return progress_lib.Progress(
    **{
      "name": "triplet",
      "total_steps": 2000,
      "windows_per_step": 132,
      **options,
    }
  )


def test_the_line_holds_step_losses_rate_and_time_left(monkeypatch):
  progress = _progress(monkeypatch, [100.0, 110.0])
  progress.start(0)
  progress.resume()
  progress.pause()
  values = {
    "triplet/loss": 0.25,
    "triplet/active": 0.9,
    "triplet/mined": 0.5,
    "learning_rate/backbone": 0.1,
  }
  # 500 steps in 10 s: 50 steps/s of 132 windows; 1500 steps left take 30 s.
  assert progress.line(500, values, progress.measure(500, 0.3)) == (
    "triplet  step 500/2,000  loss 0.2500  mined 0.50  active 0.90  "
    "6,600 windows/s  input wait 3 %  30 s left"
  )


def test_two_losses_keep_their_names(monkeypatch):
  progress = _progress(monkeypatch, [], may_end_early=True)
  speed = progress_lib.Speed(1.0, 132.0, 0.0)
  values = {"triplet/loss": 0.25, "label_softmax/loss": 3.0}
  assert progress.line(1000, values, speed) == (
    "triplet  step 1,000/2,000  triplet/loss 0.2500  "
    "label_softmax/loss 3.0000  132 windows/s  input wait 0 %  "
    "< 16 min 40 s left"
  )


def test_a_long_line_gives_up_shares_first(monkeypatch):
  progress = _progress(monkeypatch, [], name="a" * 16, total_steps=10_000_000)
  values = {"triplet/loss": 0.1, "triplet/mined": 0.5, "triplet/spread": 0.25}
  speed = progress_lib.Speed(1.0, 132.0, 0.0)
  line = progress.line(9_000_000, values, speed)
  assert len(line) <= 118
  assert "mined" in line
  assert "spread" not in line


def test_the_clock_stands_while_the_network_is_validated(monkeypatch):
  progress = _progress(monkeypatch, [0.0, 2.0, 50.0, 52.0])
  progress.start(0)
  for _ in range(2):
    progress.resume()
    progress.pause()
  speed = progress.measure(10)
  assert speed.seconds == 4.0
  assert speed.windows_per_s == 330.0
