"""Sounds that a person drops on the map: untrusted files, embedded.

They are decoded in a process that may die or hang with one, and the model
loads in a thread, so that the page need not wait for it.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from music_embed.core import errors, files
from music_embed.data.ingestion import window_events, window_pool

if TYPE_CHECKING:
  from music_embed.serving import model as model_lib  # Imports TensorFlow.

_CARD_FILE = "model.json"
_MAX_DURATION_S = 3600.0
_TIME_LIMIT_S = 30.0
_CHUNK_WINDOWS = 64
_LONGEST_NAME = 120


class SoundsOffError(errors.DataError):
  """Sounds cannot be embedded now; says why."""


class Sounds:
  """Embeds files by a model that is loaded behind the scenes.

  Attributes:
    directory: of the exported model.
  """

  def __init__(self, directory: str, fingerprint: str) -> None:
    """Loads nothing yet.

    Args:
      directory: of the exported model.
      fingerprint: that it must have; of the vectors of the index.

    Raises:
      ConfigError: the export is not there, or has another fingerprint.
      DataError: what it says of itself is damaged.
    """
    self.directory = directory
    require(directory, fingerprint)
    self._one_at_a_time = threading.Lock()
    self._loaded = threading.Event()
    self._model: model_lib.Model | None = None
    self._failure = ""

  @property
  def available(self) -> bool:
    """Whether sounds are taken, as far as is known by now."""
    return not self._failure

  def start(self) -> threading.Thread:
    """Begins to load the model, in a thread that the process won't wait for."""
    thread = threading.Thread(target=self._load, name="model", daemon=True)
    thread.start()
    return thread

  def embed(self, path: str, name: str) -> npt.NDArray[np.float32]:
    """The vector of a file: the mean over its windows, float32 [dim].

    Waits for the model; one file at a time. What lies after an hour of sound
    is not heard.

    Args:
      path: of the file.
      name: what errors call it.

    Raises:
      AudioError: no sound can be made of it.
      SoundsOffError: the model could not be loaded.
    """
    self._loaded.wait()
    if self._model is None:
      raise SoundsOffError(self._failure)
    with self._one_at_a_time:
      return _embedded(path, name, self._model)

  def _load(self) -> None:
    try:
      from music_embed.serving import model as model_lib

      model = model_lib.Model(self.directory)
      window = np.zeros((1, *model.front_end.window_shape), np.float32)
      model.embed_log_mel(window)  # Loads, and traces what is used.
      self._model = model
    except Exception as error:  # The map goes on without sounds.
      self._failure = " ".join(str(error).split()) or type(error).__name__
    finally:
      self._loaded.set()


def _embedded(
  path: str, name: str, model: model_lib.Model
) -> npt.NDArray[np.float32]:
  """Decodes in a process that ends with the file; raises AudioError."""
  total = np.zeros(model.dim)
  count = 0
  with window_pool.WindowPool(
    num_workers=1,
    front_end=model.front_end,
    chunk_windows=_CHUNK_WINDOWS,
    max_duration_s=_MAX_DURATION_S,
    time_limit_s=_TIME_LIMIT_S,
  ) as pool:
    for event in pool.run([path], lambda number: True):
      if isinstance(event, window_events.Windows):
        total += model.embed_log_mel(event.log_mel).sum(0)
        count += len(event.log_mel)
      elif isinstance(event, window_events.Ended) and event.facts is None:
        raise errors.AudioError(f"{name}: {event.reason}")
  return (total / max(count, 1)).astype(np.float32)


def require(directory: str, fingerprint: str) -> None:
  """Checks, without TensorFlow, that vectors are of a model.

  Raises:
    ConfigError: there is no export, or another one.
    DataError: what it says of itself is damaged.
  """
  path = files.join(directory, _CARD_FILE)
  if not files.exists(path):
    raise errors.ConfigError(f"{directory}: no exported model here")
  card = files.read_json(path)
  found = card.get("fingerprint") if isinstance(card, dict) else None
  if found != fingerprint:
    raise errors.ConfigError(
      f"{directory}: another model than the one that made this index: name that"
      " with --model, or build the index again with this one"
    )


def shown_name(name: str) -> str:
  """A file's name as it may stand in a message: no folders, one short line."""
  last = re.split(r"[/\\]", name)[-1]
  kept = "".join(c for c in last if c.isprintable()).strip()
  return kept[:_LONGEST_NAME] or "this file"


def suffix(name: str) -> str:
  """The ending of a name, if it is a plain one: `.mp3`, or nothing."""
  ending = os.path.splitext(name)[1].lower()
  return ending if re.fullmatch(r"\.[a-z0-9]{1,5}", ending) else ""
