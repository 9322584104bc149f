"""Datasets of every front end and dtype, from prepare to training."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.audio import decode
from music_embed.core import errors, types
from music_embed.data.corpora import recordings as recordings_lib
from music_embed.data.mining import splits, vocabulary
from music_embed.data.pipeline import labelled, triplets
from music_embed.data.records import prepared, quantize
from music_embed.evaluation import systems
from music_embed.models import embedder as embedder_lib
from music_embed.models.backbones import mobilenet, resnet, small_cnn
from music_embed.models.heads import label_softmax as label_head
from music_embed.models.heads import projection
from music_embed.objectives import label_softmax, triplet
from music_embed.runs import compared, export, prepare, train
from music_embed.runs import validation as validation_lib
from music_embed.training import loop, optimizers, task

_WAVEFORM = types.WaveformFrontEnd(window_samples=8_000)


@pytest.fixture(scope="session")
def prepared_as(tiny_corpus, tmp_path_factory):
  """Prepares the tiny corpus once for each front end and dtype."""
  made = {}

  def get(front_end, dtype):
    key = (front_end, dtype)
    if key not in made:
      made[key] = str(tmp_path_factory.mktemp("payload") / "dataset")
      prepare.prepare(
        recordings=f"{tiny_corpus}/recordings.csv",
        listening_log=f"{tiny_corpus}/listening_log.csv.gz",
        output=made[key],
        num_workers=1,
        split_options=splits.SplitOptions(0.2, 0.2),
        vocabulary_options=vocabulary.VocabularyOptions(num_labels=40),
        front_end=front_end,
        quantization=types.Quantization(dtype),
      )
    return made[key]

  return get


class _WaveformNetwork(tf_keras.layers.Layer):
  """Strided filters on the samples, averaged over time."""

  input_kind = types.WaveformFrontEnd.kind

  def __init__(self):
    super().__init__()
    self._filters = tf_keras.layers.Conv1D(16, 400, 160, activation="relu")

  def call(self, waveform, *, training):
    return tf.reduce_mean(self._filters(waveform[..., tf.newaxis]), axis=1)


def _train(dataset, workdir, backbone):
  tasks = [
    task.Task(
      triplet.TripletObjective(), triplets.TripletSource(batch_triplets=2)
    ),
    task.Task(
      label_softmax.LabelSoftmaxObjective(),
      labelled.LabelledSource(batch_windows=2),
    ),
  ]
  embedder = embedder_lib.Embedder(
    backbone=backbone,
    projection=projection.Projection(dim=8),
    label_head=label_head.LabelSoftmaxHead(),
  )
  train.train(
    workdir=str(workdir),
    dataset=dataset,
    embedder=embedder,
    tasks=tasks,
    optimizers=[
      optimizers.PartOptimizer(("backbone", "projection", "label_head"), 1e-2)
    ],
    loop=loop.LoopOptions(2, summary_steps=1, validation_steps=2),
    validation=validation_lib.Validation(min_occurrences=1),
  )
  return embedder


@pytest.mark.parametrize(
  ("dtype", "relative", "absolute"),
  [("float16", 2**-11, 0), ("uint8", 0, 0.02)],
)
def test_stored_values_are_those_of_float32_up_to_the_dtypes_rounding(
  prepared_as, dtype, relative, absolute
):
  exact = prepared.PreparedDataset(
    prepared_as(types.LogMelFrontEnd(), "float32")
  )
  rounded = prepared.PreparedDataset(prepared_as(types.LogMelFrontEnd(), dtype))
  assert exact.recording_ids == rounded.recording_ids
  assert exact.window_dtype == np.float32
  for index in range(exact.num_recordings):
    expected = exact.rows(index)
    found = quantize.dequantize(rounded.rows(index), rounded.quantization)
    error = np.abs(found - expected)
    assert (error <= relative * np.abs(expected) + absolute + 1e-5).all()


@pytest.mark.parametrize(
  ("dtype", "step"), [("int16", 2.0**-15), ("float32", 0.0)]
)
def test_a_waveform_dataset_holds_the_decoded_samples(
  prepared_as, tiny_corpus, dtype, step
):
  dataset = prepared.PreparedDataset(prepared_as(_WAVEFORM, dtype))
  table = f"{tiny_corpus}/recordings.csv"
  by_id = {r.recording_id: r for r in recordings_lib.read_recordings(table)}
  for index in (0, dataset.num_recordings - 1):
    recording = by_id[dataset.recording_ids[index]]
    path = recordings_lib.audio_path(table, recording)
    decoded = decode.decode(path, sample_rate_hz=16_000, max_s=600.0)
    values = quantize.dequantize(dataset.rows(index), dataset.quantization)
    assert values.shape == decoded.waveform.shape
    expected = np.clip(decoded.waveform, -1.0, 1.0)
    if step:
      assert np.abs(values - expected).max() <= step
    else:
      np.testing.assert_array_equal(values, decoded.waveform)


@pytest.mark.parametrize(
  ("front_end", "dtype", "backbone"),
  [
    (types.LogMelFrontEnd(), "float32", small_cnn.SmallCNN),
    (types.LogMelFrontEnd(), "float16", small_cnn.SmallCNN),
    (
      types.LogMelFrontEnd(num_bins=96, fft_length=1024),
      "uint8",
      mobilenet.MobileNet,
    ),
    (
      types.LogMelFrontEnd(num_bins=128, fft_length=1024, window_frames=200),
      "uint8",
      resnet.ResNet18,
    ),
    (_WAVEFORM, "int16", _WaveformNetwork),
  ],
)
def test_a_network_trains_and_validates_on_it(
  prepared_as, tmp_path, front_end, dtype, backbone
):
  width = {} if backbone is _WaveformNetwork else {"width_multiplier": 0.125}
  dataset = prepared_as(front_end, dtype)
  embedder = _train(dataset, tmp_path / "run", backbone(**width))
  data = prepared.PreparedDataset(dataset)
  runner = validation_lib.recording_embedder(embedder, data)
  outputs = runner(validation_lib.all_windows(data, range(3)))
  assert np.isfinite(outputs.embeddings).all()
  assert (np.linalg.norm(outputs.embeddings, axis=1) > 0.1).all()


def test_a_log_mel_network_on_waveforms_is_one_clear_error(
  prepared_as, tmp_path
):
  dataset = prepared_as(_WAVEFORM, "int16")
  with pytest.raises(
    errors.ConfigError, match="SmallCNN takes log_mel windows"
  ):
    _train(dataset, tmp_path / "run", small_cnn.SmallCNN())
  assert not (tmp_path / "run").exists()


def test_windows_too_small_for_a_network_are_one_clear_error(
  prepared_as, tmp_path
):
  dataset = prepared_as(types.LogMelFrontEnd(num_bins=8), "uint8")
  with pytest.raises(errors.ConfigError, match="SmallCNN cannot take windows"):
    _train(dataset, tmp_path / "run", small_cnn.SmallCNN())


def test_a_waveform_dataset_cannot_be_exported_with(prepared_as, tmp_path):
  with pytest.raises(errors.ConfigError, match="only networks on log-mels"):
    export.export(
      model=str(tmp_path),
      dataset=prepared_as(_WAVEFORM, "int16"),
      output=str(tmp_path / "export"),
    )


def test_mel_bins_that_would_hold_nothing_are_refused(tiny_corpus, tmp_path):
  with pytest.raises(errors.ConfigError, match="raise fft_length"):
    prepare.prepare(
      recordings=f"{tiny_corpus}/recordings.csv",
      listening_log=f"{tiny_corpus}/listening_log.csv.gz",
      output=str(tmp_path / "dataset"),
      front_end=types.LogMelFrontEnd(num_bins=256),
    )
  assert not (tmp_path / "dataset").exists()


def test_waveforms_have_the_audio_statistics_of_their_log_mels(prepared_as):
  statistics = []
  for front_end, dtype in (
    (types.LogMelFrontEnd(), "float32"),
    (_WAVEFORM, "float32"),
  ):
    data = prepared.PreparedDataset(prepared_as(front_end, dtype))
    recordings = systems.Parts(
      *(np.array(data.split_range(split)) for split in types.SPLITS)
    )
    made = compared.baseline_systems(
      data, recordings, num_factors=[2], seed=0, say=lambda _: None
    )
    statistics.append(made["audio_statistics"].embeddings.evaluation)
  np.testing.assert_allclose(*statistics, atol=1e-5)
