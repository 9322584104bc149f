import pathlib

import pytest

from music_embed.core import errors
from music_embed.runs import config, train

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FILE = "gin/systems/huang2020/triplet.gin"
_GIVEN = ("workdir", "texts", "dry_run")


@pytest.fixture(autouse=True)
def checkout(monkeypatch):
  monkeypatch.chdir(_ROOT)


def _load(*params, files=(_FILE,), given=_GIVEN):
  return config.load(
    train.train,
    gin_files=files,
    gin_params=["DATASET = 'd'", *params],
    given=given,
  )


def test_arguments_hold_the_objects_that_the_files_name():
  arguments = _load().arguments
  assert arguments["dataset"] == "d"
  assert arguments["loop"].train_steps == 10_000_000
  (task,) = arguments["tasks"]
  assert type(task.objective).__name__ == "TripletObjective"
  assert type(arguments["embedder"].backbone).__name__ == "ResNet18"


def test_bindings_of_the_command_line_override_the_files():
  assert _load("TRAIN_STEPS = 7").arguments["loop"].train_steps == 7


def test_the_saved_text_gives_the_same_arguments():
  configured = _load("TRAIN_STEPS = 7")
  again = config.parse_text(train.train, configured.config_text)
  assert again.arguments["loop"] == configured.arguments["loop"]
  assert again.arguments["dataset"] == "d"


def test_the_operative_text_holds_defaults_that_no_file_sets():
  text = _load().operative_text
  assert "LoopOptions.keep_checkpoints = 2" in text
  assert "train.seed = 0" in text


@pytest.mark.parametrize(
  ("params", "culprit"),
  [
    (["loop.LoopOptions.train_stepz = 1"], "train_stepz"),
    (["train.train.sed = 1"], "sed"),
    (["TRAIN_STEPZ = 1"], "TRAIN_STEPZ"),
    (["seed = 1"], "seed"),
    (["Train_Steps = 1"], "Train_Steps"),
    (["loop.LoopOption.train_steps = 1"], "LoopOption"),
    (["loop.LoopOptions.train_steps = %NOWHERE"], "NOWHERE"),
    (["loop.LoopOptions.train_steps = 0"], "train_steps"),
    (["loop.LoopOptions.train_steps"], "expected"),
    (["DATASET = %gin.REQUIRED"], "DATASET"),
    (["BACKBONE = @resnet.ResNet()"], "ResNet"),
    (["train.train.loop = %gin.REQUIRED"], "loop"),
    (["plateau.Plateau.mode = 'up'"], "mode"),
    (["TRAIN_STEPS = abc"], "a text needs quotes) Failed to parse token 'abc'"),
  ],
)
def test_a_mistake_is_one_line_that_names_the_culprit(params, culprit):
  with pytest.raises(errors.ConfigError) as caught:
    _load(*params)
  message = str(caught.value)
  assert culprit in message
  assert "\n" not in message


def test_a_missing_file_is_named_with_where_it_was_looked_for():
  with pytest.raises(errors.ConfigError, match="nope.gin: no such file"):
    _load(files=["gin/nope.gin"])


def test_an_unset_argument_is_named():
  with pytest.raises(errors.ConfigError, match="train.workdir is required"):
    _load(given=())


def test_a_function_that_no_file_names_still_needs_its_arguments():
  def job(*, size, name="x"):
    del size, name

  with pytest.raises(errors.ConfigError, match="job.size is required"):
    config.load(job)
  assert config.load(job, given=["size"]).arguments == {}


def test_a_binding_of_what_a_flag_gives_is_refused():
  with pytest.raises(errors.ConfigError, match="train.dry_run is bound, but"):
    _load("train.train.dry_run = True")
