"""Published corpora in their own formats become tables and datasets."""

import json
import os
import pathlib
import tarfile

import numpy as np
import pyarrow.parquet
import pytest
import tiny_dumps

from music_embed.core import errors
from music_embed.data.corpora import (
  fma,
  lastfm_1k,
  listenbrainz,
  msd_taste_profile,
  music4all_onion,
  recordings,
)
from music_embed.data.mining import sanitize, splits
from music_embed.runs import prepare
from tools import convert_corpus

NAMES = sorted(convert_corpus.converters())


def _converted(module, tmp_path, **options):
  source, audio = getattr(tiny_dumps, module.__name__.rpartition(".")[2])(
    tmp_path / "source"
  )
  output = str(tmp_path / "output")
  return module.convert(source=source, audio=audio, output=output, **options)


def _table(summary):
  table = recordings.read_recordings(summary.recordings)
  return {row.recording_id: row for row in table}


def _log(summary):
  return pyarrow.parquet.read_table(summary.listening_log).to_pylist()


def test_the_five_corpora_are_found():
  assert NAMES == [
    "fma",
    "lastfm_1k",
    "listenbrainz",
    "msd_taste_profile",
    "music4all_onion",
  ]


@pytest.mark.parametrize("name", NAMES)
def test_a_dump_becomes_a_dataset(name, tmp_path, capsys):
  source, audio = getattr(tiny_dumps, name)(tmp_path / "source")
  output = tmp_path / "output"
  code = convert_corpus.main(
    [name, f"--source={source}", f"--audio={audio}", f"--output={output}"]
  )
  assert code == 0
  assert f"gin/datasets/{name}.gin" in capsys.readouterr().out
  table = recordings.read_recordings(str(output / "recordings.csv"))
  assert len(table) == tiny_dumps.NUM_RECORDINGS
  for row in table:
    assert os.path.isfile(
      recordings.audio_path(str(output / "recordings.csv"), row)
    )
    assert row.title or row.artist == "Nobody"
    assert row.artist
  made = prepare.prepare(
    recordings=str(output / "recordings.csv"),
    listening_log=str(output / "listening_log.parquet"),
    output=str(tmp_path / "dataset"),
    num_workers=1,
    graph_options=sanitize.GraphOptions(tau=1, min_recordings_per_user=2),
    split_options=splits.SplitOptions(
      validation_share=0.1, evaluation_share=0.1
    ),
  )
  assert made.counts["recordings"] == tiny_dumps.NUM_RECORDINGS
  assert made.counts["edges"] > 20
  assert made.counts["log_rows_unknown_recording"] == 0
  assert made.counts["log_rows_broken"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_no_dump_is_one_line(name, tmp_path, capsys):
  tiny_dumps.write_audio(tmp_path / "audio" / "x.wav")
  (tmp_path / "source").mkdir()
  code = convert_corpus.main(
    [
      name,
      f"--source={tmp_path / 'source'}",
      f"--audio={tmp_path / 'audio'}",
      f"--output={tmp_path / 'output'}",
    ]
  )
  lines = capsys.readouterr().err.splitlines()
  assert code == 1
  message = [line for line in lines if line.startswith("convert_corpus:")]
  assert len(message) == 1
  assert "source: holds no" in message[0]
  assert not os.path.exists(tmp_path / "output" / "recordings.csv")


def test_music4all_texts_and_counts_are_kept(tmp_path):
  summary = _converted(music4all_onion, tmp_path)
  first = _table(summary)[tiny_dumps.music4all_id(0)]
  assert first.title == 'Say "no" today'
  assert first.artist == "Band"
  assert first.description == "Café\npop\nindie rock\nmellow\nsad song"
  assert summary.counts["songs_without_audio"] == 1
  assert summary.counts["log_rows_without_audio"] == 1
  assert summary.counts["log_rows_broken"] == 2
  expected = {
    (f"user_{u:06d}", tiny_dumps.music4all_id(r), 1 + u)
    for u, r in tiny_dumps.listens()
  }
  assert {tuple(row.values()) for row in _log(summary)} == expected
  report = json.loads((tmp_path / "output" / "conversion.json").read_text())
  assert report["counts"] == summary.counts
  assert report["broken"][0][1:] == [123, "2 fields in place of 3"]


def test_music4all_own_history_is_read_where_onions_is_missing(tmp_path):
  source, audio = tiny_dumps.music4all_onion(tmp_path / "source")
  os.remove(tmp_path / "source" / "userid_trackid_count.tsv.bz2")
  song = tiny_dumps.music4all_id(3)
  (tmp_path / "source" / "listening_history.csv").write_text(
    f"user\tsong\ttimestamp\nuser_ab\t{song}\t2019-02-20 12:28:00\n"
  )
  summary = music4all_onion.convert(
    source=source, audio=audio, output=str(tmp_path / "output")
  )
  assert _log(summary) == [
    {"user_id": "user_ab", "recording_id": song, "count": 1}
  ]


def test_msd_songs_are_mapped_to_tracks_that_are_theirs(tmp_path):
  summary = _converted(msd_taste_profile, tmp_path)
  table = _table(summary)
  assert set(table) == {
    tiny_dumps.msd_ids(n)[0] for n in range(tiny_dumps.NUM_RECORDINGS)
  }
  assert summary.counts["tracks_mismatched"] == 1
  assert summary.counts["tracks_of_a_song_that_has_one"] == 1
  assert summary.counts["log_rows_without_audio"] == 1
  plays = {row["recording_id"]: row["count"] for row in _log(summary)}
  assert plays[tiny_dumps.msd_ids(3)[0]] == 4
  assert plays[tiny_dumps.msd_ids(4)[0]] == 5


def test_msd_texts_are_titles_and_tags(tmp_path):
  source, audio = tiny_dumps.msd_taste_profile(tmp_path / "source")
  summary = msd_taste_profile.convert(
    source=source, audio=audio, output=str(tmp_path / "output")
  )
  table = _table(summary)
  assert table[tiny_dumps.msd_ids(0)[0]].title == ""
  tagged = table[tiny_dumps.msd_ids(5)[0]]
  assert tagged.artist == "Sigur Rós"
  assert tagged.title == "Hoppípolla 05"
  assert tagged.description == "post-rock\nicelandic"


def test_fma_has_three_rows_of_header_and_empty_clips(tmp_path):
  summary = _converted(fma, tmp_path)
  table = _table(summary)
  assert summary.counts["tracks"] == tiny_dumps.NUM_RECORDINGS + 2
  assert summary.counts["tracks_of_an_empty_clip"] == 1
  assert summary.counts["tracks_without_audio"] == 1
  assert table["4"].audio.endswith("fma_small/000/000004.wav")
  assert table["4"].title == "Food"
  assert table["4"].description == (
    "Hip-Hop\nPop\nlo-fi\nnight drive\nawol\nAWOL - A Way Of Life\n"
    "Rough & ready"
  )
  assert {row["user_id"] for row in _log(summary)} == {"artist 1", "artist 2"}


def test_fma_albums_may_stand_for_listeners(tmp_path):
  rows = _log(_converted(fma, tmp_path, listeners="album"))
  assert len(rows) == tiny_dumps.NUM_RECORDINGS - 1
  assert {row["user_id"] for row in rows} == {f"album {n}" for n in range(4)}
  with pytest.raises(errors.ConfigError, match="artist, album"):
    _converted(fma, tmp_path / "other", listeners="genre")


@pytest.mark.parametrize("module", [lastfm_1k, listenbrainz])
def test_recordings_are_found_by_musicbrainz_id_and_by_name(module, tmp_path):
  summary = _converted(module, tmp_path)
  table = _table(summary)
  assert table[tiny_dumps.mbid(4)].title == "Song No. 4"
  assert table["Guns N' Roses - Song No. 3"].artist == "Guns N' Roses"
  counted = {}
  for user, number in tiny_dumps.listens():
    counted.setdefault(number, set()).add(user)
  heard = {}
  for row in _log(summary):
    heard.setdefault(row["recording_id"], set()).add(row["user_id"])
  for number, users in counted.items():
    by_name = f"Guns N' Roses - Song No. {number}"
    key = by_name if number % 3 == 0 else tiny_dumps.mbid(number)
    assert len(heard[key]) == len(users)


def test_lastfm_rows_with_tabs_in_names_are_left_out(tmp_path):
  summary = _converted(lastfm_1k, tmp_path)
  assert summary.counts["log_rows_broken"] == 1
  assert summary.counts["log_rows_without_audio"] == 1
  report = json.loads((tmp_path / "output" / "conversion.json").read_text())
  assert report["broken"][0][1:] == [122, "7 fields in place of 6"]


def test_audio_that_nobody_heard_and_nobody_named_is_left_out(tmp_path):
  source, audio = tiny_dumps.lastfm_1k(tmp_path / "source")
  tiny_dumps.write_audio(pathlib.Path(audio) / f"{tiny_dumps.mbid(500)}.wav")
  tiny_dumps.write_audio(pathlib.Path(audio) / "Some - One.wav")
  tiny_dumps.write_audio(pathlib.Path(audio) / "deep" / "Some - One.flac")
  summary = lastfm_1k.convert(
    source=source, audio=audio, output=str(tmp_path / "output")
  )
  assert summary.counts["recordings"] == tiny_dumps.NUM_RECORDINGS + 1
  assert summary.counts["recordings_without_events"] == 1
  assert summary.counts["audio_files_duplicate"] == 1
  assert _table(summary)["Some - One"].title == "One"


def test_lastfm_unpacked_reads_the_same(tmp_path):
  packed = _converted(lastfm_1k, tmp_path)
  folder = tmp_path / "source"
  with tarfile.open(folder / "lastfm-dataset-1K.tar.gz") as tar:
    tar.extractall(tmp_path / "unpacked", filter="data")
  unpacked = lastfm_1k.convert(
    source=str(tmp_path / "unpacked"),
    audio=str(folder / "audio"),
    output=str(tmp_path / "again"),
  )
  assert unpacked.counts == packed.counts
  assert _log(unpacked) == _log(packed)


def test_listenbrainz_broken_listens_are_counted(tmp_path):
  summary = _converted(listenbrainz, tmp_path)
  assert summary.counts["log_rows_broken"] == 3
  assert summary.counts["log_rows_without_audio"] == 0
  users = {row["user_id"] for row in _log(summary)}
  assert users == {str(n + 1) for n in range(tiny_dumps.NUM_USERS)}
  assert _table(summary)[tiny_dumps.mbid(4)].description == "An Album"


def test_audio_may_be_given_as_a_table(tmp_path):
  source, audio = tiny_dumps.lastfm_1k(tmp_path / "source")
  table = tmp_path / "source" / "audio.csv"
  table.write_text(
    "audio,recording_id,artist,title,description\n"
    f"audio/{tiny_dumps.mbid(1)}.wav,{tiny_dumps.mbid(1).upper()},,,a text\n"
    "audio/Guns N' Roses - Song No. 3.wav,,guns n roses,SONG no 3,\n"
  )
  summary = lastfm_1k.convert(
    source=source, audio=str(table), output=str(tmp_path / "output")
  )
  rows = _table(summary)
  assert rows[tiny_dumps.mbid(1)].title == "Song No. 1"
  assert rows[tiny_dumps.mbid(1)].description == "a text"
  assert rows["guns n roses - SONG no 3"].title == "SONG no 3"
  table.write_text("audio,recording_id\nx.wav,\n")
  with pytest.raises(errors.DataError, match="row 2: neither recording_id"):
    lastfm_1k.convert(
      source=source, audio=str(table), output=str(tmp_path / "output")
    )


def test_audio_of_another_corpus_is_an_error(tmp_path):
  source, _ = tiny_dumps.msd_taste_profile(tmp_path / "source")
  tiny_dumps.write_audio(tmp_path / "audio" / "TRNONE.wav")
  with pytest.raises(errors.DataError, match="named by the corpus's ids"):
    msd_taste_profile.convert(
      source=source,
      audio=str(tmp_path / "audio"),
      output=str(tmp_path / "output"),
    )
  assert not os.listdir(tmp_path / "output")


def test_a_cut_archive_is_named(tmp_path):
  source, audio = tiny_dumps.lastfm_1k(tmp_path / "source")
  archive = pathlib.Path(source) / "lastfm-dataset-1K.tar.gz"
  archive.write_bytes(archive.read_bytes()[:-400])
  with pytest.raises(errors.DataError, match="1K.tar.gz.*cannot be read"):
    lastfm_1k.convert(
      source=source, audio=audio, output=str(tmp_path / "output")
    )


def test_ids_and_counts_that_are_no_text_or_number_are_left_out(tmp_path):
  source, audio = tiny_dumps.msd_taste_profile(tmp_path / "source")
  os.remove(tmp_path / "source" / "train_triplets.txt.zip")
  song = tiny_dumps.msd_ids(0)[1].encode()
  rows = [b"a\t%s\t2", b"\xff\t%s\t2", b"\t%s\t2", b"b\t%s\tx", b"c\t%s\t3.0"]
  (tmp_path / "source" / "train_triplets.txt").write_bytes(
    b"".join(row % song + b"\n" for row in rows)
  )
  summary = msd_taste_profile.convert(
    source=source, audio=audio, output=str(tmp_path / "output")
  )
  found = [(row["user_id"], row["count"]) for row in _log(summary)]
  assert found == [("a", 2), ("c", 3)]
  assert summary.counts["log_rows_broken"] == 3
  assert np.sum([row["count"] for row in _log(summary)]) == 5
