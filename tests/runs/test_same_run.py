from music_embed.runs import config, same_run, train

_SYSTEM = "gin/systems/huang2020/triplet.gin"
_BATCHES = ("DATASET = 'a'", "BATCH_TRIPLETS = 4")


def _text(*params, files=(_SYSTEM,)):
  configured = config.load(
    train.train,
    gin_files=files,
    gin_params=(*_BATCHES, *params),
    given=("workdir", "texts", "dry_run"),
  )
  return configured.config_text


def test_the_same_configuration_has_no_differences():
  assert same_run.differences(_text(), _text()) == []


def test_every_differing_binding_is_shown_with_both_values():
  lines = same_run.differences(
    _text("TRAIN_STEPS = 10"),
    _text("TRAIN_STEPS = 20", "TripletObjective.mining = 'none'"),
  )
  assert lines == [
    "- loop.LoopOptions.train_steps = 10",
    "+ loop.LoopOptions.train_steps = 20",
    "- triplet.TripletObjective.mining = 'semi_hard'",
    "+ triplet.TripletObjective.mining = 'none'",
  ]


def test_a_binding_on_one_side_only_is_a_difference():
  lines = same_run.differences(_text(), _text("train.train.seed = 3"))
  assert lines == ["+ train.train.seed = 3"]
  lines = same_run.differences(_text("train.train.seed = 3"), _text())
  assert lines == ["- train.train.seed = 3"]


def test_a_run_may_go_on_on_other_hardware():
  elsewhere = _text(
    "strategy.Mirrored.devices = ['GPU:0', 'GPU:1']",
    "LoopOptions.steps_per_loop = 7",
    files=(_SYSTEM, "gin/hardware/cpu.gin", "gin/hardware/mirrored.gin"),
  )
  lines = same_run.differences(_text("DATASET = 'b'"), elsewhere)
  assert lines == [
    "- runtime.configure.precision = 'float32'",
    "+ runtime.configure.precision = 'mixed_bfloat16'",
  ]
  same_precision = elsewhere.replace("'mixed_bfloat16'", "'float32'")
  assert same_run.differences(_text(), same_precision) == []


def test_a_binding_that_is_only_spelt_through_a_macro_is_no_difference():
  direct = "loop.LoopOptions.train_steps = 5\n"
  macro = "STEPS = 5\nMORE = %STEPS\nloop.LoopOptions.train_steps = %MORE\n"
  assert same_run.differences(direct, macro) == []


def test_values_over_several_lines_are_compared_whole():
  before = "a.B.c = \\\n    ['first',\n     'second']\n\n# Parameters for d:\n"
  after = before.replace("second", "other")
  assert same_run.differences(before, before.replace("\\\n    ", "")) == []
  assert same_run.differences(before, after) == [
    "- a.B.c = ['first', 'second']",
    "+ a.B.c = ['first', 'other']",
  ]


def test_a_long_list_is_cut():
  before = "".join(f"a.B.c{i:02d} = 1\n" for i in range(20))
  lines = same_run.differences(before, before.replace("1\n", "2\n"))
  assert len(lines) == 25
  assert lines[-1] == "... and 8 more bindings"


def test_a_run_that_was_moved_is_the_same_and_another_ones_heir_is_not():
  label = ("gin/systems/huang2020/label.gin",)
  texts = [
    _label(f"WARM_START = '{folder}'", files=label)
    for folder in ("runs/triplet", "/moved/runs/triplet/", "runs/other")
  ]
  assert same_run.differences(texts[0], texts[1]) == []
  assert same_run.differences(texts[0], texts[2]) == [
    "- warm_start.WarmStart.workdir = 'triplet'",
    "+ warm_start.WarmStart.workdir = 'other'",
  ]


def _label(*params, files):
  configured = config.load(
    train.train,
    gin_files=files,
    gin_params=("DATASET = 'a'", *params),
    given=("workdir", "texts", "dry_run"),
  )
  return configured.config_text
