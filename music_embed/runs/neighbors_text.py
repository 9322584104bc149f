"""Nearest labels for a terminal."""

from __future__ import annotations

from music_embed.evaluation import tables
from music_embed.runs.neighbors import Answer, Entry


def drawn(answer: Answer) -> str:
  """An answer as aligned text: a heading where there are several entries.

  Other senses of the term that was asked for are marked `*`.
  """
  parts = [_table(entry) for entry in answer.entries]
  if answer.kind == "term" and len(answer.entries) > 1:
    senses = sum(entry.cluster is not None for entry in answer.entries)
    plain = " and a plain label" if senses < len(answer.entries) else ""
    noun = "sense" if senses == 1 else "senses"
    parts.insert(0, f"{answer.query}: {senses} {noun}{plain}")
  return "\n\n".join(parts)


def _table(entry: Entry) -> str:
  title = entry.name
  if entry.recordings is not None:
    noun = "recording" if entry.recordings == 1 else "recordings"
    title += f" ({entry.recordings:,} {noun})"
  rows = [
    (
      f"  {near.label}{' *' if near.same_term else ''}",
      tables.number(near.cosine),
      f"{near.recordings:,}",
    )
    for near in entry.neighbors
  ]
  return tables.grid((title, "cosine", "recordings"), rows)
