"""Answers of an index, beside the same sums written out."""

import pathlib

import numpy as np
import numpy.typing as npt
import pytest
import tiny_indexes

from music_embed.core import errors
from music_embed.retrieval import build, search
from music_embed.retrieval import index as index_lib


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> index_lib.Index:
  return tiny_indexes.make(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def searcher(index: index_lib.Index) -> search.Searcher:
  return search.Searcher(index)


def _cosines(index: index_lib.Index, *labels: str) -> npt.NDArray[np.float32]:
  """Of all recordings with some labels, float32 [size, labels]."""
  places = [tiny_indexes.LABELS.index(label) for label in labels]
  return index.vectors @ tiny_indexes.words().vectors[places].T


def _ids(answer: search.Answer) -> list[str]:
  return [hit.id for hit in answer.hits]


def _best(
  scores: npt.NDArray[np.float32], k: int, without: tuple[int, ...] = ()
) -> list[str]:
  order = [row for row in np.argsort(-scores) if row not in without]
  return [f"r{row}" for row in order[:k]]


def test_a_word_gives_the_recordings_nearest_to_its_vector(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  answer = searcher.search("piano", k=7)
  cosines = _cosines(index, "piano")[:, 0]
  assert _ids(answer) == _best(cosines, 7)
  for hit in answer.hits:
    assert hit.score == pytest.approx(cosines[hit.row], abs=1e-6)
    assert hit.via == ""
  assert answer.understood == [
    search.Understood("piano", "term", 1, ["piano"], "piano")
  ]


def test_a_term_scores_by_its_best_sense_which_is_said(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  answer = searcher.search("Bebop", k=60)
  cosines = _cosines(index, "0_bebop", "1_bebop")
  assert _ids(answer) == _best(cosines.max(axis=1), 60)
  for hit in answer.hits:
    assert hit.via == ("0_bebop", "1_bebop")[cosines[hit.row].argmax()]
  assert {hit.via for hit in answer.hits} == {"0_bebop", "1_bebop"}
  assert answer.understood[0].labels == ["0_bebop", "1_bebop"]


def test_a_sense_can_be_asked_for_alone(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  answer = searcher.search("1_bebop", k=5)
  assert _ids(answer) == _best(_cosines(index, "1_bebop")[:, 0], 5)
  assert answer.understood[0].kind == "label"
  assert answer.hits[0].via == ""


@pytest.mark.parametrize(
  "query", ["+piano -drums", "piano -drums", "piano - drums", "-drums +piano"]
)
def test_what_is_not_wanted_is_taken_away(
  index: index_lib.Index, searcher: search.Searcher, query: str
) -> None:
  answer = searcher.search(query, k=6)
  piano, drums = _cosines(index, "piano", "drums").T
  assert _ids(answer) == _best(piano - drums, 6)
  row = answer.hits[0].row
  wanted = (piano[row] - drums[row]) / 2
  assert answer.hits[0].score == pytest.approx(wanted, abs=1e-6)


def test_no_sense_of_a_term_is_wanted_where_the_term_is_not(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  answer = searcher.search("+piano -bebop", k=9)
  piano = _cosines(index, "piano")[:, 0]
  bebop = _cosines(index, "0_bebop", "1_bebop").max(axis=1)
  assert _ids(answer) == _best(piano - bebop, 9)
  assert answer.hits[0].via == ""


def test_words_sounds_and_recordings_mix(
  index: index_lib.Index, tmp_path: pathlib.Path
) -> None:
  song = tmp_path / "a song.mp3"
  song.write_bytes(b"sound")
  sound = tiny_indexes.vectors(1, seed=77)[0]
  asked = []

  def embed_file(path: str) -> npt.NDArray[np.float32]:
    asked.append(path)
    return sound

  searcher = search.Searcher(index, embed_file)
  answer = searcher.search(f"hard bop +'{song}' bebop -r7", k=8)
  hard_bop = _cosines(index, "hard bop")[:, 0]
  bebop = _cosines(index, "0_bebop", "1_bebop").max(axis=1)
  like = index.vectors @ (sound / np.linalg.norm(sound))
  r7 = index.vectors @ index.vectors[7]
  assert _ids(answer) == _best(hard_bop + like + bebop - r7, 8, (7,))
  assert asked == [str(song)]
  assert [(u.name, u.kind, u.sign) for u in answer.understood] == [
    ("hard bop", "term", 1),
    (str(song), "file", 1),
    ("bebop", "term", 1),
    ("r7", "recording", -1),
  ]


def test_a_recording_is_not_its_own_answer(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  cosines = index.vectors @ index.vectors[7]
  assert _ids(searcher.search("r7", k=5)) == _best(cosines, 5, (7,))
  assert _ids(searcher.near(7, k=5)) == _best(cosines, 5, (7,))


def test_the_same_artist_is_left_out_however_written(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  cosines = index.vectors @ index.vectors[7]
  wanted = _best(cosines, 59, (6, 7, 8))
  answer = searcher.search("r7", k=59, exclude_same_artist=True)
  assert _ids(answer) == wanted
  near = searcher.near(7, k=59, exclude_same_artist=True)
  assert _ids(near) == wanted


def test_a_file_of_the_index_needs_no_model(searcher: search.Searcher) -> None:
  answer = searcher.search("/music/7.mp3", k=3)
  assert answer.understood[0].kind == "recording"
  assert _ids(answer) == _ids(searcher.near(7, k=3))


def test_a_file_that_is_there_comes_before_an_id_of_its_name(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  some = tiny_indexes.recordings(3)
  some.ids[1] = "song.mp3"
  build.build(str(tmp_path / "index"), tiny_indexes.source(some))
  made = index_lib.Index.open(str(tmp_path / "index"))
  monkeypatch.chdir(tmp_path)
  searcher = search.Searcher(made, lambda path: tiny_indexes.vectors(1)[0])
  assert searcher.search("song.mp3").understood[0].kind == "recording"
  (tmp_path / "song.mp3").write_bytes(b"mine")
  assert searcher.search("song.mp3").understood[0].kind == "file"
  assert searcher.search("id:song.mp3").understood[0].kind == "recording"


def test_files_are_not_looked_at_for_others(
  index: index_lib.Index, tmp_path: pathlib.Path
) -> None:
  there = tmp_path / "song.mp3"
  there.write_bytes(b"mine")
  searcher = search.Searcher(index, takes_paths=False)
  told = []
  for path in (there, tmp_path / "gone.mp3"):
    for query in (str(path), f"file:{path}", f"piano +'{path}'"):
      with pytest.raises(errors.ConfigError) as raised:
        searcher.search(query)
      told.append(str(raised.value).replace(str(path), "PATH"))
  assert told[:3] == told[3:]
  with pytest.raises(errors.ConfigError):
    searcher.search("/music/7.mp3")
  assert len(searcher.search("piano -r7", k=3).hits) == 3


def test_scores_below_the_least_are_left_out(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  cosines = _cosines(index, "piano")[:, 0]
  answer = searcher.search("piano", k=60, min_score=0.2)
  assert len(answer.hits) == (cosines >= 0.2).sum() > 0
  assert searcher.search("piano", min_score=1.1).hits == []


def test_a_vector_of_ones_own_can_be_asked_for(
  index: index_lib.Index, searcher: search.Searcher
) -> None:
  vector = 3.0 * tiny_indexes.vectors(1, seed=5)[0]
  answer = searcher.near_vector(vector, k=4, query="mine")
  cosines = index.vectors @ (vector / np.linalg.norm(vector))
  assert _ids(answer) == _best(cosines, 4)
  assert answer.hits[0].score == pytest.approx(cosines.max(), abs=1e-6)
  with pytest.raises(errors.ConfigError, match="8 numbers"):
    searcher.near_vector(np.zeros(5))


@pytest.mark.parametrize(
  ("query", "culprit"),
  [
    ("", "empty query"),
    ("bebob", "near it: bebop"),
    ("7_bebop", "'bebop' has 0_bebop, 1_bebop"),
    ("piano zzzz", "'zzzz'"),
    ("-piano", "only what is not wanted"),
    ("piano -", "nothing follows '-'"),
    ("piano ''", "empty pair of quotes"),
    ("id:piano", "no recording of the index"),
    ("word:r7", "no word of the model"),
    ("missing.mp3", "no such file"),
    ("file:piano", "no such file"),
  ],
)
def test_what_nobody_knows_is_said_with_advice(
  searcher: search.Searcher, query: str, culprit: str
) -> None:
  with pytest.raises(errors.MusicEmbedError) as raised:
    searcher.search(query)
  assert culprit in str(raised.value)


def test_a_sound_without_a_model_is_refused(
  searcher: search.Searcher, tmp_path: pathlib.Path
) -> None:
  song = tmp_path / "song.mp3"
  song.write_bytes(b"sound")
  with pytest.raises(errors.ConfigError, match="--model"):
    searcher.search(str(song))


def test_an_index_without_words_says_so(tmp_path: pathlib.Path) -> None:
  index = tiny_indexes.make(tmp_path, 5, with_words=False)
  with pytest.raises(errors.ConfigError, match="knows no words"):
    search.Searcher(index).search("piano")
  assert search.Searcher(index).search("r1", k=9).hits[3].row >= 0


def test_an_answer_is_json(searcher: search.Searcher) -> None:
  value = searcher.search("bebop -drums", k=1).to_json()
  assert set(value) == {"query", "understood", "hits"}
  assert set(value["hits"][0]) == {"row", "id", "score", "via"}
