"""Tiny data at the names that the pages use, and gin files of its scale."""

from __future__ import annotations

import csv
import gzip
import pathlib
import runpy
import shutil

import docs_pages
import docs_world
import numpy as np
import soundfile
import tiny_benchmarks

from music_embed.data.corpora import synthetic

_TRAIN = """\
from __gin__ import dynamic_registration
from music_embed.data.pipeline import factor_targets
from music_embed.data.pipeline import labelled
from music_embed.data.pipeline import triplets
from music_embed.models.backbones import mobilenet
from music_embed.models.backbones import small_cnn
from music_embed.runs import runtime
from music_embed.runs import train
from music_embed.runs import validation
from music_embed.training import loop

TRAIN_STEPS = 2

mobilenet.MobileNet.width_multiplier = 0.1
small_cnn.SmallCNN.width_multiplier = 0.125
triplets.TripletSource.batch_triplets = 4
labelled.LabelledSource.batch_windows = 4
factor_targets.FactorTargetSource.batch_windows = 4
runtime.configure.num_threads = 1
train.train.plateau = None
train.train.augment = None
validation.Validation.min_occurrences = 1
loop.LoopOptions.summary_steps = 1
loop.LoopOptions.validation_steps = 2
"""
_STORED = """\
from __gin__ import dynamic_registration
from music_embed.models.backbones import small_cnn
from music_embed.runs import runtime
from music_embed.runs import train
from music_embed.runs import validation
from music_embed.training import loop

include "gin/backbones/small_cnn.gin"

TRAIN_STEPS = 2

small_cnn.SmallCNN.width_multiplier = 0.125
runtime.configure.num_threads = 1
train.train.plateau = None
validation.Validation.min_occurrences = 1
loop.LoopOptions.summary_steps = 1
loop.LoopOptions.validation_steps = 2
"""
_PREPARE = """\
from __gin__ import dynamic_registration
from music_embed.data.mining import sanitize
from music_embed.data.mining import splits
from music_embed.data.mining import vocabulary
from music_embed.runs import prepare

prepare.prepare.graph_options = @sanitize.GraphOptions()
prepare.prepare.split_options = @splits.SplitOptions()
prepare.prepare.vocabulary_options = @vocabulary.VocabularyOptions()
sanitize.GraphOptions.min_recordings_per_user = 2
sanitize.GraphOptions.tau = 2
splits.SplitOptions.validation_share = 0.15
splits.SplitOptions.evaluation_share = 0.2
vocabulary.VocabularyOptions.min_documents = 2
"""
_EVALUATE = """\
from __gin__ import dynamic_registration
from music_embed.runs import evaluate
from music_embed.runs import evaluate_senses
from music_embed.runs import head_fit

evaluate.evaluate.senses = @evaluate_senses.SenseMeasures()
evaluate_senses.SenseMeasures.num_shuffles = 1
evaluate_senses.SenseMeasures.fit = @head_fit.FitOptions()
head_fit.FitOptions.train_steps = 10
evaluate.evaluate.num_bootstrap = 5
evaluate.evaluate.min_occurrences = 1
evaluate.evaluate.num_factors = (2, 3)
"""
_SENSES = """\
from __gin__ import dynamic_registration
from music_embed.data.mining import senses as splitting
from music_embed.runs import head_fit
from music_embed.runs import sense_choice

NUM_CLUSTERS = 2

splitting.SenseOptions.min_recordings = 2
head_fit.FitOptions.train_steps = 10
sense_choice.Choosing.num_shuffles = 1
sense_choice.Choosing.min_occurrences = 1
"""
_DEMO_FACTORS = """\
from __gin__ import dynamic_registration

include "gin/runs/demo_factorize.gin"

NUM_FACTORS = 2
"""
_DEMO_SENSES = """\
from __gin__ import dynamic_registration

include "gin/runs/demo_senses.gin"
include "tiny/senses.gin"
"""
_CURRICULUM = """\
from __gin__ import dynamic_registration
from music_embed.runs import curriculum

include "gin/runs/demo_curriculum.gin"

factors/curriculum.Factorization.gin_file = "tiny/demo_factors.gin"
senses/curriculum.SenseChoice.gin_file = "tiny/demo_senses.gin"
curriculum.curriculum.stages = [
  @triplet/curriculum.Stage(),
  @label/curriculum.Stage(),
  @factors/curriculum.Factorization(),
  @senses/curriculum.SenseChoice(),
  @sense/curriculum.Stage(),
]
"""
_BENCHMARK = """\
from __gin__ import dynamic_registration
from music_embed.evaluation import probes
from music_embed.runs import benchmark
from music_embed.runs import fine_tune

probes.LogisticProbe.strengths = (1e-2,)
benchmark.Bench.probes = (@probes.LogisticProbe(),)
benchmark.Bench.train_shares = (1.0,)
benchmark.Bench.tuned = [@warm_linear/benchmark.Tuned()]
benchmark.benchmark.num_bootstrap = 5
fine_tune.FineTune.steps = 2
fine_tune.FineTune.batch_windows = 4
fine_tune.FineTune.validation_steps = 2
fine_tune.FineTune.patience_steps = 2
fine_tune.FineTune.warmup_steps = 1
fine_tune.FineTune.warm_learning_rates = (1e-3,)
"""
_NETWORK = 'include "gin/backbones/small_cnn.gin"\n'
GIN = {
  "train": _TRAIN,
  "stored": _STORED,
  "network": _NETWORK,
  "prepare": _PREPARE,
  "evaluate": _EVALUATE,
  "senses": _SENSES,
  "demo_factors": _DEMO_FACTORS,
  "demo_senses": _DEMO_SENSES,
  "curriculum": _CURRICULUM,
  "benchmark": _BENCHMARK,
}
"""Gin files that a command gets on top of its own, as `tiny/NAME.gin`."""

_WORDS = ("bebop", "guitar", "piano")
"""Words of the pages; the recordings' texts have one each."""


def make(world: docs_world.World) -> None:
  """Writes catalogues, sounds, benchmarks and gin files into a world."""
  folder = world.folder
  (folder / "tiny").mkdir()
  for name, text in GIN.items():
    (folder / "tiny" / f"{name}.gin").write_text(text)
  _catalogue(folder)
  _tags(folder)
  _sounds(folder)
  for name, maker in (
    ("magnatagatune", tiny_benchmarks.magnatagatune),
    ("audioset", tiny_benchmarks.audioset),
    ("clips", tiny_benchmarks.table),
  ):
    maker(folder / name)
  dumps = runpy.run_path(str(docs_pages.ROOT / "tests/data/tiny_dumps.py"))
  dumps["music4all_onion"](folder / "music4all")
  for name in ("shared", "mnt", "bucket"):
    (folder / name).mkdir()
    (folder / name / "dataset").symlink_to(folder / "dataset")


def _catalogue(folder: pathlib.Path) -> None:
  """The demo's corpus, and the same as a user's own."""
  corpus = folder / "demo" / "corpus"
  synthetic.write_corpus(
    str(corpus), config=synthetic.tiny_config(), num_workers=1
  )
  with (corpus / "recordings.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
  for number, row in enumerate(rows):
    row["description"] += f" {_WORDS[number % 3]}"
  for path in (corpus / "recordings.csv", folder / "recordings.csv"):
    with path.open("w", newline="") as file:
      writer = csv.DictWriter(file, rows[0].keys())
      writer.writeheader()
      writer.writerows(rows)
  (folder / "audio").symlink_to(corpus / "audio")
  log = corpus / "listening_log.csv.gz"
  shutil.copy(log, folder / "log.csv.gz")
  (folder / "log").mkdir()
  (folder / "log" / "part-0.csv").write_bytes(gzip.decompress(log.read_bytes()))


def _tags(folder: pathlib.Path) -> None:
  """A recordings table of tags, and a log of its header alone."""
  (folder / "tags").mkdir()
  text = (folder / "recordings.csv").read_text()
  (folder / "tags" / "recordings.csv").write_text(
    text.replace("audio/", "../audio/")
  )
  (folder / "tags" / "no_log.csv").write_text("user_id,recording_id\n")


def _sounds(folder: pathlib.Path) -> None:
  """Some files of a user's."""
  rng = np.random.default_rng(1)
  names = ["song.mp3", "other.flac"]
  names += [f"my_music/{n}.mp3" for n in ("one", "two", "sub/three")]
  names += ["new_music/five.ogg", "newer_music/six.flac"]
  for number, name in enumerate([*names, "my_music/four.wav"]):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(6 * 22_050) / 22_050
    tone = 0.3 * np.sin(2 * np.pi * 110 * 1.5**number * time_s)
    noise = rng.normal(0, 0.05, len(time_s))
    soundfile.write(path, (tone + noise).astype(np.float32), 22_050)
