"""An exported model as a person uses it: numpy in, numpy out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from music_embed.audio import streaming
from music_embed.core import errors
from music_embed.data.records import label_names as label_names_lib
from music_embed.serving import batches, comparison, network, sources

Array = npt.NDArray[np.float32]

Source = sources.Source


class LabelScore(NamedTuple):
  """What a model thinks of a label for a recording.

  Attributes:
    label: as the vocabulary spells it; a sense is `46_bebop`.
    score: mean posterior of the recording's windows.
  """

  label: str
  score: float


class Model(network.Network):
  """A model that `launch/export.py` wrote.

  A *source* is the path of an audio file, or a waveform: an array [samples],
  [samples, channels] or [channels, samples] of one recording (at most 16 are
  channels, more are samples), with its `sample_rate_hz`. Floats have full
  scale 1; int16, int32, int8 and uint8 are scaled as in a WAV file. Several
  sources are a list. They may be of any length; memory does not grow with it.

  A source that cannot be used raises AudioError, which names it. Of a damaged
  file that which precedes the damage is used, with a warning.

  The SavedModel is loaded when it is first used; several threads may use it.
  """

  def __repr__(self) -> str:
    names = self.label_names
    facts = [
      self.exported.network_name,
      f"{self.dim} dimensions",
      f"{len(names.labels):,} labels" if names else "no labels",
      f"fingerprint {self.fingerprint[:8]}",
    ]
    shown = ", ".join(fact for fact in facts if fact)
    return f"<music_embed.Model {self.exported.directory!r}: {shown}>"

  def embed(
    self,
    source: Source | sources.Several,
    *,
    sample_rate_hz: int | None = None,
  ) -> Array:
    """Embeds recordings: the plain means of their windows' vectors.

    Args:
      source: a path or a waveform, or a list of these.
      sample_rate_hz: of waveforms; a file says its own.

    Returns:
      float32 [dim] of one source, [sources, dim] of a list; not of unit norm.

    Raises:
      AudioError: a source cannot be used; names it.
      ConfigError: a waveform without its rate, or of no shape or type that a
        waveform has.
    """
    several, streams = self._streams(source, sample_rate_hz)
    vectors = batches.means(self._parts(streams), self.dim)
    return vectors if several else vectors[0]

  @overload
  def embed_windows(
    self, source: Source, *, sample_rate_hz: int | None = None
  ) -> batches.Windows: ...

  @overload
  def embed_windows(
    self, source: sources.Several, *, sample_rate_hz: int | None = None
  ) -> list[batches.Windows]: ...

  def embed_windows(
    self,
    source: Source | sources.Several,
    *,
    sample_rate_hz: int | None = None,
  ) -> batches.Windows | list[batches.Windows]:
    """Embeds every window of recordings.

    Windows follow one another without overlap; the last one ends with the
    recording. A shorter recording is filled up with silence.

    Args:
      source: a path or a waveform, or a list of these.
      sample_rate_hz: of waveforms; a file says its own.

    Returns:
      (start_s, vectors): where the windows begin, float64 [windows], and
      their vectors of unit norm, float32 [windows, dim]; a list of these for
      a list.

    Raises:
      AudioError, ConfigError: as `embed`.
    """
    several, streams = self._streams(source, sample_rate_hz)
    found = list(batches.by_recording(self._parts(streams)))
    return found if several else found[0]

  @overload
  def labels(
    self, source: Source, *, top: int = 10, sample_rate_hz: int | None = None
  ) -> list[LabelScore]: ...

  @overload
  def labels(
    self,
    source: sources.Several,
    *,
    top: int = 10,
    sample_rate_hz: int | None = None,
  ) -> list[list[LabelScore]]: ...

  def labels(
    self,
    source: Source | sources.Several,
    *,
    top: int = 10,
    sample_rate_hz: int | None = None,
  ) -> list[LabelScore] | list[list[LabelScore]]:
    """The labels that fit recordings best.

    Args:
      source: a path or a waveform, or a list of these.
      top: labels of each; all where the model has fewer.
      sample_rate_hz: of waveforms; a file says its own.

    Returns:
      (label, score) by falling score; a list of such lists for a list.

    Raises:
      AudioError, ConfigError: as `embed` and `label_embeddings`.
    """
    names = self.required_label_names()
    if top < 1:
      raise errors.ConfigError(f"top={top}: must be at least 1")
    several, streams = self._streams(source, sample_rate_hz)
    found = []
    for _, vectors in batches.by_recording(self._parts(streams)):
      owners = np.zeros(len(vectors), np.int32)
      rows, scores = self.label_embeddings(vectors, owners, top)
      pairs = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
      found.append([LabelScore(names.labels[row], x) for row, x in pairs])
    return found if several else found[0]

  def label_vector(self, text: str) -> Array:
    """The vector of a label, in the same space as those of recordings.

    Args:
      text: a label such as "bebop" or "46_bebop"; of a word with several
        senses the most frequent one is taken.

    Returns:
      float32 [dim], of unit norm.

    Raises:
      ConfigError: no label is called so (says what is spelt alike), or the
        model has no labels.
    """
    return self.label_vectors(self._found(text).labels[:1])[0]

  def similarity(
    self, a: Any, b: Any, *, sample_rate_hz: int | None = None
  ) -> Any:
    """Cosine similarity of recordings, words and vectors.

    Args:
      a: a path; a label or a word ("bebop": of several senses, the one that
        fits best); a vector [dim] or vectors [n, dim] of this model; or a
        list of these. A string without a slash is a label where there is such
        a label. Where `sample_rate_hz` is given, arrays are waveforms.
      b: the same.
      sample_rate_hz: of waveforms.

    Returns:
      A float for two single things; float32 [n], [m] or [n, m] where one or
      both sides are several.

    Raises:
      AudioError, ConfigError: as `embed`; or a string is neither label nor
        file.
    """
    return comparison.cosines(
      self._side(a, sample_rate_hz), self._side(b, sample_rate_hz)
    )

  def _streams(
    self, source: Any, sample_rate_hz: int | None
  ) -> tuple[bool, list[streaming.WindowStream]]:
    """Whether it is a list, and the windows of each; nothing is decoded yet."""
    several = sources.is_several(source)
    every = source if several else [source]
    streams = [
      sources.window_stream(
        one,
        self.front_end,
        sample_rate_hz=sample_rate_hz,
        name=f"sources[{place}]" if several else "waveform",
        chunk_windows=network.BATCH_WINDOWS,
      )
      for place, one in enumerate(every)
    ]
    return several, streams

  def _parts(
    self, streams: list[streaming.WindowStream]
  ) -> Iterator[tuple[int, batches.Windows]]:
    return batches.embedded(
      streams, self.embed_log_mel, batch_windows=network.BATCH_WINDOWS
    )

  def _side(self, things: Any, sample_rate_hz: int | None) -> comparison.Side:
    """Vectors of what is to be compared."""
    if sample_rate_hz is None and getattr(things, "ndim", 0) == 2:
      things = list(np.asarray(things))
    several = sources.is_several(things)
    every = things if several else [things]
    known = [self._known(one, sample_rate_hz) for one in every]
    sounds = [x for x, found in zip(every, known, strict=True) if found is None]
    embedded = iter(self.embed(sounds, sample_rate_hz=sample_rate_hz))
    return comparison.Side(
      [next(embedded)[np.newaxis] if x is None else x for x in known], several
    )

  def _known(self, thing: Any, sample_rate_hz: int | None) -> Array | None:
    """Vectors [k, dim] of a word, or of a vector; None of a sound."""
    if isinstance(thing, str):
      return self._vectors_of_word(thing)
    if isinstance(thing, os.PathLike) or sample_rate_hz is not None:
      return None
    vector = np.asarray(thing)
    if vector.shape != (self.dim,) or vector.dtype.kind != "f":
      raise errors.ConfigError(
        f"{vector.dtype} {list(vector.shape)}: not a vector of this model,"
        f" float [{self.dim}]; with waveforms give sample_rate_hz"
      )
    return vector[np.newaxis]

  def _vectors_of_word(self, text: str) -> Array | None:
    """Of all its senses, [senses, dim]; None of a file."""
    names = self.label_names
    found = None if names is None or "/" in text else names.find(text)
    if found is not None:
      return self.label_vectors(found.labels)
    if os.path.exists(text) or "/" in text or names is None:
      return None
    advice = names.unknown(text)
    raise errors.ConfigError(
      f"{text!r}: no file, and no label of this model"
      f"{'; ' if advice else ''}{advice}"
    )

  def _found(self, text: str) -> label_names_lib.Found:
    names = self.required_label_names()
    found = names.find(text)
    if found is None:
      advice = names.unknown(text)
      raise errors.ConfigError(
        f"{text!r}: no label of {self.exported.directory}"
        f"{'; ' if advice else ''}{advice}"
      )
    return found
