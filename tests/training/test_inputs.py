import pytest

from music_embed.core import errors
from music_embed.data.pipeline import labelled, materialized, triplets
from music_embed.objectives import label_softmax, triplet
from music_embed.training import inputs, task


def _tasks():
  return [
    task.Task(
      triplet.TripletObjective(), triplets.TripletSource(batch_triplets=4)
    ),
    task.Task(
      label_softmax.LabelSoftmaxObjective(),
      labelled.LabelledSource(batch_windows=6),
      0.5,
    ),
  ]


def test_the_batch_of_every_source_is_multiplied_and_the_rest_stays():
  given = _tasks()
  found = inputs.adapted(given, replicas=3)
  assert [t.source.describe() for t in found] == [
    given[0].source.describe() | {"batch_triplets": 12},
    given[1].source.describe() | {"batch_windows": 18},
  ]
  assert [t.weight for t in found] == [1.0, 0.5]
  assert given[0].source.batch_triplets == 4  # As it was.


def test_the_options_of_a_machine_change_no_batch():
  given = _tasks()
  found = inputs.adapted(given, options=inputs.InputOptions(7, 9))
  for before, after in zip(given, found, strict=True):
    assert after.source.describe() == before.source.describe()
    assert after.source._num_parallel_calls == 7
    assert after.source._prefetch_batches == 9


def test_materialised_batches_must_have_been_made_that_large():
  source = materialized.MaterializedSource(
    paths="batches", source=triplets.TripletSource(batch_triplets=4)
  )
  given = [task.Task(triplet.TripletObjective(), source)]
  (found,) = inputs.adapted(given, replicas=2)
  assert found.source.source.batch_triplets == 8


def test_materialised_batches_of_any_kind_cannot_be_made_larger():
  source = materialized.MaterializedSource(paths="batches")
  given = [task.Task(triplet.TripletObjective(), source)]
  with pytest.raises(errors.ConfigError, match="batch_per_replica"):
    inputs.adapted(given, replicas=2)


def test_where_no_python_runs_batches_must_be_materialised():
  with pytest.raises(errors.ConfigError, match="TripletSource runs Python"):
    inputs.adapted(_tasks(), is_remote=True)
  source = materialized.MaterializedSource(paths="batches")
  given = [task.Task(triplet.TripletObjective(), source)]
  assert inputs.adapted(given, is_remote=True) == given


@pytest.mark.parametrize("name", ["num_parallel_calls", "prefetch_batches"])
def test_input_options_out_of_range_are_named(name):
  with pytest.raises(errors.ConfigError, match=f"InputOptions.{name}"):
    inputs.InputOptions(**{name: 0})
