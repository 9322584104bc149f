"""The map's server, asked over HTTP as its page and as strangers ask it."""

import os
import pathlib
import urllib.parse
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
import soxr
import tiny_catalogues
import tiny_indexes
from starlette import testclient

from music_embed.retrieval import playlist, search
from music_embed.serving import (
  catalogue_map,
  explore_app,
  explorer,
  page_files,
  uploads,
)

_SIZE = 12
_HOME = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> tiny_catalogues.Catalogue:
  return tiny_catalogues.make(tmp_path_factory.mktemp("world"), _SIZE)


@pytest.fixture(scope="module")
def explored(catalogue) -> explorer.Explorer:
  made = catalogue_map.of_index(catalogue.index, "pca")
  return explorer.Explorer(catalogue.index, made)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
  return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def client(catalogue, explored, folder) -> Iterator[testclient.TestClient]:
  sounds = uploads.Sounds(str(catalogue.export), catalogue.index.fingerprint)
  sounds.start()
  app = explore_app.application(explored, sounds, folder=str(folder))
  with testclient.TestClient(app, base_url=_HOME) as asked:
    yield asked


def _error(answer, status):
  assert answer.status_code == status, answer.text
  (line,) = answer.json().values()
  assert "\n" not in line
  return line


def test_the_page_and_its_files_are_served_under_a_strict_policy(client):
  page = client.get("/")
  assert page.headers["content-type"].startswith("text/html")
  assert page.text == page_files.index_html()
  policy = page.headers["content-security-policy"]
  assert "default-src 'none'" in policy
  assert "http" not in policy
  assert page.headers["x-content-type-options"] == "nosniff"
  assert page_files.assets()
  for name, path in page_files.assets().items():
    answer = client.get(f"/assets/{name}")
    assert answer.content == path.read_bytes()
    if name.endswith(".js"):
      assert answer.headers["content-type"].startswith("text/javascript")


def test_the_catalogue_says_what_there_is(client, catalogue):
  told = client.get("/api/catalogue").json()
  assert told["size"] == _SIZE
  assert told["dim"] == tiny_indexes.DIM
  assert told["fingerprint"] == catalogue.index.fingerprint
  assert told["layout"] == "pca"
  assert told["has_words"] is True
  assert told["takes_sounds"] is True
  assert told["legend"][-1]["label"] == "other"
  assert sum(entry["count"] for entry in told["legend"]) == _SIZE
  # "bebop" has two senses: 7 + 6 recordings; they come after it.
  assert told["words"] == [
    *("bebop", "0_bebop", "1_bebop", "piano"),
    *("drums", "hard bop", "bop", "hard"),
  ]


def test_points_are_coordinates_then_classes(client, explored):
  content = client.get("/api/points").content
  assert len(content) == 9 * _SIZE
  x, y = np.frombuffer(content[: 8 * _SIZE], "<f4").reshape(2, _SIZE)
  np.testing.assert_array_equal(np.stack([x, y], 1), explored.map.points)
  classes = np.frombuffer(content[8 * _SIZE :], np.uint8)
  np.testing.assert_array_equal(classes, explored.map.legend.classes)


def test_recordings_are_told_of_in_the_order_asked_for(client):
  told = client.get("/api/recordings", params={"rows": "7,0,1,5,2,3"}).json()
  assert [one["row"] for one in told] == [7, 0, 1, 5, 2, 3]
  assert told[0] == {
    "row": 7,
    "id": "nº 7.mp3",
    "title": "Título 7",
    "artist": "Artist 3",
    "duration_s": 4.0,
    "labels": [["piano", 0.5], ["drums", 0.25]],
    "audio": "/audio/7",
  }
  assert told[1]["audio"] == "/audio/0"
  assert told[2]["audio"] is None  # The index knows no file.
  assert told[3]["audio"] is None  # The file is gone.
  assert told[4]["title"] is None
  assert told[4]["duration_s"] is None
  assert told[5]["artist"] is None


@pytest.mark.parametrize(
  ("rows", "status", "culprit"),
  [
    ("12", 404, "row 12"),
    ("0,x", 400, "rows"),
    ("-1", 400, "rows"),
    ("", 400, "rows"),
    ("9" * 30, 400, "rows"),
    (",".join(["1"] * 201), 400, "at most 200"),
  ],
)
def test_rows_that_are_none_are_refused(client, rows, status, culprit):
  answer = client.get("/api/recordings", params={"rows": rows})
  assert culprit in _error(answer, status)


def test_a_search_is_what_the_searcher_answers(client, catalogue):
  asked = {"q": "+bebop -drums", "k": 5}
  told = client.get("/api/search", params=asked).json()
  expected = search.Searcher(catalogue.index).search("+bebop -drums", k=5)
  assert told["query"] == "+bebop -drums"
  assert told["understood"] == [
    {
      "text": "bebop",
      "kind": "term",
      "sign": 1,
      "labels": ["0_bebop", "1_bebop"],
    },
    {"text": "drums", "kind": "term", "sign": -1, "labels": ["drums"]},
  ]
  assert [hit["row"] for hit in told["hits"]] == [h.row for h in expected.hits]
  assert [hit["via"] for hit in told["hits"]] == [h.via for h in expected.hits]
  np.testing.assert_allclose(
    [hit["score"] for hit in told["hits"]],
    [hit.score for hit in expected.hits],
    atol=1e-6,
  )


def test_neighbours_leave_out_the_recording_and_perhaps_its_artist(client):
  told = client.get("/api/neighbors", params={"row": 4, "k": 20}).json()
  rows = [hit["row"] for hit in told["hits"]]
  assert sorted(rows) == sorted(set(range(_SIZE)) - {4})
  assert told["understood"][0]["kind"] == "recording"
  others = {"row": 4, "k": 20, "other_artists": 1}
  told = client.get("/api/neighbors", params=others).json()
  rows = [hit["row"] for hit in told["hits"]]
  assert sorted(rows) == sorted(set(range(_SIZE)) - {4, 5})


@pytest.mark.parametrize(
  ("address", "status", "culprit"),
  [
    ("/api/search", 400, "nothing to look up"),
    ("/api/search?q=%20", 400, "nothing to look up"),
    ("/api/search?q=bebopp", 400, "bebop"),
    ("/api/search?q=-drums", 400, "not wanted"),
    ("/api/search?q=piano&k=0", 400, "k=0"),
    ("/api/search?q=piano&k=9999", 400, "k=9999"),
    ("/api/search?q=piano&other_artists=2", 400, "other_artists"),
    ("/api/neighbors", 400, "row"),
    ("/api/neighbors?row=12", 404, "row 12"),
    ("/api/neighbors?row=1.5", 400, "row"),
    ("/api/path?from=0&to=12", 404, "row 12"),
    ("/api/path?from=0&to=1&length=1", 400, "length"),
    ("/api/playlist?rows=99", 404, "row 99"),
    ("/api/nothing", 404, "Not Found"),
    ("/audio/12", 404, "row 12"),
    ("/audio/5", 404, "gone"),
    ("/audio/1", 404, "gone"),
    ("/audio/x", 404, "Not Found"),
  ],
)
def test_a_wrong_question_is_answered_by_one_line(
  client, address, status, culprit
):
  assert culprit in _error(client.get(address), status)


def test_other_methods_are_refused(client):
  _error(client.post("/api/search"), 405)
  _error(client.get("/api/sound"), 405)
  _error(client.delete("/audio/0"), 405)


@pytest.mark.parametrize("prefix", ["", "file:", "+piano -", "+"])
def test_a_search_says_of_no_file_whether_it_is_there(
  client, catalogue, prefix, tmp_path
):
  there = tmp_path / "there.mp3"
  there.write_bytes(b"x")
  lines = []
  for path in (there, tmp_path / "nowhere.mp3"):
    answer = client.get("/api/search", params={"q": f"{prefix}{path}"})
    lines.append(_error(answer, 400).replace(path.name, "X"))
  assert lines[0] == lines[1]
  assert "drop it" in lines[0]


def test_a_path_goes_from_one_recording_to_another(client, catalogue):
  asked = {"from": 0, "to": 9, "length": 5}
  rows = client.get("/api/path", params=asked).json()["rows"]
  assert rows == playlist.path(catalogue.index, 0, 9, length=5)
  assert (rows[0], rows[-1]) == (0, 9)


def test_a_playlist_names_the_files_where_they_lie(client, catalogue):
  answer = client.get("/api/playlist", params={"rows": "3,0"})
  assert (
    'attachment; filename="playlist.m3u"'
    in (answer.headers["content-disposition"])
  )
  assert answer.content.decode("utf-8").splitlines() == [
    "#EXTM3U",
    "#EXTINF:4,Título 3",
    str(catalogue.audio[3]),
    "#EXTINF:4,Artist 0 - Título 0",
    str(catalogue.audio[0]),
  ]


@pytest.mark.parametrize(
  ("row", "kind"),
  [(0, "audio/wav"), (9, "audio/flac"), (2, "audio/ogg"), (3, "audio/mpeg")],
)
def test_a_recording_is_heard_whole_or_in_parts(client, catalogue, row, kind):
  content = catalogue.audio[row].read_bytes()
  whole = client.get(f"/audio/{row}")
  assert whole.headers["content-type"] == kind
  assert whole.headers["accept-ranges"] == "bytes"
  assert whole.content == content
  part = client.get(f"/audio/{row}", headers={"Range": "bytes=100-199"})
  assert part.status_code == 206
  assert part.content == content[100:200]
  assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
  rest = client.get(f"/audio/{row}", headers={"Range": "bytes=-10"})
  assert rest.content == content[-10:]
  beyond = {"Range": f"bytes={len(content)}-"}
  assert client.get(f"/audio/{row}", headers=beyond).status_code == 416
  assert client.head(f"/audio/{row}").status_code == 200


def test_a_file_that_became_a_pipe_or_a_folder_is_not_waited_for(
  client, catalogue
):
  path = catalogue.audio[tiny_catalogues.GONE]
  os.mkfifo(path)
  try:
    _error(client.get(f"/audio/{tiny_catalogues.GONE}"), 404)
  finally:
    path.unlink()
  path.mkdir()
  try:
    _error(client.get(f"/audio/{tiny_catalogues.GONE}"), 404)
  finally:
    path.rmdir()


def test_what_is_no_media_is_never_served_as_a_page():
  assert explore_app.audio_type("/a/b.html") == "application/octet-stream"
  assert explore_app.audio_type("/a/b.svg") == "application/octet-stream"
  assert explore_app.audio_type("/a/b") == "application/octet-stream"
  assert explore_app.audio_type("/a/B.OPUS") == "audio/ogg"
  assert explore_app.audio_type("/a/b.m4a") == "audio/mp4"


@pytest.mark.parametrize(
  "host",
  [
    "evil.example",
    "evil.example:8765",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example#127.0.0.1",
    "user@evil.example",
    "",
    "[::1",
  ],
)
def test_another_name_of_this_machine_is_refused(client, host):
  for path in ("/", "/api/catalogue", "/audio/0"):
    answer = client.get(path, headers={"Host": host})
    assert "name" in _error(answer, 400)


@pytest.mark.parametrize(
  "host", ["localhost", "localhost:9", "127.0.0.1:1", "[::1]:8765", "10.1.2.3"]
)
def test_this_machines_own_names_are_answered(client, host):
  assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_page_of_another_site_is_refused(client):
  for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
    answer = client.post(
      "/api/sound",
      content=b"x",
      headers={"Origin": origin, "X-Filename": "a.wav"},
    )
    assert "another site" in _error(answer, 400)
  own = client.get("/api/catalogue", headers={"Origin": _HOME})
  assert own.status_code == 200


def _send(client, content, name="a.wav", **parameters):
  return client.post(
    "/api/sound",
    content=content,
    params=parameters,
    headers={"X-Filename": urllib.parse.quote(name)},
  )


def test_a_sound_finds_itself_in_the_catalogue(client, catalogue, folder):
  for row in (0, 6, 7):
    path = catalogue.audio[row]
    told = _send(client, path.read_bytes(), path.name, k=3).json()
    assert told["query"] == path.name
    assert [part["kind"] for part in told["understood"]] == ["file"]
    assert len(told["hits"]) == 3
    assert told["hits"][0]["score"] == pytest.approx(1, abs=1e-4)
    scores = {hit["row"]: hit["score"] for hit in told["hits"]}
    vector = np.asarray(catalogue.index.vectors[row])
    for other, score in scores.items():
      expected = vector @ catalogue.index.vectors[other]
      assert score == pytest.approx(expected, abs=1e-4)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
  ("content", "status", "culprit"),
  [
    (b"", 400, "empty"),
    (b"this is no sound" * 100, 400, "bad name.wav: not an audio file"),
    (b"RIFF\xff\xff\xff\xffWAVEfmt ", 400, "bad name.wav: "),
  ],
)
def test_what_is_no_sound_is_refused_and_removed(
  client, folder, content, status, culprit
):
  answer = _send(client, content, "../../bad name.wav")
  line = _error(answer, status)
  assert culprit in line
  assert str(folder) not in line
  assert list(folder.iterdir()) == []


def test_a_sound_without_a_name_is_refused(client):
  answer = client.post("/api/sound", content=b"x")
  assert "X-Filename" in _error(answer, 400)


def test_a_file_that_is_too_large_is_not_kept(client, folder, monkeypatch):
  monkeypatch.setattr(explore_app, "MOST_BYTES", 1 << 20)
  whole = bytes((1 << 20) + 1)
  assert "larger than 1 MiB" in _error(_send(client, whole), 413)

  def unannounced():
    for _ in range(3):
      yield bytes(1 << 19)

  assert "larger than 1 MiB" in _error(_send(client, unannounced()), 413)
  assert list(folder.iterdir()) == []


def test_names_of_sounds_are_made_harmless():
  assert uploads.shown_name("../../etc/pass\nwd") == "passwd"
  assert uploads.shown_name("C:\\music\\a b.mp3") == "a b.mp3"
  assert uploads.shown_name("\x00/\x1b") == "this file"
  assert len(uploads.shown_name("x" * 9999)) < 200
  assert uploads.suffix("song.MP3") == ".mp3"
  assert uploads.suffix("song.mp3/../../x") == ""
  assert uploads.suffix("song.m p3") == ""
  assert uploads.suffix("song") == ""


def test_the_server_itself_decodes_nothing(client, catalogue, monkeypatch):
  def decoded_here(*arguments, **options):
    raise AssertionError("a stranger's file was opened in the server")

  content = catalogue.audio[6].read_bytes()
  monkeypatch.setattr(soundfile.SoundFile, "__init__", decoded_here)
  assert _send(client, content, k=1).json()["hits"][0]["score"] > 0.999


def test_without_a_model_no_sounds_are_taken(explored, tmp_path):
  app = explore_app.application(explored, None, folder=str(tmp_path))
  with testclient.TestClient(app, base_url=_HOME) as client:
    assert client.get("/api/catalogue").json()["takes_sounds"] is False
    assert "--model" in _error(_send(client, b"x"), 503)


def test_a_model_that_does_not_load_is_said(catalogue, explored, tmp_path):
  damaged = tmp_path / "export"
  damaged.mkdir()
  card = (catalogue.export / "model.json").read_text(encoding="utf-8")
  (damaged / "model.json").write_text(card, encoding="utf-8")
  sounds = uploads.Sounds(str(damaged), catalogue.index.fingerprint)
  sounds.start().join()
  app = explore_app.application(explored, sounds, folder=str(tmp_path))
  with testclient.TestClient(app, base_url=_HOME) as client:
    assert client.get("/api/catalogue").json()["takes_sounds"] is False
    assert str(damaged) in _error(_send(client, b"x"), 503)


def test_an_index_without_words_is_shown_without(tmp_path):
  index = tiny_indexes.make(tmp_path, with_words=False)
  made = catalogue_map.of_index(index, "pca")
  bare = explorer.Explorer(index, made)
  app = explore_app.application(bare, None, folder=str(tmp_path))
  with testclient.TestClient(app, base_url=_HOME) as client:
    told = client.get("/api/catalogue").json()
    assert told["has_words"] is False
    assert told["words"] == []
    answer = client.get("/api/search", params={"q": "piano"})
    assert "no words" in _error(answer, 400)
    found = client.get("/api/search", params={"q": "r3"}).json()
    assert found["understood"][0]["kind"] == "recording"


def test_a_wav_of_another_rate_finds_the_same_recording(client, tmp_path):
  path = tmp_path / "other.wav"
  resampled = soxr.resample(tiny_catalogues.sound(8), 16_000, 44_100)
  soundfile.write(path, np.stack([resampled] * 2, 1), 44_100)
  told = _send(client, path.read_bytes(), "other.wav", k=1).json()
  assert told["hits"][0]["score"] > 0.999
