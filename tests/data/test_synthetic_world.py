import collections
import itertools

import numpy as np
import pytest

from music_embed.core import errors
from music_embed.data.corpora import synthetic
from music_embed.data.corpora.synthetic import instruments, listening, texts

_SEEDS = range(4)


def _world(seed: int, **changes) -> synthetic.World:
  return synthetic.make_world(synthetic.WorldConfig(seed=seed, **changes))


@pytest.mark.parametrize("seed", _SEEDS)
def test_no_instrument_identifies_a_genre(seed):
  genres_of = collections.defaultdict(set)
  for genre, content in enumerate(_world(seed).genres):
    for instrument in content.style.instruments:
      genres_of[instrument].add(genre)
  assert len(genres_of) == len(instruments.NAMES)
  assert min(map(len, genres_of.values())) >= 2


@pytest.mark.parametrize("num_genres", [3, 4, 5, 12, 20])
def test_genres_have_bands_of_their_own(num_genres):
  genres = _world(
    0, num_genres=num_genres, num_families=2, num_ambiguous_words=0
  ).genres
  bands = {tuple(sorted(genre.style.instruments)) for genre in genres}
  assert len(bands) == num_genres


@pytest.mark.parametrize("seed", _SEEDS)
def test_each_family_is_a_mix_of_genres(seed):
  world = _world(seed)
  families = collections.Counter(genre.family for genre in world.genres)
  assert set(families.values()) == {3}


def test_formats_rates_and_channels_tell_nothing_about_genres():
  world = _world(0)
  files = collections.defaultdict(set)
  for recording in world.recordings:
    files[recording.genre].add(recording.file_format)
    files[recording.genre].add(recording.file_rate_hz)
    files[recording.genre].add(recording.num_channels)
  assert all(len(kinds) == 4 + 5 + 2 for kinds in files.values())


def test_the_order_of_recordings_tells_nothing_about_artists():
  artists = [recording.artist for recording in _world(0).recordings]
  assert 800 <= len(artists) <= 920
  neighbours = sum(a == b for a, b in itertools.pairwise(artists))
  assert neighbours < 0.03 * len(artists)


def test_a_handful_of_recordings_are_mostly_talk():
  shares = [recording.music_share for recording in _world(0).recordings]
  assert sum(share < 0.5 for share in shares) == 9


@pytest.mark.parametrize("seed", _SEEDS)
def test_listeners_stay_mostly_within_a_family(seed):
  world = _world(seed, num_listeners=300)
  families_of = collections.defaultdict(collections.Counter)
  for row in listening.listening_log(world):
    genre = world.recordings[row.recording].genre
    families_of[row.user_id][world.genres[genre].family] += row.count
  shares = [
    max(counter.values()) / counter.total() for counter in families_of.values()
  ]
  assert len(families_of) == 300
  assert 0.75 < np.mean(shares) < 0.98


def test_ambiguous_words_belong_to_genres_of_two_families():
  world = _world(1)
  lexicon = texts.make_lexicon(world)
  assert len(lexicon.ambiguous) == 4
  used = [genre for item in lexicon.ambiguous for genre in item.genres]
  assert len(set(used)) == 8
  for item in lexicon.ambiguous:
    one, other = (world.genres[genre].family for genre in item.genres)
    assert one != other


def test_words_have_one_meaning_each_and_some_are_not_latin():
  lexicon = texts.make_lexicon(_world(2))
  words = [
    *itertools.chain(*lexicon.genres),
    *itertools.chain(*lexicon.families),
    *(item.word for item in lexicon.ambiguous),
    *lexicon.noise,
    *lexicon.artists,
  ]
  assert len(set(words)) == len(words)
  foreign = [word for word in words if not word.isascii()]
  assert 10 <= len(foreign) <= 50


def test_texts_tell_the_genre_often_but_not_always():
  world = _world(0)
  lexicon = texts.make_lexicon(world)
  own, other = 0, 0
  for recording, text in zip(
    world.recordings, texts.write_texts(world, lexicon), strict=True
  ):
    written = f"{text.title} {text.description}".lower()
    for genre, words in enumerate(lexicon.genres):
      hits = sum(word in written for word in words)
      own += hits * (genre == recording.genre)
      other += hits * (genre != recording.genre)
  # Four words at a chance of .25, wrong in a quarter of 11 / 12 cases.
  expected_own = len(world.recordings) * (1 - 0.25 * 11 / 12)
  assert own == pytest.approx(expected_own, rel=0.15)
  assert other > 0.15 * own


def test_ambiguous_words_are_written_about_half_of_their_recordings():
  world = _world(0)
  lexicon = texts.make_lexicon(world)
  written = texts.write_texts(world, lexicon)
  for item in lexicon.ambiguous:
    has_word = [
      item.word in f"{text.title} {text.description}".lower()
      for text in written
    ]
    of_genres = [r.genre in item.genres for r in world.recordings]
    share = np.mean(np.array(has_word)[np.array(of_genres)])
    assert 0.35 < share < 0.65


@pytest.mark.parametrize(
  "changes",
  [
    {"num_genres": 2},
    {"num_families": 1},
    {"num_families": 13},
    {"recordings_per_artist": (5, 4)},
    {"favorite_artists": (0, 4)},
    {"clip_s": 0.1},
    {"num_ambiguous_words": 5},
    {"seed": -1},
  ],
)
def test_impossible_worlds_are_refused(changes):
  with pytest.raises(errors.ConfigError, match=next(iter(changes))):
    synthetic.WorldConfig(**changes)


@pytest.mark.parametrize("seed", _SEEDS)
def test_the_tiny_world_has_links_and_pairs_without_links(seed):
  world = synthetic.make_world(synthetic.tiny_config(seed))
  listened = np.zeros((150, 24), int)
  for row in listening.listening_log(world):
    listened[int(row.user_id[1:]), row.recording] = 1
  links = listened.T @ listened >= 3
  np.fill_diagonal(links, False)
  assert 4 < links.sum(axis=1).mean() < 9
  assert links.any(axis=1).all()
