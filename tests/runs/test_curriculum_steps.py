"""Steps of a curriculum name earlier ones of the right kind."""

import pytest

from music_embed.core import errors
from music_embed.runs import curriculum

_TRIPLET = curriculum.Stage("triplet", "gin/runs/demo_triplet.gin")
_LABEL = curriculum.Stage("label", "gin/runs/demo_label.gin", "triplet")
_FACTORS = curriculum.Factorization("factors", "gin/runs/demo_factorize.gin")
_SENSES = curriculum.SenseChoice(
  "senses", "gin/runs/demo_senses.gin", factors="factors", model="label"
)
_SENSE = curriculum.Stage(
  "sense", "gin/runs/demo_sense.gin", "label", senses="senses"
)


def _dry_run(workdir, *stages):
  curriculum.curriculum(workdir=str(workdir), stages=stages, dry_run=True)


def test_every_step_is_configured_before_the_first_one_runs(tmp_path, capsys):
  _dry_run(tmp_path, _TRIPLET, _LABEL, _FACTORS, _SENSES, _SENSE)
  lines = capsys.readouterr().out.splitlines()
  assert lines[3] == "stage 4/5: senses (gin/runs/demo_senses.gin)"
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ("stages", "told"),
  [
    ([_LABEL], "'label' starts from 'triplet', which is not an earlier Stage"),
    (
      [_TRIPLET, _LABEL, _SENSES],
      "'senses' starts from 'factors', which is not an earlier Factorization",
    ),
    (
      [
        _TRIPLET,
        _LABEL,
        curriculum.Stage(
          "sense", "gin/runs/demo_sense.gin", "label", senses="label"
        ),
      ],
      "'sense' starts from 'label', which is not an earlier SenseChoice",
    ),
    ([_TRIPLET, _TRIPLET], "two stages are called 'triplet'"),
    ([_FACTORS], "a curriculum needs a stage that trains"),
    (
      [_TRIPLET, curriculum.Factorization("factors", "gin/none.gin")],
      "stage 'factors': --gin_file=gin/none.gin: no such file",
    ),
  ],
)
def test_steps_that_do_not_fit_each_other_are_named(tmp_path, stages, told):
  with pytest.raises(errors.ConfigError) as raised:
    _dry_run(tmp_path, *stages)
  assert told in str(raised.value)
