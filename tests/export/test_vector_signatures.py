"""Signatures that begin or end within the network; the labels' table."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from music_embed.core import errors, types
from music_embed.data.records import label_names
from music_embed.export import exported as exported_lib
from music_embed.export import saved_model
from music_embed.models import embedder
from music_embed.models.backbones import small_cnn
from music_embed.models.heads import label_hidden, label_softmax, projection

_FRONT_END = types.LogMelFrontEnd()
_NAMES = label_names.LabelNames(
  labels=["jazz", "3_bebop", "bebop", "12_bebop", "民謡"],
  counts=np.array([50, 5, 4, 40, 2]),
  term_names=["jazz", "bebop", "民謡"],
  terms=np.array([0, 1, 1, 1, 2]),
  clusters=np.array([-1, 3, -1, 12, -1]),
)


def _model(head: tf_keras.layers.Layer | None) -> embedder.Embedder:
  tf_keras.utils.set_random_seed(4)
  model = embedder.Embedder(
    backbone=small_cnn.SmallCNN(width_multiplier=0.125, batch_norm_momentum=0),
    projection=projection.Projection(dim=8),
    label_head=head,
  )
  model(_windows(6), training=True)
  if head is not None:
    rng = np.random.default_rng(3)
    head.bias.assign(rng.normal(size=5))
    head.kernel.assign(head.kernel * 5.0)
  return model


def _windows(count: int, seed: int = 0) -> np.ndarray:
  rng = np.random.default_rng(seed)
  return rng.normal(size=(count, 300, 64)).astype(np.float32)


def _save(model: embedder.Embedder, path: pathlib.Path, **kwargs) -> dict:
  arguments = {"vocabulary": _NAMES.labels, "label_names": _NAMES} | kwargs
  return saved_model.save(model, str(path), front_end=_FRONT_END, **arguments)


@pytest.fixture(scope="module")
def model() -> embedder.Embedder:
  return _model(label_softmax.LabelSoftmaxHead(num_labels=5))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
  path = tmp_path_factory.mktemp("export") / "model"
  _save(model, path)
  return exported_lib.Exported(str(path))


@pytest.fixture(scope="module")
def loaded(exported):
  return exported.load()


@pytest.mark.parametrize("count", [0, 1, 7])
def test_windows_past_the_front_end_embed_as_the_network_embeds_them(
  model, loaded, count: int
) -> None:
  windows = _windows(count, seed=1)
  run = loaded.signatures["embed_log_mel"]
  found = run(log_mel=tf.constant(windows))["window_embeddings"]
  assert found.shape == (count, 8)
  if count:
    expected = model.embed(windows, training=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_labels_of_recordings_come_from_vectors_of_their_windows(
  model, loaded
) -> None:
  # More windows than are read at a time, of recordings in any order.
  rng = np.random.default_rng(8)
  vectors = rng.normal(size=(70, 8)).astype(np.float32)
  vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
  recording = rng.permutation(np.repeat([0, 1, 2], [50, 1, 19]))
  found = loaded.signatures["label_embeddings"](
    window_embeddings=tf.constant(vectors),
    recording=tf.constant(recording, tf.int32),
    top_k=tf.constant(3),
  )
  kernel = model.label_head.kernel.numpy().astype(np.float64)
  for row in range(3):
    logits = vectors[recording == row] @ kernel.T + model.label_head.bias
    exps = np.exp(logits)
    posterior = (exps / exps.sum(1, keepdims=True)).mean(0)
    order = np.argsort(-posterior)[:3]
    np.testing.assert_array_equal(found["indices"][row], order)
    np.testing.assert_allclose(
      found["scores"][row], posterior[order], atol=1e-5
    )
    texts = [text.decode() for text in found["labels"][row].numpy()]
    assert texts == [_NAMES.labels[index] for index in order]


@pytest.mark.parametrize(("asked", "given"), [(-1, 1), (2, 2), (99, 5)])
def test_as_many_labels_are_given_as_there_are(loaded, asked, given) -> None:
  found = loaded.signatures["label_embeddings"](
    window_embeddings=tf.ones([2, 8]),
    recording=tf.constant([0, 2]),
    top_k=tf.constant(asked),
  )
  assert found["indices"].shape == (3, given)
  # No window is of recording 1.
  np.testing.assert_array_equal(found["scores"][1], np.zeros(given))
  nothing = loaded.signatures["label_embeddings"](
    window_embeddings=tf.zeros([0, 8]),
    recording=tf.zeros([0], tf.int32),
    top_k=tf.constant(asked),
  )
  assert nothing["labels"].shape == (0, given)


def test_labels_have_vectors_of_unit_norm(model, loaded) -> None:
  run = loaded.signatures["label_vectors"]
  found = run(labels=tf.constant([4, 0, 4]))["label_vectors"].numpy()
  kernel = model.label_head.kernel.numpy()
  for row, label in enumerate((4, 0, 4)):
    expected = kernel[label] / np.sqrt(np.sum(kernel[label] ** 2))
    np.testing.assert_allclose(found[row], expected, atol=1e-6)
  for label in (-1, 5):
    with pytest.raises(tf.errors.InvalidArgumentError, match="0 to 4"):
      run(labels=tf.constant([0, label]))


def test_labels_of_a_hidden_layer_have_no_vectors(
  tmp_path: pathlib.Path,
) -> None:
  # As many units as dimensions: the shapes alone would not tell.
  model = _model(label_hidden.LabelHiddenHead(units=8, num_labels=5))
  card = _save(model, tmp_path / "export")
  signatures = exported_lib.Exported(str(tmp_path / "export")).load().signatures
  for names in (card["signatures"], signatures):
    assert "label_embeddings" in names
    assert "label_vectors" not in names
  vectors = model.embed(_windows(3), training=False)
  found = signatures["label_embeddings"](
    window_embeddings=vectors,
    recording=tf.zeros([3], tf.int32),
    top_k=tf.constant(5),
  )
  posterior = tf.sigmoid(model(_windows(3), training=False)["label_logits"])
  np.testing.assert_allclose(
    found["scores"][0], np.sort(posterior.numpy().mean(0))[::-1], atol=1e-5
  )


def test_an_export_names_its_labels_with_their_senses(exported) -> None:
  names = exported.label_names
  assert list(names.labels) == list(_NAMES.labels)
  assert names.counts.tolist() == _NAMES.counts.tolist()
  assert names.clusters.tolist() == _NAMES.clusters.tolist()
  assert names.find("bebop").labels.tolist() == [3, 1, 2]
  table = pathlib.Path(exported.directory, "labels.tsv").read_text("utf-8")
  assert table.splitlines()[1:3] == ["jazz\tjazz\t\t50", "3_bebop\tbebop\t3\t5"]


def test_labels_without_names_are_plain(model, tmp_path: pathlib.Path) -> None:
  _save(model, tmp_path / "export", label_names=None)
  names = exported_lib.Exported(str(tmp_path / "export")).label_names
  assert list(names.term_names) == list(_NAMES.labels)
  assert names.clusters.tolist() == [-1] * 5


def test_an_export_without_a_label_head_names_none(
  tmp_path: pathlib.Path,
) -> None:
  _save(_model(None), tmp_path / "export")
  assert exported_lib.Exported(str(tmp_path / "export")).label_names is None


def test_names_of_other_labels_are_refused(
  model, tmp_path: pathlib.Path
) -> None:
  other = label_names.LabelNames.plain(list("abcde"))
  with pytest.raises(errors.DataError, match="not the vocabulary's"):
    _save(model, tmp_path / "export", label_names=other)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["missing", "another"])
def test_a_table_of_other_labels_is_noticed(
  model, tmp_path: pathlib.Path, damage: str
) -> None:
  _save(model, tmp_path / "export")
  table = tmp_path / "export" / "labels.tsv"
  if damage == "missing":
    table.unlink()
  else:
    table.write_text(table.read_text("utf-8").replace("jazz", "polka"))
  found = exported_lib.Exported(str(tmp_path / "export"))
  with pytest.raises(errors.DataError, match="labels.tsv: missing, or not"):
    _ = found.label_names
