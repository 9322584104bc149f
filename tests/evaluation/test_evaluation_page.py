"""Tests of the HTML report: what it shows, and that it stands alone."""

import html.parser
import re

import numpy as np
import pytest

from music_embed.evaluation import report, tables, topic_map
from music_embed.evaluation.page import curves, page, svg

_ROWS = [
  {"step": 10, "split": "train", "triplet/loss": 3.5, "triplet/share": 0.5},
  {"step": 20, "split": "train", "triplet/loss": 2.25},
  {"step": 20, "split": "validation", "link_ap": 0.25, "link_auc": 0.625},
]


class _Outline(html.parser.HTMLParser):
  """Collects tags, attributes and text; notices unbalanced elements."""

  _VOID = ("meta", "br", "line", "circle", "path", "polyline")

  def __init__(self):
    super().__init__()
    self.tags: list[str] = []
    self.attributes: list[tuple[str, str]] = []
    self.text = ""
    self._open: list[str] = []

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes += attrs
    if tag not in self._VOID:
      self._open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes += attrs

  def handle_endtag(self, tag):
    if tag not in self._VOID:
      assert self._open.pop() == tag

  def handle_data(self, data):
    if not self._open or self._open[-1] != "style":
      self.text += data

  def close(self):
    super().close()
    assert self._open == []


@pytest.fixture(scope="module")
def measured(make_material):
  result = report.measure(make_material(), num_bootstrap=50)
  result["map_of"] = "hybrid"
  return result


@pytest.fixture(scope="module")
def rendered(measured):
  random = np.random.default_rng(0)
  points = topic_map.TopicMap(
    positions=random.random((40, 2)),
    topics=["<b>jazz</b>", "drone"],
    topic=np.arange(40) % 3 - 1,
    titles=[f"take {i} & <script>alert(1)</script>" for i in range(40)],
    method="t-SNE",
  )
  return page.render(measured, {"hybrid": _ROWS}, points)


@pytest.fixture(scope="module")
def outline(rendered):
  parser = _Outline()
  parser.feed(rendered)
  parser.close()
  return parser


def test_the_page_loads_nothing_and_runs_nothing(rendered, outline):
  assert "://" not in rendered
  assert "@import" not in rendered
  assert "url(" not in rendered
  names = {name for name, _ in outline.attributes}
  assert not names & {"src", "href", "srcset", "action", "onload", "onclick"}
  loading = {"script", "link", "img", "iframe", "object", "image", "use"}
  assert not set(outline.tags) & loading


def test_text_from_data_cannot_become_markup(rendered, outline):
  assert "<script" not in rendered
  assert "take 7 & <script>alert(1)</script>" in outline.text
  assert "<b>jazz</b>" in outline.text
  assert "[drone]" in outline.text


def test_every_system_stands_with_its_numbers(measured, outline):
  for name, link in measured["link"].items():
    assert name in outline.text
    assert tables.number(link["ap"]) in outline.text
    assert tables.number(measured["label"][name]["auc"]) in outline.text


def test_the_papers_numbers_stand_as_other_data(outline):
  for number in (".0008", ".107", ".956", ".428", ".974", ".788", ".859"):
    assert number in outline.text
  assert "25 %" in outline.text
  assert "2.5 %" in outline.text
  assert "other data" in outline.text


def test_claims_are_told_in_words_not_in_colour_alone(measured, outline):
  verdicts = {claim["holds"] for claim in measured["claims"]}
  assert verdicts == {True, False}
  for holds, text in ((True, "✓ yes"), (False, "✕ no")):
    count = outline.text.count(text)
    shown = [
      claim
      for claim in measured["claims"]
      if claim["holds"] is holds and claim["better"] != "wmf"
    ]
    assert count >= len(shown)


def test_drawings_have_names_for_those_who_do_not_see_them(rendered):
  drawings = re.findall(r"<svg[^>]*>", rendered)
  assert len(drawings) > 3
  assert all("aria-label=" in d or "aria-hidden" in d for d in drawings)


def test_both_colour_schemes_define_the_same_colours(rendered):
  light, dark = re.findall(r":root \{(.*?)\}", rendered, re.DOTALL)
  colors = [set(re.findall(r"(--\w+):", block)) for block in (light, dark)]
  assert colors[0] == colors[1]
  used = set(re.findall(r"var\((--\w+)\)", rendered))
  assert used <= colors[0]


def test_learning_curves_show_losses_and_validation(outline):
  assert "hybrid: triplet/loss" in outline.text
  assert "hybrid: validation" in outline.text
  assert "link AUC .625" in outline.text
  assert "triplet/share" not in outline.text


def test_a_model_without_history_and_no_map_still_give_a_page(measured):
  rendered = page.render(measured, {"hybrid": []})
  assert "Learning curves" not in rendered
  assert "A map" not in rendered


def test_long_series_are_averaged_and_infinite_values_left_out():
  rows = [
    {"step": step, "split": "train", "a/loss": float(step)}
    for step in range(1, 1_001)
  ]
  rows[3]["a/loss"] = float("inf")
  x, y = curves.series(rows, "train")["a/loss"]
  assert len(x) == 200
  np.testing.assert_allclose(x, y)
  # 999 values in 200 blocks: the last one holds steps 997 to 1,000.
  assert x[-1] == 998.5


@pytest.mark.parametrize(
  ("low", "high", "expected"),
  [
    (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    (0.45, 0.83, [0.5, 0.6, 0.7, 0.8]),
    (0.0, 7.0, [0.0, 2.0, 4.0, 6.0]),
  ],
)
def test_ticks_are_round_numbers_within_the_range(low, high, expected):
  assert svg.ticks(low, high) == expected
