"""Who trains together: from flags, TF_CONFIG or SLURM's variables."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence

from music_embed.core import errors

_TF_CONFIG = "TF_CONFIG"
_SLURM_PORTS = 20_000
_SLURM_RANGE = 10_000


@dataclasses.dataclass(frozen=True)
class Cluster:
  """The processes of one job.

  Attributes:
    hosts: "host:port" of every worker; the first one is the chief.
    index: this process's place among them.
  """

  hosts: tuple[str, ...]
  index: int

  def __post_init__(self) -> None:
    for host in self.hosts:
      name, _, port = host.rpartition(":")
      if not name or not port.isdigit() or not 0 < int(port) < 65_536:
        raise errors.ConfigError(
          f"worker {host!r}: must be host:port, e.g. node1:2222"
        )
      if self.hosts.count(host) > 1:
        raise errors.ConfigError(f"worker {host!r} is named twice")
    if not 0 <= self.index < len(self.hosts):
      raise errors.ConfigError(
        f"worker index {self.index} of {len(self.hosts)} workers: must lie in "
        f"[0, {len(self.hosts)})"
      )

  @property
  def is_chief(self) -> bool:
    """Whether this process is the one that writes the run's files."""
    return self.index == 0

  def name(self, index: int) -> str:
    """A worker as messages name it."""
    return f"worker {index} ({self.hosts[index]})"

  @property
  def tf_config(self) -> str:
    """The value of TF_CONFIG that says the same."""
    return json.dumps(
      {
        "cluster": {"worker": list(self.hosts)},
        "task": {"type": "worker", "index": self.index},
      }
    )


def find(environ: Mapping[str, str] | None = None) -> Cluster | None:
  """The job that this process belongs to.

  Args:
    environ: the environment variables; None takes the process's.

  Returns:
    TF_CONFIG's cluster, else the SLURM step's where it has several tasks; None
    where nothing says that there are others.

  Raises:
    ConfigError: one of them is given, and wrong.
  """
  environ = os.environ if environ is None else environ
  if environ.get(_TF_CONFIG):
    return from_tf_config(environ[_TF_CONFIG])
  if environ.get("SLURM_STEP_NUM_TASKS", "1") != "1":
    return from_slurm(environ)
  return None


def from_flags(hosts: Sequence[str], index: int | None) -> Cluster:
  """The cluster of --worker_hosts and --worker_index.

  Raises:
    ConfigError: one of the two is missing, or they don't fit each other.
  """
  if not hosts or index is None:
    missing = "--worker_index" if hosts else "--worker_hosts"
    raise errors.ConfigError(
      f"{missing} is missing: --worker_hosts (the same on every worker) and "
      f"--worker_index belong together"
    )
  return Cluster(tuple(hosts), index)


def from_tf_config(text: str) -> Cluster:
  """The cluster of TF_CONFIG; a "chief" stands before the workers.

  Raises:
    ConfigError: it is not JSON, or describes no chief or worker.
  """
  try:
    config = json.loads(text)
    jobs, task = config["cluster"], config["task"]
    kind, place = str(task["type"]), int(task["index"])
    chiefs = [str(host) for host in jobs.get("chief", [])]
    workers = [str(host) for host in jobs.get("worker", [])]
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise errors.ConfigError(
      f"{_TF_CONFIG} is not like "
      f'{{"cluster": {{"worker": ["host1:2222", "host2:2222"]}}, '
      f'"task": {{"type": "worker", "index": 0}}}}: '
      f"{type(error).__name__}: {error}"
    ) from error
  if kind not in ("chief", "worker") or len(chiefs) > 1:
    raise errors.ConfigError(
      f"{_TF_CONFIG}: this task is a {kind!r} of {', '.join(sorted(jobs))}: "
      f"only workers, and one chief, can train here"
    )
  own = chiefs if kind == "chief" else workers
  if not 0 <= place < len(own):
    raise errors.ConfigError(
      f"{_TF_CONFIG}: {kind} {place} of {len(own)}: must lie in [0, {len(own)})"
    )
  first = len(chiefs) if kind == "worker" else 0
  return Cluster((*chiefs, *workers), first + place)


def from_slurm(environ: Mapping[str, str]) -> Cluster:
  """The tasks of a SLURM job step, in the order of their ranks.

  Read from the step's own variables rather than by
  tf.distribute.cluster_resolver.SlurmClusterResolver: that one asks
  `scontrol`, which containers lack, starts at the same port for every job of
  a host, and sets CUDA_VISIBLE_DEVICES over SLURM's own.

  Args:
    environ: of a task that `srun` started; the tasks of a node must have
      ranks that follow one another (`--distribution=block`, the default of
      steps with more than one task a node).

  Returns:
    The tasks' hosts, with a port from the job's number and the task's place
    on its host.

  Raises:
    ConfigError: a variable is missing or not as SLURM writes it.
  """

  def value(name: str) -> str:
    if not environ.get(name):
      raise errors.ConfigError(
        f"{name} is not set: start every worker with srun"
      )
    return environ[name]

  nodes = expand_nodes(value("SLURM_STEP_NODELIST"))
  tasks = _expand_counts(value("SLURM_STEP_TASKS_PER_NODE"))
  if len(nodes) != len(tasks):
    raise errors.ConfigError(
      f"SLURM_STEP_NODELIST names {len(nodes)} nodes, "
      f"SLURM_STEP_TASKS_PER_NODE has {len(tasks)}"
    )
  # Jobs that share a host must not share ports, nor two tasks of a host.
  most = max(tasks)
  block = int(value("SLURM_JOB_ID")) % (_SLURM_RANGE // most)
  first = _SLURM_PORTS + block * most
  hosts = [
    f"{node}:{first + task}"
    for node, count in zip(nodes, tasks, strict=True)
    for task in range(count)
  ]
  return Cluster(tuple(hosts), int(value("SLURM_PROCID")))


def expand_nodes(text: str) -> list[str]:
  """SLURM's `gpu[01-03,7],login` -> gpu01, gpu02, gpu03, gpu7, login.

  Raises:
    ConfigError: it is not written as SLURM does.
  """
  names: list[str] = []
  for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
    pieces = re.split(r"(\[[^\]]*\])", part)
    found = [""]
    for piece in pieces:
      options = [piece]
      if piece.startswith("["):
        options = [n for r in piece[1:-1].split(",") for n in _range(r, text)]
      found = [name + option for name in found for option in options]
    names += found
  return names


def _range(text: str, whole: str) -> list[str]:
  """`01-03` -> 01, 02, 03; `7` -> 7."""
  match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
  if match is None:
    raise errors.ConfigError(f"{whole!r} is no list of nodes of SLURM's")
  first, last = match[1], match[2] or match[1]
  width = len(first)
  return [f"{n:0{width}d}" for n in range(int(first), int(last) + 1)]


def _expand_counts(text: str) -> list[int]:
  """SLURM's `2(x3),1` -> 2, 2, 2, 1."""
  counts: list[int] = []
  for part in text.split(","):
    match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
    if match is None:
      raise errors.ConfigError(
        f"SLURM_STEP_TASKS_PER_NODE={text!r}: not as SLURM writes it"
      )
    counts += [int(match[1])] * int(match[2] or 1)
  return counts
