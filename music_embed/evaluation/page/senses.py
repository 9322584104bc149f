"""The report's section on word senses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from music_embed.evaluation import tables
from music_embed.evaluation.page import sections, svg

_WIDTH, _HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 36, 44
_SINGLE = 8
"""Up to so many senses a bar each; above, bars double in width."""

_KINDS = {
  "unsplit": "labels as they are",
  "summed": "split by sense, posteriors summed",
  "shuffled": "split by shuffled clusters, summed",
}


def section(senses: Mapping[str, Any] | None) -> str:
  """The whole section; empty where no model has senses.

  Args:
    senses: what report.json holds under "senses".
  """
  if not senses:
    return ""
  return (
    f"<section><h2>Word senses</h2><p>{svg.escape(_summary(senses))}</p>"
    f"<h3>What ambiguous words mean</h3>{_meanings(senses)}"
    "<h3>Do senses help?</h3>"
    f"{_explained(_judged(senses), _auc(senses))}"
    f"{_told_apart(senses)}"
    f"<h3>How many clusters?</h3>{_choice(senses)}"
    "<h3>How many senses do words have?</h3>"
    f'<figure class="bars">{bars(senses["senses_per_term"])}</figure>'
    "</section>"
  )


def bars(senses_per_term: Mapping[str, int]) -> str:
  """A bar chart: terms by number of senses.

  Args:
    senses_per_term: number of terms by number of senses.
  """
  bins = _binned({int(n): count for n, count in senses_per_term.items()})
  most = max([count for _, count in bins], default=1)
  width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
  step = width / max(len(bins), 1)
  bottom = _TOP + height
  body = [svg.text(12, 20, "Terms by number of senses", "head")]
  for tick in svg.ticks(0.0, most * 1.05, 4):
    y = bottom - tick / (most * 1.05) * height
    body.append(svg.line(_LEFT, y, _LEFT + width, y, "grid"))
    label = svg.tick_label(tick)
    body.append(svg.text(_LEFT - 8, y + 4, label, "tick", "end"))
  for place, (name, count) in enumerate(bins):
    tall = count / (most * 1.05) * height
    middle = _LEFT + step * (place + 0.5)
    wide = min(step * 0.72, 64)
    hover = f"{count:,} terms: {name}"
    body.append(
      f"<g><title>{svg.escape(hover)}</title>"
      f'<rect x="{middle - wide / 2:.1f}" y="{bottom - tall:.1f}" '
      f'width="{wide:.1f}" height="{tall:.1f}" rx="2" fill="var(--accent)"/>'
      "</g>"
    )
    body.append(
      svg.text(middle, bottom - tall - 5, f"{count:,}", "tick", "middle")
    )
    body.append(svg.text(middle, bottom + 16, name, "tick", "middle"))
  body.append(
    svg.text(
      _LEFT + width / 2, _HEIGHT - 8, "senses of a term", "tick", "middle"
    )
  )
  return svg.drawing(
    _WIDTH, _HEIGHT, "How many terms have how many senses", body
  )


def _binned(counts: Mapping[int, int]) -> list[tuple[str, int]]:
  """Names and heights of the bars: 1 to 8, then 9-16, 17-32 and so on."""
  most = max(counts, default=1)
  bins = [(str(n), counts.get(n, 0)) for n in range(1, min(most, _SINGLE) + 1)]
  low, high = _SINGLE + 1, 2 * _SINGLE
  while low <= most:
    inside = sum(c for n, c in counts.items() if low <= n <= high)
    bins.append((f"{low}\N{EN DASH}{high}", inside))
    low, high = high + 1, 2 * high
  return bins


def _summary(senses: Mapping[str, Any]) -> str:
  text = (
    f"Recordings were parted into {senses['k']} clusters by who listens to "
    f"them, labels split by cluster, and a head trained on the senses. "
    f"{senses['flagged']:,} terms were found to mean more than one thing"
  )
  if senses.get("planted") is None:
    return text + "."
  return text + (
    f"; {senses['planted']} were planted: precision "
    f"{tables.number(senses['precision'], 2)}, recall "
    f"{tables.number(senses['recall'], 2)}."
  )


def _meanings(senses: Mapping[str, Any]) -> str:
  """Table 3: senses of the most ambiguous terms and what lies near each."""
  rows = []
  for place, term in enumerate(senses["table"]):
    name = svg.escape(term["term"])
    if term.get("planted"):
      name += " <small>planted</small>"
    for row, sense in enumerate(term["senses"]):
      cells = [
        "" if row else name,
        svg.escape(sense["label"]),
        f"{sense['recordings']:,}",
        ", ".join(svg.escape(near["term"]) for near in sense["nearest"]),
        "" if row else tables.number(term["score"], 2),
      ]
      rows.append(("first" if place and not row else "", cells))
  if not rows:
    return '<p class="soft">No term was found to be ambiguous.</p>'
  return _explained(
    "The terms whose senses lie furthest apart (as Table 3 of the paper)."
    " Nearest: by cosine between rows of the softmax layer, each term once."
    " Distance: the largest cosine distance between two senses.",
    sections.table(
      ("Term", "Sense", "Recordings", "Nearest labels", "Distance"),
      rows,
      text=(1, 3),
    ),
  )


def _explained(text: str, table: str) -> str:
  """A table below what explains it, which is not to be as wide."""
  return f'<p class="soft">{svg.escape(text)}</p>{table}'


def _judged(senses: Mapping[str, Any]) -> str:
  return (
    "Label AUC on the evaluation part, of softmax heads that were fitted alike"
    " on the same embeddings of the training part, against the labels as they"
    f" are. Ambiguous: the {senses['judged_on']} terms that occur often enough"
    f" there. Shuffled: mean of {senses['num_shuffles']} shuffles."
  )


def _auc(senses: Mapping[str, Any]) -> str:
  groups = (senses, senses["others"])
  rows = [
    (
      "first" if kind == "unsplit" else "",
      [
        svg.escape(name),
        *(
          sections.with_ends(group[f"auc_{kind}"], group["intervals"][kind])
          for group in groups
        ),
      ],
    )
    for kind, name in _KINDS.items()
  ]
  for kind, name in (("unsplit", "unsplit"), ("shuffled", "shuffled")):
    cells = [
      sections.difference(
        group[f"summed_above_{kind}"]["difference"],
        group[f"summed_above_{kind}"]["interval"],
      )
      for group in groups
    ]
    rows.append(("meta", [f"summed above {name}", *cells]))
  header = (
    "Head",
    f"Ambiguous terms ({senses['terms']})",
    f"All others ({senses['others']['terms']})",
  )
  return sections.table(header, rows)


def _told_apart(senses: Mapping[str, Any]) -> str:
  found = senses.get("told_apart")
  if not found:
    return ""
  rows = []
  for place, word in enumerate(found["words"]):
    for row, sense in enumerate(word["senses"]):
      near = ", ".join(
        f'<span class="{"yes" if n["genre"] == sense["genre"] else "no"}">'
        f"{svg.escape(n['term'])} ({n['genre']})</span>"
        for n in sense["nearest"]
      )
      cells = [
        svg.escape(word["word"]) if not row else "",
        svg.escape(sense["label"]),
        str(sense["genre"]),
        near,
        "" if row else _yes_or_no(word["told_apart"]),
      ]
      rows.append(("first" if place and not row else "", cells))
  text = (
    "The sense that most recordings of either genre have, and the three genre"
    " words nearest to it (their genre in brackets). Of these"
    f" {tables.number(found['share_right'], 2)} are of the right genre; with"
    f" shuffled clusters {tables.number(found['share_right_shuffled'], 2)}."
  )
  header = ("Word", "Sense", "Genre", "Nearest genre words", "Told apart")
  return "<h3>Planted words</h3>" + _explained(
    text, sections.table(header, rows, text=(1, 3))
  )


def _yes_or_no(value: bool) -> str:
  if value:
    return '<span class="yes">\N{CHECK MARK} yes</span>'
  return '<span class="no">\N{MULTIPLICATION X} no</span>'


def _choice(senses: Mapping[str, Any]) -> str:
  """The k table, the choice marked."""
  rows: Sequence[Mapping[str, Any]] = senses.get("k_table") or ()
  if not rows:
    return (
      f'<p class="soft">{senses["k"]} clusters were asked for: there was'
      " nothing to choose.</p>"
    )
  header = (
    "Clusters",
    "Split labels, raw",
    "Unsplit",
    "Summed",
    "Shuffled",
    "Gain",
    "Found",
    "Others: unsplit",
    "summed",
  )
  return _explained(
    f"AUC on the validation part, of the {rows[0]['terms']} terms that some"
    " cluster uses more than its size explains; others: terms that were not"
    " found to be ambiguous. Chosen by the gain, summed less shuffled. The raw"
    " AUC of split labels chooses nothing: it rises with the number of"
    " clusters, because the cluster alone predicts.",
    sections.table(
      header,
      [_k_row(row, row["num_clusters"] == senses["k"]) for row in rows],
    ),
  )


def _k_row(row: Mapping[str, Any], chosen: bool) -> tuple[str, list[str]]:
  mark = ' <span class="yes">\N{CHECK MARK} chosen</span>' if chosen else ""
  kinds = ("split", "unsplit", "summed", "shuffled")
  cells = [tables.number(row[f"auc_{kind}"]) for kind in kinds]
  gain = tables.number(row["gain"], 4)
  if row.get("gain_error") is not None:
    error = tables.number(row["gain_error"], 4)
    gain += f" <small>\N{PLUS-MINUS SIGN} {error}</small>"
  others = row["others"]
  return "", [
    f"{row['num_clusters']}{mark}",
    *cells,
    gain,
    str(len(row["words"])),
    tables.number(others["auc_unsplit"]),
    tables.number(others["auc_summed"]),
  ]
