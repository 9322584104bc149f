"""The processes that train together, and what they agree on."""

from __future__ import annotations

import functools

import tensorflow as tf


class Workers:
  """This process among those of a strategy.

  Only several hosts under MultiWorkerMirroredStrategy are several processes;
  a TPU pod is driven by one. The methods are collectives: every worker calls
  them at the same point, or all of them wait. With one worker they are free.
  """

  def __init__(self, strategy: tf.distribute.Strategy | None = None):
    """Finds this process's place.

    Args:
      strategy: whose processes; None, and any strategy of one process, is a
        single worker.
    """
    self._strategy = strategy
    self.hosts, self.index = _place(strategy)
    self.count = len(self.hosts)

  @property
  def names(self) -> list[str]:
    """The workers as messages name them."""
    return [f"worker {i} ({host})" for i, host in enumerate(self.hosts)]

  @property
  def is_chief(self) -> bool:
    """Whether this worker writes the run's files."""
    return self.index == 0

  def any(self, flag: bool) -> bool:
    """Whether the flag is set on any worker."""
    return self.extremes(int(flag))[1] > 0

  def extremes(self, value: int) -> tuple[int, int]:
    """The least and the greatest of the workers' values."""
    if self.count == 1:
      return value, value
    values = self._gathered(tf.constant([value], tf.int64)).numpy()
    return int(values.min()), int(values.max())

  @functools.cached_property
  def _gathered(self) -> tf.types.experimental.PolymorphicFunction:
    strategy = self._strategy
    assert strategy is not None

    def gather(value: tf.Tensor) -> tf.Tensor:
      context = tf.distribute.get_replica_context()
      # A function's input cannot be gathered as it is.
      return context.all_gather(tf.identity(value), axis=0)

    def gathered(value: tf.Tensor) -> tf.Tensor:
      outputs = strategy.run(gather, args=(value,))
      return strategy.experimental_local_results(outputs)[0]

    return tf.function(gathered)


def _place(
  strategy: tf.distribute.Strategy | None,
) -> tuple[tuple[str, ...], int]:
  """(every worker's host:port, index of this one)."""
  alone = ("localhost",), 0
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return alone
  resolver = strategy.cluster_resolver
  jobs = resolver.cluster_spec().as_dict() if resolver is not None else {}
  chiefs, workers = jobs.get("chief", []), jobs.get("worker", [])
  if len(chiefs) + len(workers) < 2:
    return alone
  first = len(chiefs) if resolver.task_type == "worker" else 0
  return (*chiefs, *workers), first + int(resolver.task_id)
