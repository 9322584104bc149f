"""Tests of tables for terminals."""

from music_embed.evaluation import report, tables


def test_columns_align_whatever_script_a_cell_is_written_in():
  drawn = tables.grid(
    ("word", "n"), [("jazz", "1"), ("ミサンヌ", "22"), ("दोरदोर", "333")]
  )
  widths = {tables.terminal_width(line) for line in drawn.splitlines()}
  assert widths == {len("ミサンヌ") * 2 + 2 + 3}


def test_wide_characters_take_two_cells_and_combining_marks_none():
  assert tables.terminal_width("日本") == 4
  assert tables.terminal_width("e\u0301a") == 2


def test_the_summary_says_what_senses_gain(make_material):
  measured = report.measure(make_material(), num_bootstrap=10)
  auc = {"auc_unsplit": 0.9, "auc_summed": 0.95, "auc_shuffled": None}
  measured["senses"] = {
    "k": 6,
    "flagged": 5,
    "found": 3,
    "planted": 4,
    "terms": 4,
    **auc,
    "others": {"terms": 58, **auc},
  }
  assert tables.summary(measured).splitlines()[-3:] == [
    "6 clusters, 5 ambiguous terms found (3 of 4 planted ones)",
    "label AUC of 4 ambiguous terms: .900 unsplit, .950 summed over senses, "
    "- with shuffled clusters",
    "label AUC of 58 other terms: .900 unsplit, .950 summed over senses, "
    "- with shuffled clusters",
  ]
