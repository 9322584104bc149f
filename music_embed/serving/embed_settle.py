"""Makes one folder of old and new parts: each recording once, none given up."""

from __future__ import annotations

from collections.abc import Sequence

from music_embed.data.records import embedded, embedding_folder, embedding_parts
from music_embed.serving import embed_plan


def settle(
  state: embed_plan.State,
  plan: embed_plan.Plan,
  problems: Sequence[embedded.Rejected],
  *,
  model: str,
  maker: embedded.Maker,
  npz: bool,
) -> embedding_folder.EmbeddingFolder:
  """Finishes a folder whose new parts lie there.

  Parts of which rows were replaced, renamed or given up are written anew under
  other numbers, and deleted once the summary names the new ones: a summary
  that is there is right at every moment.

  Args:
    state: read after the last part was written.
    plan: what was done.
    problems: files that were not tried.
    model: directory of the export.
    maker: of all parts.
    npz: whether to write `embeddings.npz`.

  Returns:
    The folder.

  Raises:
    DataError: a part is damaged.
  """
  latest = state.latest()
  live = {
    id(entry) for name, entry in latest.items() if name not in plan.dropped
  }
  kept: list[embedded.Part] = []
  replaced: list[embedded.Part] = []
  for part in state.parts:
    (kept if _is_current(part, live, plan) else replaced).append(part)
  next_number = state.next_number
  for part in replaced:
    rows = [row for row, entry in enumerate(part.stored) if id(entry) in live]
    rejected = [entry for entry in part.rejected if id(entry) in live]
    if rows or rejected:
      _rewrite(state, part, next_number, rows, rejected, plan)
      kept.append(embedding_parts.read(state.directory, next_number))
      next_number += 1
  folder = embedding_folder.finish(
    state.directory,
    model=model,
    maker=maker,
    parts=kept,
    next_part=next_number,
    rejected=_rejected(kept, problems),
    npz=npz,
  )
  for part in replaced:
    embedding_parts.remove(state.directory, part.number)
  return folder


def _is_current(
  part: embedded.Part, live: set[int], plan: embed_plan.Plan
) -> bool:
  """Whether a part can stay as it is."""
  return all(
    id(entry) in live for entry in (*part.stored, *part.rejected)
  ) and (not any(row.source.id in plan.renamed for row in part.stored))


def _rewrite(
  state: embed_plan.State,
  part: embedded.Part,
  number: int,
  rows: list[int],
  rejected: list[embedded.Rejected],
  plan: embed_plan.Plan,
) -> None:
  names = {row: part.stored[row].source.id for row in rows}
  embedding_parts.rewrite(
    state.directory,
    part,
    number,
    keep=rows,
    rejected=rejected,
    changed={
      row: plan.renamed[name]
      for row, name in names.items()
      if name in plan.renamed
    },
  )


def _rejected(
  parts: Sequence[embedded.Part], problems: Sequence[embedded.Rejected]
) -> list[embedded.Rejected]:
  """All files without a vector, each id once, by id."""
  stored = {row.source.id for part in parts for row in part.stored}
  found = {entry.source.id: entry for part in parts for entry in part.rejected}
  found |= {entry.source.id: entry for entry in problems}
  return [found[name] for name in sorted(found.keys() - stored)]
