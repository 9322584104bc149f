import threading
import time

from music_embed.training import history as history_lib


def test_rows_come_back_in_order(tmp_path):
  path = str(tmp_path / "history.jsonl")
  history = history_lib.History(path, first_step=0, validated_step=0)
  history.append(step=10, split="train", values={"loss": 2.0})
  history.append(step=10, split="validation", values={"link_ap": 0.5})
  assert history_lib.read(path) == [
    {"step": 10, "split": "train", "loss": 2.0},
    {"step": 10, "split": "validation", "link_ap": 0.5},
  ]


def test_resuming_drops_rows_that_will_be_measured_again(tmp_path):
  path = str(tmp_path / "history.jsonl")
  history = history_lib.History(path, first_step=0, validated_step=0)
  for step in (10, 20, 30):
    history.append(step=step, split="train", values={"loss": 1.0})
  history_lib.History(path, first_step=20, validated_step=20)
  assert [row["step"] for row in history_lib.read(path)] == [10, 20]


def test_an_interrupted_validation_is_measured_again(tmp_path):
  path = str(tmp_path / "history.jsonl")
  history = history_lib.History(path, first_step=0, validated_step=0)
  for step in (10, 20):
    history.append(step=step, split="train", values={"loss": 1.0})
    history.append(step=step, split="validation", values={"link_ap": 0.5})
  history_lib.History(path, first_step=20, validated_step=10)
  rows = [(row["step"], row["split"]) for row in history_lib.read(path)]
  assert rows == [(10, "train"), (10, "validation"), (20, "train")]


def test_seconds_of_all_parts_are_summed_also_of_what_was_done_twice(tmp_path):
  path = tmp_path / "timing.jsonl"
  first = history_lib.Timing(str(path))
  first.append(step=10, part="train", seconds=2.0, windows_per_s=5.0)
  first.append(step=20, part="train", seconds=3.0)
  with open(path, "a") as file:
    file.write('{"step": 30, "par')
  again = history_lib.Timing(str(path))
  again.append(step=20, part="train", seconds=3.5)
  assert history_lib.total_seconds(str(path)) == 8.5


def test_cpu_seconds_of_all_threads_are_summed_over_interruptions(tmp_path):
  path = str(tmp_path / "timing.jsonl")
  for step in (10, 20):  # Opened twice, as after an interruption.
    timing = history_lib.Timing(path)
    before = time.process_time()
    thread = threading.Thread(target=_compute)
    thread.start()
    thread.join()
    took = time.process_time() - before
    timing.append(step=step, part="train", seconds=1.0)
    assert history_lib.read(path)[-1]["cpu_seconds"] >= round(took, 4)
  rows = [row["cpu_seconds"] for row in history_lib.read(path)]
  assert history_lib.total_cpu_seconds(path) == sum(rows)


def _compute():
  while time.thread_time() < 0.02:
    pass


def test_cpu_seconds_are_unknown_where_a_row_lacks_them(tmp_path):
  path = tmp_path / "timing.jsonl"
  path.write_text('{"step": 10, "part": "train", "seconds": 2.0}\n')
  timing = history_lib.Timing(str(path))
  timing.append(step=20, part="train", seconds=1.0)
  assert history_lib.total_cpu_seconds(str(path)) is None


def test_a_half_written_last_row_is_left_out(tmp_path):
  path = tmp_path / "history.jsonl"
  path.write_text('{"step": 1, "split": "train"}\n{"step": 2, "spl')
  assert [row["step"] for row in history_lib.read(str(path))] == [1]


def test_a_missing_file_has_no_rows(tmp_path):
  assert history_lib.read(str(tmp_path / "none.jsonl")) == []
