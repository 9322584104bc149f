"""Builds an index of embeddings, or of a folder of music in one go."""

from __future__ import annotations

import os
from collections.abc import Callable

from music_embed.core import errors, files
from music_embed.retrieval import build, finder_build
from music_embed.retrieval import index as index_lib
from music_embed.serving import index_source

EMBEDDINGS = "embeddings"
"""In an index's folder: what its music was embedded to."""

Embed = Callable[[str], None]
"""Embeds the inputs into a folder, given its path."""


def index(
  *,
  output: str,
  embeddings: str | None = None,
  model: str | None = None,
  embed: Embed | None = None,
  kind: finder_build.WantedKind = "auto",
  add: bool = False,
  overwrite: bool = False,
  prune: bool = False,
) -> build.Built:
  """Builds an index, or adds to one.

  Args:
    output: folder of the index.
    embeddings: a folder that `launch/embed.py` wrote, or a file of ids and
      vectors; None embeds.
    model: exported model: to embed with, or the one that made the embeddings.
    embed: embeds audio, into `output`/embeddings; what it adds there is added
      to an index that is there.
    kind: how nearest recordings are found.
    add: whether recordings are added to an index that is there.
    overwrite: whether an index that is there is replaced.
    prune: whether `embed` drops what is not named any more.

  Returns:
    What was done.

  Raises:
    ConfigError: an option is wrong, or the index or the model is another one.
    DataError: an input is damaged.
  """
  files.require_local(output, "output")
  _check(embeddings, model, embed, add=add, overwrite=overwrite, prune=prune)
  mode: build.Mode = "overwrite" if overwrite or prune else "new"
  if embed is not None:
    embeddings = files.join(output, EMBEDDINGS)
    embed(embeddings)
    add = add or mode == "new"  # What was embedded before is still there.
  assert embeddings is not None
  source = index_source.of(embeddings, model)
  return build.build(output, source, kind=kind, mode="add" if add else mode)


def _check(
  embeddings: str | None,
  model: str | None,
  embed: Embed | None,
  *,
  add: bool,
  overwrite: bool,
  prune: bool,
) -> None:
  """Raises ConfigError that names the flag."""
  if (embeddings is None) == (embed is None):
    raise errors.ConfigError(
      "what to index: either --embeddings, or --model and music (--input)"
    )
  if embed is not None and model is None:
    raise errors.ConfigError("--input: needs --model, to be embedded with")
  if embed is None and prune:
    raise errors.ConfigError("--prune: only with --input")
  if add and (overwrite or prune):
    other = "overwrite" if overwrite else "prune"
    raise errors.ConfigError(f"--add: not together with --{other}")


def told(output: str, built: build.Built) -> str:
  """What was done, for a person."""
  opened = index_lib.Index.open(output)
  written = built.written
  if not built.is_new:
    did = "nothing new"
  else:
    counts = {
      "added": written.added,
      "replaced": len(written.changed),
      "described anew": written.described,
      "as before": written.same,
    }
    did = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
  lines = [
    f"{output}: {opened.size:,} recordings ({did}), {_num_words(opened)}",
    f"nearest recordings: {_finder(opened)}",
  ]
  return "\n".join(lines)


def _num_words(index: index_lib.Index) -> str:
  if index.label_names is not None:
    return f"{len(index.label_names.term_names):,} words"
  if not index.fingerprint:
    return "no words: name the model of these vectors with --model"
  if not os.path.exists(index.model):
    return f"no words, since the model is gone ({index.model}): name --model"
  return "no words, since the model has none"


def _finder(index: index_lib.Index) -> str:
  """How they are found, and why so."""
  most = f"{finder_build.FLAT_UP_TO:,}"
  if index.kind == "flat":
    return f"flat: all are compared (what auto does up to {most})"
  finder = index.card.finder
  recall = ", ".join(
    f"{value:.3f} for {kind}" for kind, value in finder["recall_at_10"].items()
  )
  if index.kind == "ivf":
    how = f"{finder['breadth']} of {finder['lists']:,} lists are read"
    how += f" (what auto does above {most})"
  else:
    how = f"a graph is walked, {finder['breadth']} candidates wide"
  return f"{index.kind}: {how}; recall@10 {recall}"
