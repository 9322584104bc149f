import json

import pytest

from music_embed.core import errors
from music_embed.training import cluster


def _tf_config(jobs, kind="worker", index=0):
  return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


def test_nothing_in_the_environment_is_no_cluster():
  assert cluster.find(environ={}) is None


def test_tf_config_names_the_workers_and_this_one():
  text = _tf_config({"worker": ["a:1", "b:2"]}, index=1)
  found = cluster.find(environ={"TF_CONFIG": text})
  assert found == cluster.Cluster(("a:1", "b:2"), 1)
  assert not found.is_chief
  assert found.name(0) == "worker 0 (a:1)"


def test_a_chief_of_tf_config_comes_before_its_workers():
  jobs = {"chief": ["c:1"], "worker": ["a:1", "b:2"]}
  chief = cluster.from_tf_config(_tf_config(jobs, "chief"))
  assert chief == cluster.Cluster(("c:1", "a:1", "b:2"), 0)
  assert cluster.from_tf_config(_tf_config(jobs, index=1)).index == 2


def test_the_tf_config_of_a_cluster_gives_it_back():
  given = cluster.Cluster(("a:1", "b:2"), 1)
  assert cluster.from_tf_config(given.tf_config) == given


@pytest.mark.parametrize(
  ("text", "culprit"),
  [
    ("{", "TF_CONFIG is not like"),
    ("[]", "TF_CONFIG is not like"),
    ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
    (_tf_config({"worker": ["a:1"]}, index="x"), "TF_CONFIG is not like"),
    (_tf_config({"worker": ["a:1", "b:1"]}, index=2), r"worker 2 of 2"),
    (_tf_config({"chief": ["c:1"], "worker": ["a:1"]}, index=1), "1 of 1"),
    (_tf_config({"worker": ["a:1"]}, "evaluator"), "'evaluator'"),
    (_tf_config({"worker": ["a:1"]}, index=-1), "worker -1 of 1"),
    (_tf_config({"worker": ["a:1", "a:1"]}), "'a:1' is named twice"),
    (_tf_config({"worker": ["a"]}), "'a': must be host:port"),
  ],
)
def test_a_wrong_tf_config_is_named(text, culprit):
  with pytest.raises(errors.ConfigError, match=culprit):
    cluster.find(environ={"TF_CONFIG": text})


def test_flags_name_the_workers_and_this_one():
  found = cluster.from_flags(["c:1", "d:1"], 1)
  assert found == cluster.Cluster(("c:1", "d:1"), 1)


@pytest.mark.parametrize(
  ("hosts", "index", "culprit"),
  [
    (["a:1"], None, "--worker_index is missing"),
    ([], 0, "--worker_hosts is missing"),
    (["a:1", "b:1"], 2, "worker index 2 of 2 workers"),
    (["a:1", "b:port"], 0, "'b:port': must be host:port"),
    (["a:1", "a:1"], 0, "named twice"),
  ],
)
def test_wrong_flags_are_named(hosts, index, culprit):
  with pytest.raises(errors.ConfigError, match=culprit):
    cluster.from_flags(hosts, index)


_STEP = {
  "SLURM_STEP_NUM_TASKS": "5",
  "SLURM_STEP_NODELIST": "gpu[07-08,12]",
  "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
  "SLURM_JOB_ID": "10003",
  "SLURM_PROCID": "3",
}


def test_a_slurm_step_gives_its_tasks_in_the_order_of_their_ranks():
  found = cluster.find(environ=_STEP)
  # 10,003 modulo 5,000 pairs of ports is the third pair from 20,000.
  assert found == cluster.Cluster(
    ("gpu07:20006", "gpu07:20007", "gpu08:20006", "gpu08:20007", "gpu12:20006"),
    3,
  )


def test_a_single_slurm_task_is_no_cluster():
  assert cluster.find(environ=_STEP | {"SLURM_STEP_NUM_TASKS": "1"}) is None


@pytest.mark.parametrize("name", ["SLURM_STEP_NODELIST", "SLURM_PROCID"])
def test_a_missing_slurm_variable_is_named(name):
  with pytest.raises(errors.ConfigError, match=f"{name} is not set.*srun"):
    cluster.find(environ={k: v for k, v in _STEP.items() if k != name})


def test_slurm_lists_that_do_not_fit_each_other_are_named():
  with pytest.raises(errors.ConfigError, match="names 3 nodes.*has 2"):
    cluster.find(environ=_STEP | {"SLURM_STEP_TASKS_PER_NODE": "2(x2)"})


@pytest.mark.parametrize(
  ("text", "nodes"),
  [
    ("login", ["login"]),
    ("a,b-2", ["a", "b-2"]),
    ("n[1-3]", ["n1", "n2", "n3"]),
    ("n[098-100]-ib,m[1,3]", ["n098-ib", "n099-ib", "n100-ib", "m1", "m3"]),
    ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
  ],
)
def test_slurm_lists_of_nodes_are_expanded(text, nodes):
  assert cluster.expand_nodes(text) == nodes


def test_a_list_that_slurm_does_not_write_is_named():
  with pytest.raises(errors.ConfigError, match=r"'n\[a-b\]'"):
    cluster.expand_nodes("n[a-b]")
