"""Audio files of any number and length to a folder of embeddings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import tqdm

from music_embed.core import errors, files
from music_embed.data.records import embedded, embedding_folder
from music_embed.serving import (
  embed_plan,
  embed_run,
  embed_settle,
  inputs,
  model,
)


def embed(
  *,
  model_directory: str,
  audio: Sequence[str],
  output: str,
  level: str = embedded.LEVELS[0],
  num_workers: int | None = None,
  labels: int = 5,
  npz: bool = True,
  max_duration_s: float | None = None,
  time_limit_s: float = 300.0,
  prune: bool = False,
  retry_rejected: bool = False,
) -> embedding_folder.EmbeddingFolder:
  """Embeds audio files.

  Can be interrupted at any moment and called again: parts that were finished
  are kept, and the files come out as if nothing had happened. A later call
  embeds what is new or has changed since; other options or another model need
  another folder. The number of workers has no influence on the files.

  Args:
    model_directory: of an export.
    audio: files, folders, patterns, lists and tables (`inputs.find`).
    output: the folder; new, or that of an earlier call.
    level: "recordings", or "windows" to keep the windows' vectors, too.
    num_workers: processes that decode; as many as cores by default.
    labels: most probable labels to keep of each recording; 0 for none.
    npz: whether to write `embeddings.npz`.
    max_duration_s: audio after this time is not used; None uses all.
    time_limit_s: wall-clock time that decoding may take to the next windows.
    prune: whether recordings that no input names any more are given up.
    retry_rejected: whether files that were rejected are tried again, though
      they have not changed.

  Returns:
    The folder.

  Raises:
    ConfigError: there is no such model or input, two files would have the same
      id, or the folder holds something else.
    DataError: not one file can be embedded, another process writes there, or
      a part is damaged.
  """
  _check(level, num_workers, labels, max_duration_s, time_limit_s)
  files.require_local(output, "output")
  network = model.Model(model_directory)
  maker = embedded.Maker(
    fingerprint=network.fingerprint,
    dim=network.dim,
    level=level,
    labels=labels if network.label_names else 0,
    max_duration_s=max_duration_s,
  )
  embed_plan.require_ours(output)
  listing = inputs.find(audio)
  _say_listing(listing)
  files.make_dirs(output)
  with files.exclusive(files.join(output, embed_plan.LOCK_FILE), output):
    state = embed_plan.read(output, maker)
    plan = embed_plan.plan(
      state, listing, prune=prune, retry_rejected=retry_rejected
    )
    _say_plan(plan, prune=prune)
    if plan.items:
      embed_run.run(
        network,
        plan,
        directory=output,
        first_number=state.next_number,
        maker=maker,
        num_workers=num_workers or len(os.sched_getaffinity(0)),
        time_limit_s=time_limit_s,
      )
      state = embed_plan.read(output, maker)
    folder = embed_settle.settle(
      state,
      plan,
      listing.problems,
      model=os.path.abspath(model_directory),
      maker=maker,
      npz=npz,
    )
  _say_folder(folder)
  return folder


def _check(
  level: str,
  num_workers: int | None,
  labels: int,
  max_duration_s: float | None,
  time_limit_s: float,
) -> None:
  """Raises ConfigError that names the flag."""
  if level not in embedded.LEVELS:
    known = " or ".join(embedded.LEVELS)
    raise errors.ConfigError(f"--level={level}: must be {known}")
  for name, value, least in (
    ("num_workers", num_workers, 1),
    ("labels", labels, 0),
  ):
    if value is not None and value < least:
      raise errors.ConfigError(f"--{name}={value}: must be at least {least}")
  for name, limit in (
    ("max_duration_s", max_duration_s),
    ("time_limit_s", time_limit_s),
  ):
    if limit is not None and not limit > 0:
      raise errors.ConfigError(f"--{name}={limit}: must be positive")


def _say_listing(listing: inputs.Listing) -> None:
  _say_counts(
    f"{len(listing.items) + len(listing.problems):,} audio files named",
    (
      (listing.num_other, "other files are left out"),
      (listing.num_hidden, "hidden files and folders are left out"),
      (listing.num_links, "links to folders seen already are left out"),
      (listing.num_twice, "files are named twice"),
    ),
  )


def _say_plan(plan: embed_plan.Plan, *, prune: bool) -> None:
  gone = "are dropped" if prune else "stay (--prune drops them)"
  _say_counts(
    f"{len(plan.items):,} files to embed",
    (
      (plan.num_done, "are embedded already"),
      (plan.num_changed, "of them have changed since"),
      (plan.num_failed, "failed before (--retry_rejected tries them again)"),
      (plan.num_gone, f"recordings are not named any more: they {gone}"),
    ),
  )


def _say_counts(text: str, counts: Sequence[tuple[int, str]]) -> None:
  """Says a text, and the counts that are not zero."""
  _say("; ".join([text, *(f"{n:,} {what}" for n, what in counts if n)]))


def _say_folder(folder: embedding_folder.EmbeddingFolder) -> None:
  """Says what is there now; raises DataError where that is nothing."""
  rejected = files.join(folder.directory, embedding_folder.REJECTED_FILE)
  counts = folder.counts
  if not folder.size:
    raise errors.DataError(
      f"{folder.directory}: not one file could be embedded; {rejected} says why"
    )
  _say(
    f"{folder.directory}: {counts['recordings']:,} recordings,"
    f" {counts['audio_s'] / 3600:,.1f} hours, {counts['windows']:,} windows"
  )
  if counts["rejected"]:
    _say(f"{counts['rejected']:,} files could not be embedded: see {rejected}")


def _say(text: str) -> None:
  tqdm.tqdm.write(text, file=sys.stderr)
