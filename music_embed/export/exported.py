"""Exported models as other commands take them: embedded with, trained on."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, Literal

import tensorflow as tf

from music_embed.core import errors, files, types
from music_embed.data.records import label_names as label_names_lib
from music_embed.export import model_card
from music_embed.export import network as network_lib
from music_embed.models import embedder as embedder_lib

_CARD_FILE = "model.json"
_RUN_FILE = "config.gin"  # Of a training run: `runs.workdir`.


@dataclasses.dataclass(frozen=True)
class Exported:
  """A directory that `launch/export.py` wrote.

  Making one reads `model.json` alone.

  Attributes:
    directory: of the SavedModel.

  Raises:
    ConfigError: there is none, it is a training run's, or an export of
      another format.
    DataError: `model.json` is damaged.
  """

  directory: str
  card: dict[str, Any] = dataclasses.field(init=False, repr=False)

  def __post_init__(self) -> None:
    object.__setattr__(self, "card", _card(self.directory))

  @property
  def front_end(self) -> types.LogMelFrontEnd:
    """What the waveform passes first."""
    front_end = types.front_end_from_json(self.card["front_end"])
    assert isinstance(front_end, types.LogMelFrontEnd)
    return front_end

  @property
  def fingerprint(self) -> str:
    """SHA-256 of weights, front end, vocabulary and read-outs."""
    return str(self.card["fingerprint"])

  @property
  def dim(self) -> int:
    """Width of the embedding."""
    return int(self.card["embedding_dim"])

  @functools.cached_property
  def label_names(self) -> label_names_lib.LabelNames | None:
    """Names of the label head's rows; None without such a head.

    Raises:
      DataError: `labels.tsv` is missing, damaged, or of another export.
    """
    expected = self.card["labels_sha256"]
    if expected is None:
      return None
    path = files.join(self.directory, label_names_lib.FILE_NAME)
    if not files.exists(path) or files.sha256(path) != expected:
      raise errors.DataError(
        f"{path}: missing, or not the labels that model.json is of: export it"
        " again"
      )
    return label_names_lib.LabelNames.read(path)

  @property
  def network(self) -> dict[str, Any]:
    """How the network is made again, as `export.network.describe` says.

    Raises:
      ConfigError: the export does not say.
    """
    description = self.card.get("network")
    if not description:
      raise errors.ConfigError(
        f"{self.directory}: does not say how its network is made, so it can"
        " embed but not be trained or made afresh: export it again"
        " (launch/export.py --overwrite); a backbone of your own needs a"
        " get_config() that it can be made from"
      )
    return dict(description)

  @property
  def network_name(self) -> str:
    """Class of the backbone; empty where the export does not say."""
    description = self.card.get("network")
    if not description:
      return ""
    return str(description["parts"]["backbone"]["class"].rpartition(".")[2])

  def embedder(
    self, weights: Literal["trained", "fresh"] = "trained", seed: int = 0
  ) -> embedder_lib.Embedder:
    """The network, built in the strategy's scope that is in force.

    Args:
      weights: "trained" for those of the export; "fresh" for those that a
        training run with this seed would begin with.
      seed: of fresh weights.

    Returns:
      Backbone and projection, without heads on the embedding.

    Raises:
      ConfigError: the export does not say how its network is made, or one of
        its classes cannot be imported.
      DataError: the weights are missing or damaged.
    """
    if weights not in ("trained", "fresh"):
      raise errors.ConfigError(
        f"weights={weights!r}: must be 'trained' or 'fresh'"
      )
    description = self.network
    with self._makeable():
      model = network_lib.rebuild(description, self.front_end, seed=seed)
    if weights == "trained":
      self.load_weights(model)
    return model

  def unbuilt(self) -> embedder_lib.Embedder:
    """The network without variables, for a run that builds it by itself.

    Raises:
      ConfigError: as `embedder`.
    """
    description = self.network
    with self._makeable():
      return network_lib.unbuilt(description)

  def load_weights(self, model: embedder_lib.Embedder) -> None:
    """Gives a built network of this export the export's weights.

    Args:
      model: of `embedder` or `unbuilt`; heads on the embedding are left alone.

    Raises:
      DataError: the weights are missing or damaged.
    """
    network_lib.load_weights(model, self.network, self.directory)

  @contextlib.contextmanager
  def _makeable(self) -> Iterator[None]:
    """Says whose network cannot be made, and what to do."""
    try:
      yield
    except errors.ConfigError as error:
      raise errors.ConfigError(f"{self.directory}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
      reason = " ".join(str(error).split())[:200]
      raise errors.ConfigError(
        f"{self.directory}: its network cannot be made by this version"
        f" ({reason}): export it again"
      ) from error

  def load(self) -> Any:
    """The SavedModel, with its `signatures`.

    Raises:
      DataError: it is missing or damaged.
    """
    try:
      return tf.saved_model.load(self.directory)
    except (OSError, LookupError, ValueError, tf.errors.OpError) as error:
      reason = " ".join(str(error).split())[:200]
      raise errors.DataError(
        f"{self.directory}: this SavedModel is damaged ({reason}): export it"
        " again"
      ) from error


def _card(directory: str) -> dict[str, Any]:
  """Contents of an export's `model.json`, checked."""
  path = files.join(directory, _CARD_FILE)
  if not files.exists(path):
    raise _none_here(directory)
  card = files.read_json(path)
  if not isinstance(card, dict) or card.get("format") != model_card.FORMAT:
    raise errors.ConfigError(
      f"{path}: not a model that this version exports ({model_card.FORMAT}):"
      " export it again"
    )
  try:
    front_end = types.front_end_from_json(card["front_end"])
    _ = card["fingerprint"], card["embedding_dim"], card["labels_sha256"]
  except (KeyError, TypeError) as error:
    raise errors.DataError(
      f"{path}: damaged ({error}): export it again"
    ) from error
  if not isinstance(front_end, types.LogMelFrontEnd):
    raise errors.ConfigError(f"{path}: a network on {front_end.kind} windows")
  return card


def _none_here(directory: str) -> errors.ConfigError:
  """What is wrong with a directory that holds no export."""
  if files.exists(files.join(directory, _RUN_FILE)):
    return errors.ConfigError(
      f"{directory}: a training run, not an exported model: export it first"
      f" (launch/export.py --model={directory} --dataset=... --output=...) and"
      " name that directory"
    )
  if not files.exists(directory):
    return errors.ConfigError(f"{directory}: no such exported model")
  return errors.ConfigError(
    f"{directory}: no exported model here ({_CARD_FILE} is missing): name a"
    " directory that launch/export.py wrote"
  )
