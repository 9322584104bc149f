"""Tests of tables for terminals."""

from music_embed.evaluation import tables


def test_columns_align_whatever_script_a_cell_is_written_in():
  drawn = tables.grid(
    ("word", "n"), [("jazz", "1"), ("ミサンヌ", "22"), ("दोरदोर", "333")]
  )
  widths = {tables.terminal_width(line) for line in drawn.splitlines()}
  assert widths == {len("ミサンヌ") * 2 + 2 + 3}


def test_wide_characters_take_two_cells_and_combining_marks_none():
  assert tables.terminal_width("日本") == 4
  assert tables.terminal_width("e\u0301a") == 2
