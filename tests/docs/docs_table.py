"""How each command of the pages is run: the whole list, in words.

A command must be matched by exactly one rule, and each rule by a command. What
is appended makes it tiny; what is replaced puts local things in place of hosts,
buckets and GPUs that a test has not.
"""

from __future__ import annotations

import dataclasses
import re

import docs_pages


@dataclasses.dataclass(frozen=True)
class Rule:
  """What becomes of the commands that a pattern matches in full.

  Attributes:
    pattern: regular expression of the command's whole text.
    more: flags appended to it.
    replaced: texts of the command and what stands in their place.
    code: the exit code to expect.
    says: regular expression to be found in what it prints.
    makes: paths that are there afterwards.
    not_run: why it is not run; empty for those that are.
    needs: a program without which it is skipped; in CI that is a failure.
  serves: whether it runs until it is interrupted; it is asked for its page.
  """

  pattern: str
  more: str = ""
  replaced: tuple[tuple[str, str], ...] = ()
  code: int = 0
  says: str = ""
  makes: tuple[str, ...] = ()
  not_run: str = ""
  needs: str = ""
  serves: bool = False

  def text(self, command: docs_pages.Command) -> str:
    """What bash gets."""
    text = " ".join([command.text, self.more]).strip()
    for old, new in self.replaced:
      if old not in text:
        raise ValueError(f"{command}: no {old!r} to replace")
      text = text.replace(old, new)
    return " && ".join([*command.exports, text])


PYTHON_ELSEWHERE = {"launch/serving.md": "tests/launch/test_serving_page.py"}
"""Pages whose Python another test runs, in a process of another kind."""

_TINY = "--gin_file=tiny/train.gin"
_SMALL = "--gin_file=tiny/train.gin --gin_file=tiny/network.gin"
_STORED = "--gin_file=tiny/stored.gin"
_SCORED = "--gin_file=tiny/evaluate.gin"
_CLIPS = "--gin_file=tiny/benchmark.gin"
_PREPARED = "--gin_file=tiny/prepare.gin --num_workers=1"
_STAGES = "--stage_gin_file=tiny/train.gin --stage_gin_file=tiny/network.gin"
_CPU = (
  "--gin_param=\"strategy.OneDevice.device = 'CPU:0'\""
  ' --gin_param="strategy.OneDevice.jit_compile = False"'
)
_CPUS = "\"strategy.Mirrored.devices = ('CPU:0',)\""
_PYTHON = r"\.venv/bin/python "
_TRAIN = _PYTHON + r"launch/train\.py "
_EMBED = _PYTHON + r"launch/embed\.py "
_INDEX = _PYTHON + r"launch/index\.py "
_SEARCH = _PYTHON + r"launch/search\.py "
_EXPLORE = _PYTHON + r"launch/explore\.py "
_PREPARE = _PYTHON + r"launch/prepare\.py "
_BENCHMARK = _PYTHON + r"launch/benchmark\.py "
_HUANG = r"--gin_file=gin/systems/huang2020/"


def _ci(script: str) -> Rule:
  """A script that continuous integration runs whole."""
  return Rule(rf"bash {script}", not_run="CI runs it: .ci/run")


RULES = (
  # The README, and stages of a catalogue.
  _ci(r"tools/demo\.sh"),
  _ci(r"tools/test\.sh"),
  Rule(
    _INDEX + r"--model=demo/export --input=my_music --output=index",
    more="--num_workers=1",
    makes=("index/index.json",),
    says=r"4 recordings",
  ),
  Rule(_SEARCH + r"--index=index song\.mp3", says=r"1 +0\.\d+  \S+\.(mp3|wav)"),
  Rule(_SEARCH + r"--index=index guitar", says=r"guitar: word guitar"),
  Rule(
    _SEARCH + r"--index=demo/index guitar '\+guitar -piano'",
    says=r"(?s)word guitar.*\+word guitar.*-word piano",
  ),
  Rule(_EXPLORE + r"--index=demo/index", more="--port=0", serves=True),
  Rule(
    _PREPARE + r"--recordings=recordings\.csv"
    r" --listening_log=log\.csv\.gz --output=dataset",
    more=_PREPARED,
    makes=("dataset/manifest.json", "dataset/vocabulary.tsv"),
  ),
  Rule(
    _TRAIN + _HUANG + r"triplet\.gin"
    r" --gin_param=\"DATASET = 'dataset'\" --workdir=runs/triplet",
    more=_SMALL,
    makes=("runs/triplet/finished.json",),
  ),
  Rule(
    _TRAIN + _HUANG + r"label\.gin"
    r" --gin_param=\"DATASET = 'dataset'\""
    r" --gin_param=\"WARM_START = 'runs/triplet'\" --workdir=runs/label",
    more=_SMALL,
    makes=("runs/label/finished.json",),
  ),
  Rule(
    _PYTHON + r"launch/evaluate\.py --dataset=dataset"
    r" --model=triplet_only=runs/triplet --model=hybrid=runs/label"
    r" --output=report",
    more=_SCORED,
    makes=("report/report.json", "report/report.html"),
    says="triplet_only",
  ),
  Rule(
    _PYTHON + r"launch/export\.py --model=runs/label"
    r" --dataset=dataset --output=export",
    makes=("export/saved_model.pb", "export/labels.tsv"),
  ),
  # launch/recipes.md
  Rule(
    _PREPARE + r".*--output=dataset_small",
    more=_PREPARED,
    makes=("dataset_small/manifest.json",),
  ),
  Rule(
    _PYTHON + r"launch/curriculum\.py"
    r" --gin_file=gin/runs/demo_curriculum\.gin .*--workdir=runs/small",
    more="--stage_gin_file=tiny/train.gin",
    # Its first three networks alone, two clusters.
    replaced=(("gin/runs/demo_curriculum.gin", "tiny/curriculum.gin"),),
    makes=("runs/small/summary.html", "runs/small/sense/finished.json"),
  ),
  Rule(
    _PYTHON + r"launch/evaluate\.py .*--output=report_small",
    more=_SCORED,
    makes=("report_small/report.html",),
  ),
  Rule(
    _PYTHON + r"launch/export\.py --model=runs/small/sense"
    r" --dataset=dataset_small --output=export_small",
    makes=("export_small/labels.tsv",),
  ),
  Rule(
    _BENCHMARK + r"--gin_file=gin/benchmarks/table\.gin .*--output=tagging",
    more=_CLIPS,
    makes=("tagging/results.json",),
    says="warm start",
  ),
  Rule(
    _PREPARE + r".*--listening_log=tags/no_log\.csv --output=dataset_tags",
    more=_PREPARED,
    makes=("dataset_tags/manifest.json",),
  ),
  Rule(
    _TRAIN + r".*--workdir=runs/tags",
    more=_SMALL + ' --gin_param="TRAIN_STEPS = 2"',
    makes=("runs/tags/finished.json",),
  ),
  Rule(
    _PYTHON + r"launch/export\.py --model=runs/tags"
    r" --dataset=dataset_tags --output=export_tags",
    makes=("export_tags/labels.tsv",),
  ),
  Rule(
    _TRAIN + r".*gin/hardware/mirrored\.gin .*BATCH_TRIPLETS = 136.*",
    more=f"{_SMALL} --gin_param={_CPUS} --gin_param="
    '"triplets.TripletSource.batch_triplets = %BATCH_TRIPLETS" --dry_run',
    replaced=(("--workdir=runs/triplet", "--workdir=runs/mirrored_8"),),
    says="136 triplets|408 windows",
  ),
  Rule(
    _PYTHON + r"launch/materialize\.py .*--output=gs://bucket/triplets_2112",
    more=_SMALL,
    replaced=(
      ("gs://bucket", "bucket"),
      ("--num_steps=100000", "--num_steps=2 --num_workers=1"),
    ),
    makes=("bucket/triplets_2112/materialized.json",),
  ),
  Rule(
    _TRAIN + r".*gin/hardware/tpu_pod\.gin .*--workdir=runs/pod",
    more=_SMALL,
    replaced=(("gs://bucket", "bucket"),),
    code=2,
    says="TPU",
  ),
  Rule(
    _INDEX + r"--model=export --input=my_music( --input=new_music)?"
    r" --output=my_index",
    more="--num_workers=1",
    makes=("my_index/index.json",),
  ),
  Rule(
    _EMBED + r"--model=export --input=newer_music --output=newer",
    more="--num_workers=1",
    makes=("newer/embed.json",),
  ),
  Rule(_INDEX + r"--embeddings=newer --output=my_index --add", says="1 added"),
  # gin/README.md
  Rule(
    _TRAIN + _HUANG + r"triplet\.gin --gin_file=gin/backbones/small_cnn\.gin"
    r" --gin_file=gin/hardware/cpu\.gin .*--workdir=runs/small_cnn",
    more=_TINY + ' --gin_param="TRAIN_STEPS = 2"',
    makes=("runs/small_cnn/finished.json",),
  ),
  Rule(
    _TRAIN + _HUANG + r"label_only\.gin --gin_file=gin/heads/sharded\.gin"
    r" .*--workdir=runs/sharded",
    more=f"{_SMALL} --dry_run",
    says="label_head: .* parameters",
  ),
  Rule(
    _PREPARE + r".*front_ends/log_mel_96\.gin .*--output=dataset_96",
    more=_PREPARED,
    makes=("dataset_96/manifest.json",),
  ),
  Rule(
    _PYTHON + r"-m pytest tests/models/test_backbones\.py -k TimeCNN",
    more="-p no:cacheprovider",
    says=r"3 passed",
  ),
  Rule(_PYTHON + r"tools/describe_model\.py time_cnn", says="TimeCNN"),
  Rule(
    _TRAIN + r"--gin_file=gin/runs/demo_triplet\.gin"
    r" --gin_file=gin/backbones/time_cnn\.gin .*--workdir=demo/runs/time_cnn",
    more=_TINY + ' --gin_param="time_cnn.TimeCNN.width_multiplier = 0.1"',
    makes=("demo/runs/time_cnn/finished.json",),
  ),
  Rule(
    _PYTHON + r"launch/evaluate\.py --dataset=demo/dataset"
    r" --model=small_cnn=demo/runs/triplet"
    r" --model=time_cnn=demo/runs/time_cnn --output=demo/time_cnn",
    more=_SCORED,
    says="time_cnn",
  ),
  # gin/datasets, gin/systems
  Rule(
    _PYTHON + r"tools/convert_corpus\.py music4all_onion .*",
    makes=("corpora/music4all_onion/recordings.csv",),
  ),
  Rule(
    _PREPARE + r"--gin_file=gin/datasets/music4all_onion\.gin .*",
    more=_PREPARED,
    makes=("datasets/music4all_onion/manifest.json",),
  ),
  Rule(
    _PYTHON + r"launch/evaluate\.py --suite=gin/runs/demo_tables\.gin .*",
    more="--dry_run",
    says="hybrid",
  ),
  # launch/README.md
  Rule(
    _PYTHON + r"launch/export\.py .*--output=demo/export_all --formats=.*",
    makes=(
      "demo/export_all/model.tflite",
      "demo/export_all/model.int8.tflite",
      "demo/export_all/model.onnx",
    ),
  ),
  Rule(
    _EMBED + r"--model=demo/export --output=embeddings .*",
    more="--num_workers=1",
    makes=("embeddings/embed.json", "embeddings/embeddings.npz"),
  ),
  Rule(
    _INDEX + r"--embeddings=embeddings --output=other_index",
    makes=("other_index/index.json",),
    says="6 recordings",
  ),
  Rule(
    _SEARCH + r"--index=index song\.mp3 guitar one\.mp3",
    says=r"(?s)file song\.mp3.*word guitar.*recording one\.mp3",
  ),
  Rule(
    _SEARCH + r"--index=index '\+guitar -bebop' 'bebop \+song\.mp3' --k=3",
    says=r"(?s)\+word guitar, -word bebop.*\+file song\.mp3",
  ),
  Rule(_SEARCH + r"--index=index --json guitar", says=r'"hits": \['),
  Rule(
    _EXPLORE + r"--index=index --static=page --copy_audio",
    makes=("page/index.html", "page/data.js"),
  ),
  Rule(
    _EXPLORE + r"--index=index --projector=projector",
    makes=("projector/projector_config.pbtxt",),
  ),
  Rule(
    _PREPARE + r".*--engine=spark --spark_master=spark://host:7077",
    more="--gin_file=tiny/prepare.gin",
    replaced=(
      ("spark://host:7077", "local[1]"),
      ("--output=dataset", "--output=dataset_spark"),
    ),
    makes=("dataset_spark/manifest.json",),
    needs="java",
  ),
  Rule(
    _TRAIN + _HUANG + r"triplet\.gin --gin_file=gin/backbones/mobilenet\.gin"
    r" --gin_param=\"DATASET = 'dataset'\" --workdir=runs/mobilenet",
    more=f"{_TINY} --dry_run",
    says="backbone: .* parameters",
  ),
  Rule(
    _PYTHON + r"launch/curriculum\.py .*--workdir=runs/huang2020",
    more=f"{_STAGES} --stage_param={_CPUS} --dry_run",
  ),
  Rule(
    r"\.venv/bin/tensorboard --logdir=runs", more="--inspect", says="triplet"
  ),
  Rule(
    _PYTHON + r"launch/factorize\.py --gin_file=gin/systems/huang2020/"
    r"factorize\.gin --dataset=dataset --output=factors",
    more='--gin_param="NUM_FACTORS = (2, 3)"',
    makes=("factors/vectors.npy",),
  ),
  Rule(
    _PYTHON + r"launch/senses\.py --gin_file=gin/systems/huang2020/"
    r"senses\.gin .*--output=senses",
    more="--gin_file=tiny/senses.gin",
    makes=("senses/senses.json",),
  ),
  Rule(
    _TRAIN + _HUANG + r"sense\.gin .*--workdir=runs/sense",
    more=_STORED,
    makes=("runs/sense/finished.json",),
  ),
  Rule(
    _PYTHON + r"launch/neighbors\.py --model=runs/sense bebop 46_bebop"
    r" song\.mp3",
    # The tiny world's clusters have other numbers.
    replaced=((" 46_bebop", " guitar"),),
    says="bebop",
  ),
  Rule(
    _BENCHMARK + r"--gin_file=gin/benchmarks/magnatagatune\.gin .*",
    more=_CLIPS,
    makes=("mtt/results.json",),
  ),
  Rule(
    _BENCHMARK + r"--suite=gin/benchmarks/huang2020\.gin .*",
    more="--dry_run",
    says="audioset_7",
  ),
  Rule(_PYTHON + r"tools/inspect_shard\.py dataset", says="vocabulary|labels"),
  Rule(_PYTHON + r"tools/inspect_shard\.py dataset --check"),
  Rule(
    _PYTHON + r"tools/inspect_shard\.py dataset/train\.tfrecord-\S+"
    r" --record=0 --window=1\.5 --png=window\.png",
    replaced=(("00000-of-00004", "00000-of-00001"),),
    makes=("window.png",),
  ),
  Rule(
    _PYTHON + r"launch/materialize\.py .*--output=gs://bucket/triplets",
    more=_SMALL,
    replaced=(
      ("gs://bucket", "bucket"),
      ("--num_steps=100000", "--num_steps=2 --num_workers=1"),
    ),
    makes=("bucket/triplets/materialized.json",),
  ),
  Rule(
    _TRAIN + _HUANG + r"triplet_materialized\.gin"
    r" --gin_param=\"DATASET = 'gs://bucket/dataset'\""
    r" --gin_param=\"BATCHES = 'gs://bucket/triplets'\" --workdir=runs/triplet",
    more=_SMALL,
    replaced=(
      ("gs://bucket", "bucket"),
      ("runs/triplet", "runs/materialized"),
    ),
    makes=("runs/materialized/finished.json",),
  ),
  # launch/serving.md
  Rule(r"docker run .*", not_run="no Docker here, and the page says so"),
  Rule(
    r"curl -s -d .*:predict",
    not_run="tests/launch/test_serving_page.py sends it to a stand-in",
  ),
  # launch/hardware
  Rule(
    _TRAIN + r".*--gin_file=gin/hardware/one_gpu\.gin .*",
    more=f"{_SMALL} {_CPU} --dry_run",
    replaced=(("--workdir=runs/triplet", "--workdir=runs/one_gpu"),),
    says="mixed_bfloat16",
  ),
  Rule(
    _TRAIN + r".*--gin_file=gin/hardware/mirrored\.gin"
    r" .*batch_per_replica = True.*",
    more=f"{_SMALL} --gin_param={_CPUS}",
    replaced=(("--workdir=runs/triplet", "--workdir=runs/mirrored"),),
    makes=("runs/mirrored/finished.json",),
  ),
  Rule(
    _TRAIN + r".*--worker_hosts=host1:2222,host2:2222 --worker_index=0",
    # One of two hosts is there: it waits, and says for whom.
    more=f'{_SMALL} --gin_param="strategy.MultiWorker.start_patience_s = 0.5"',
    replaced=(
      ("/shared/", "shared/"),
      ("host1:2222,host2:2222", "127.0.0.1:29471,127.0.0.1:29472"),
    ),
    code=1,
    says="127.0.0.1:29472",
  ),
  Rule(
    r"export TF_CONFIG='\{.*\}'",
    more="&& .venv/bin/python -c 'from music_embed.training import cluster;"
    " print(cluster.find())'",
    says="host2:2222",
  ),
  Rule(
    r"sbatch --nodes=2 launch/hardware/slurm\.sh .*",
    not_run="no SLURM here; tests/training/test_cluster.py reads its variables",
  ),
  Rule(
    r"bash launch/hardware/workers_here\.sh 2 .*",
    more=_SMALL,
    makes=("runs/two/finished.json",),
  ),
  Rule(
    r"pip (install|uninstall) .*",
    not_run="replaces TensorFlow on a TPU VM",
  ),
  Rule(r"gcloud compute tpus .*", not_run="rents TPUs"),
  Rule(
    _TRAIN + r".*--gin_file=gin/hardware/tpu_host\.gin .*",
    more=_SMALL,
    replaced=(("/mnt/disk", "mnt"),),
    code=2,
    says="TPU",
  ),
  Rule(r"export TPU_NAME=music TPU_LOAD_LIBRARY=0"),
  Rule(
    _TRAIN + r".*--gin_file=gin/hardware/tpu_pod\.gin .*"
    r"gs://bucket/triplets'.*",
    more=_SMALL,
    replaced=(("gs://bucket", "bucket"), ("runs/triplet", "runs/pod")),
    code=2,
    says="TPU",
  ),
)


def matching(command: docs_pages.Command) -> list[Rule]:
  """The rules for a command: one, if all is well."""
  return [rule for rule in RULES if re.fullmatch(rule.pattern, command.text)]
