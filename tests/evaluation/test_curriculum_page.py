import html.parser
import re

import pytest

from music_embed.evaluation.page import stages as page


def _stage(name="triplet", **changes):
  rows = [
    {"step": 10, "split": "train", "triplet/loss": 4.0, "triplet/mined": 1.0},
    {"step": 10, "split": "validation", "link_ap": 0.2, "link_auc": 0.6},
    {"step": 20, "split": "train", "triplet/loss": 2.0, "triplet/mined": 1.0},
    {"step": 20, "split": "validation", "link_ap": 0.4, "link_auc": 0.7},
    {"step": 30, "split": "train", "triplet/loss": 0.0, "triplet/mined": 1.0},
    {"step": 30, "split": "validation", "link_ap": 0.3, "link_auc": 0.8},
  ]
  values = {
    "name": name,
    "steps": 30,
    "ended_by": "level triplet/loss",
    "took": "2 min 05 s",
    "rows": rows,
    "best_measure": "link_ap",
    "smoothing": 0.5,
  }
  return page.Stage(**{**values, **changes})


def test_the_table_has_the_last_and_the_best_of_every_measure():
  header, _, triplet, label = page.text(
    [_stage(), _stage("label", rows=[], ended_by="its steps")]
  ).splitlines()
  assert re.split(r"\s{2,}", header) == [
    "Stage",
    "Steps",
    "Ended by",
    "Took",
    "Loss (smoothed)",
    "link AP",
    "link AUC",
  ]
  # Smoothed by half: 4; 3; 1.5.
  assert re.split(r"\s{2,}", triplet) == [
    "triplet",
    "30",
    "level triplet/loss",
    "2 min 05 s",
    "1.5000",
    ".300 (best .400)*",
    ".800 (best .800)",
  ]
  assert re.split(r"\s{2,}", label)[-3:] == ["-", "-", "-"]


def test_the_first_of_equal_bests_is_named():
  rows = [
    {"step": step, "split": "validation", "link_ap": 0.5} for step in (10, 20)
  ]
  text = page.render("Demo", [_stage(rows=rows)], "0 s")
  assert "best .500 at 10" in text


def test_the_page_draws_loss_and_validation_of_every_stage():
  text = page.render("Demo", [_stage(), _stage("second")], "4 min 10 s")
  assert text.count("<svg") == 4
  assert text.count("<polyline") == 2 * (2 + 2)  # Faint, smoothed; AP, AUC.
  assert "triplet/loss, smoothed" in text
  for part in ("Demo", "60 steps", "4 min 10 s", "second", "link AUC"):
    assert part in text


def test_a_stage_without_any_row_is_shown_all_the_same():
  text = page.render("Demo", [_stage(rows=[])], "0 s")
  assert "<svg" not in text
  assert "triplet" in text


@pytest.mark.parametrize("field", ["name", "ended_by", "took"])
def test_texts_are_made_safe(field):
  text = page.render("Demo", [_stage(**{field: "<b>&"})], "0 s")
  assert "<b>&" not in text
  assert "&lt;b&gt;&amp;" in text


def test_the_page_loads_nothing_and_is_well_formed():
  text = page.render("<x>", [_stage()], "0 s")
  assert "http" not in text.replace("http-equiv", "")
  assert "<script" not in text
  open_tags = []

  class Checker(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
      if tag not in ("meta", "br"):
        open_tags.append(tag)

    def handle_endtag(self, tag):
      assert open_tags.pop() == tag

    def handle_startendtag(self, tag, attrs):
      pass

  Checker().feed(text)
  assert open_tags == []
