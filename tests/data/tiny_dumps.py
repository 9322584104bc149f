"""Tiny corpora in the file formats that their authors publish."""

import bz2
import csv
import io
import json
import pathlib
import sqlite3
import tarfile
import uuid
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import soundfile

NUM_RECORDINGS = 22
NUM_USERS = 10


def listens():
  """(user, recording) pairs: each user hears twelve of the recordings."""
  for user in range(NUM_USERS):
    for step in range(12):
      yield user, (user % 2 * 10 + step) % NUM_RECORDINGS


def write_audio(path: pathlib.Path, *, seed: int = 0) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  noise = np.random.default_rng(seed).normal(0, 0.1, 4 * 16_000)
  soundfile.write(path, noise.astype(np.float32), 16_000)


def _write(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text, encoding="utf-8")


def music4all_id(number: int) -> str:
  return f"{number:02d}Yfg0pC8nhRz2WX"


def music4all_onion(folder: pathlib.Path) -> tuple[str, str]:
  """Songs 0 to 24; the last has no audio."""
  ids = [music4all_id(n) for n in range(NUM_RECORDINGS + 1)]
  rows = ["id\tartist\tsong\talbum_name"]
  rows += [f"{i}\tBand {n % 5}\tSong {n}\tAlbum" for n, i in enumerate(ids)]
  rows[1] = f'{ids[0]}\tBand\t"Say ""no"" \ttoday"\tCafé'
  _write(folder / "id_information.csv", "\n".join(rows) + "\n")
  genres = "".join(f"{i}\tpop,indie rock\n" for i in ids)
  _write(folder / "id_genres.csv", "id\tgenres\n" + genres)
  tags = "".join(f"{i}\t{{'sad song': 5, 'mellow': 100}}\n" for i in ids)
  (folder / "id_tags_dict.tsv.bz2").write_bytes(
    bz2.compress(("id\t(tag, weight)\n" + tags).encode())
  )
  log = ["user_id\ttrack_id\tcount"]
  log += [f"user_{u:06d}\t{ids[r]}\t{1 + u}" for u, r in listens()]
  log += [f"user_000001\t{ids[-1]}\t3", "user_000001\tbroken"]
  log += [f"user_000001\t{ids[0]}\t0"]
  (folder / "userid_trackid_count.tsv.bz2").write_bytes(
    bz2.compress(("\n".join(log) + "\n").encode())
  )
  for number, recording_id in enumerate(ids[:-1]):
    write_audio(folder / "audios" / f"{recording_id}.flac", seed=number)
  return str(folder), str(folder / "audios")


def msd_ids(number: int) -> tuple[str, str]:
  """Track and song."""
  return f"TRAB{number:02d}C128F93{number:05d}", f"SO{number:016d}"


def msd_taste_profile(folder: pathlib.Path) -> tuple[str, str]:
  """Song 2 has a second track; song 3 another, mismatched, before its own.

  Song 4's mismatch was accepted after all.
  """
  tracks = [msd_ids(number) for number in range(NUM_RECORDINGS)]
  wrong = ("TRZZZZZ128F9300003", tracks[3][1])
  second = ("TRYYYYY128F9300002", tracks[2][1])
  listed = [wrong, *tracks, second]
  lines = [
    f"{track}<SEP>{song}<SEP>Sigur Rós<SEP>Hoppípolla {song[-2:]}"
    for track, song in listed
  ]
  lines[1] = f"{tracks[0][0]}<SEP>{tracks[0][1]}<SEP>Nobody<SEP>"
  _write(folder / "unique_tracks.txt", "\n".join(lines) + "\n")
  pairs = [wrong, tracks[4]]
  errors = [
    f"ERROR: <{song} {track}> A  -  B  !=  C  -  D" for track, song in pairs
  ]
  _write(folder / "sid_mismatches.txt", "\n".join(errors) + "\n")
  _write(
    folder / "sid_matches_manually_accepted.txt",
    f"9d8\n< {errors[1]}\n---\n",
  )
  log = [f"{u:040x}\t{tracks[r][1]}\t{1 + r}" for u, r in listens()]
  log += [f"{1:040x}\tSO9999999999999999\t1"]
  with zipfile.ZipFile(folder / "train_triplets.txt.zip", "w") as archive:
    archive.writestr("train_triplets.txt", "\n".join(log) + "\n")
  _lastfm_tags(folder / "lastfm_tags.db", tracks[5][0])
  for number, (track, _) in enumerate(listed):
    place = folder / "audio" / track[2] / track[3] / track[4]
    write_audio(place / f"{track}.wav", seed=number)
  return str(folder), str(folder / "audio")


def _lastfm_tags(path: pathlib.Path, track: str) -> None:
  with sqlite3.connect(path) as database:
    database.execute("CREATE TABLE tags (tag TEXT)")
    database.execute("CREATE TABLE tids (tid TEXT)")
    database.execute("CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT)")
    database.execute("INSERT INTO tids VALUES ('TRNONE'), (?)", (track,))
    database.execute("INSERT INTO tags VALUES ('icelandic'), ('post-rock')")
    database.execute(
      "INSERT INTO tid_tag VALUES (1, 1, 100.0), (2, 1, 40.0), (2, 2, 100.0)"
    )


_FMA_COLUMNS = (
  ("album", "id"),
  ("album", "information"),
  ("album", "tags"),
  ("album", "title"),
  ("artist", "bio"),
  ("artist", "id"),
  ("artist", "name"),
  ("artist", "tags"),
  ("set", "split"),
  ("set", "subset"),
  ("track", "genre_top"),
  ("track", "genres"),
  ("track", "genres_all"),
  ("track", "information"),
  ("track", "tags"),
  ("track", "title"),
)


def fma(folder: pathlib.Path) -> tuple[str, str]:
  """Tracks 2, 4, 6 ...; the last has an empty clip, one more no audio."""
  numbers = [2 * (n + 1) for n in range(NUM_RECORDINGS + 2)]
  text = io.StringIO()
  rows = csv.writer(text, lineterminator="\n")
  rows.writerow(["", *(group for group, _ in _FMA_COLUMNS)])
  rows.writerow(["", *(name for _, name in _FMA_COLUMNS)])
  rows.writerow(["track_id", *("" for _ in _FMA_COLUMNS)])
  for place, number in enumerate(numbers):
    values = dict.fromkeys(_FMA_COLUMNS, "")
    values |= {
      ("album", "id"): "-1" if place == 0 else str(place // 6),
      ("album", "title"): "AWOL - A Way Of Life",
      ("album", "tags"): "[]",
      ("artist", "bio"): '<p>He said "no",\n\nthen yes.</p>',
      ("artist", "id"): str(place // 12 + 1),
      ("artist", "name"): "AWOL",
      ("artist", "tags"): "['awol']",
      ("set", "split"): "training",
      ("set", "subset"): "small",
      ("track", "genre_top"): "Hip-Hop",
      ("track", "genres"): "[21]",
      ("track", "genres_all"): "[21, 10]",
      ("track", "information"): "<p>Rough &amp; <b>ready</b></p>",
      ("track", "tags"): "['lo-fi', 'night drive']",
      ("track", "title"): "Food",
    }
    rows.writerow([number, *values.values()])
  folder.mkdir(parents=True, exist_ok=True)
  genres = "genre_id,#tracks,parent,title,top_level\n"
  genres += "10,13845,0,Pop,10\n21,8389,0,Hip-Hop,21\n"
  with zipfile.ZipFile(folder / "fma_metadata.zip", "w") as archive:
    archive.writestr("fma_metadata/README.txt", "hello")
    archive.writestr("fma_metadata/genres.csv", genres)
    archive.writestr("fma_metadata/tracks.csv", text.getvalue())
  for number in numbers[:-1]:
    name = f"{number:06d}"
    write_audio(folder / "fma_small" / name[:3] / f"{name}.wav", seed=number)
  (folder / "fma_small" / "000" / f"{numbers[-2]:06d}.wav").write_bytes(b"0")
  return str(folder / "fma_metadata.zip"), str(folder / "fma_small")


def mbid(number: int) -> str:
  return str(uuid.UUID(int=(0xABCDEF << 96) | number))


def _audio_by_name_or_mbid(folder: pathlib.Path) -> str:
  """Every third recording is known by its name alone."""
  for number in range(NUM_RECORDINGS):
    by_name = f"Guns N' Roses - Song No. {number}"
    name = by_name if number % 3 == 0 else mbid(number)
    write_audio(folder / f"{name}.wav", seed=number)
  return str(folder)


def lastfm_1k(folder: pathlib.Path) -> tuple[str, str]:
  """The archive; rows of every third recording have no MusicBrainz id."""
  lines = []
  for user, number in listens():
    track = "" if number % 3 == 0 else mbid(number)
    lines.append(
      f"user_{user + 1:06d}\t2009-05-04T23:08:57Z\t{mbid(99)}\tGuns N’ Roses"
      f"\t{track}\tSong No. {number}"
    )
  lines += [
    f"user_000001\t2009-05-04T23:08:57Z\t\tNobody\t{mbid(77)}\tNothing",
    f"user_000001\t2009-05-04T23:08:57Z\t\tA\ttab\t{mbid(1)}\tin a name",
    f'user_000001\t2009-05-04T23:08:57Z\t\tQ\t{mbid(1)}\tA "quoted one',
  ]
  profile = (
    b"#id\tgender\tage\tcountry\tregistered\nuser_000001\tm\t\tJapan\t\n"
  )
  name = "userid-timestamp-artid-artname-traid-traname.tsv"
  folder.mkdir(parents=True, exist_ok=True)
  archive = folder / "lastfm-dataset-1K.tar.gz"
  with tarfile.open(archive, "w:gz") as tar:
    _add(tar, "lastfm-dataset-1K/userid-profile.tsv", profile)
    _add(tar, f"lastfm-dataset-1K/{name}", ("\n".join(lines) + "\n").encode())
  return str(folder), _audio_by_name_or_mbid(folder / "audio")


def listen(user: int, number: int) -> dict:
  """A listen as the dump of June 2024 has it."""
  information = {"recording_msid": str(uuid.UUID(int=number)), "tags": []}
  track = {
    "additional_info": information,
    "artist_name": "Guns N’ Roses",
    "track_name": f"Song No. {number}",
    "release_name": "An Album",
  }
  if number % 3 == 1:
    information["recording_mbid"] = mbid(number).upper()
  if number % 3 == 2:
    track["mbid_mapping"] = {"recording_mbid": mbid(number)}
  return {
    "user_id": user + 1,
    "user_name": f"user {user}",
    "timestamp": 1_600_000_000 + number,
    "track_metadata": track,
    "recording_msid": information["recording_msid"],
  }


def listenbrainz(folder: pathlib.Path) -> tuple[str, str]:
  """Half of the users in a dump of JSON lines, half in one of parquet."""
  events = list(listens())
  folder.mkdir(parents=True, exist_ok=True)
  lines = [json.dumps(listen(u, r)) for u, r in events if u < NUM_USERS // 2]
  odd = listen(1, 12)
  odd["track_metadata"]["additional_info"]["recording_mbid"] = ["a", "list"]
  lines += [json.dumps(odd), '{"user_id": 3}', '{"cut off', "[]"]
  packed = io.BytesIO()
  name = "listenbrainz-listens-dump-1957-20240601-000003-full"
  with tarfile.open(fileobj=packed, mode="w") as tar:
    _add(tar, f"{name}/SCHEMA_SEQUENCE", b"1")
    half = len(lines) // 2
    for month, part in enumerate((lines[:half], lines[half:]), 11):
      text = ("\n".join(part) + "\n").encode()
      _add(tar, f"{name}/listens/2024/{month}.listens", text)
  with pa.CompressedOutputStream(
    str(folder / f"{name}.tar.zst"), "zstd"
  ) as file:
    file.write(packed.getvalue())
  rows = [
    {
      "listened_at": 1_600_000_000_000,
      "user_id": user + 1,
      "recording_msid": str(uuid.UUID(int=number)),
      "artist_name": "Guns N’ Roses",
      "artist_credit_id": None,
      "release_name": None,
      "release_mbid": None,
      "recording_name": f"Song No. {number}",
      "recording_mbid": None if number % 3 == 0 else mbid(number),
      "artist_credit_mbids": None,
    }
    for user, number in events
    if user >= NUM_USERS // 2
  ]
  schema = pa.schema(
    [
      pa.field("listened_at", pa.timestamp("ms"), False),
      pa.field("user_id", pa.int64(), False),
      pa.field("recording_msid", pa.string(), False),
      pa.field("artist_name", pa.string(), False),
      pa.field("artist_credit_id", pa.int64(), True),
      pa.field("release_name", pa.string(), True),
      pa.field("release_mbid", pa.string(), True),
      pa.field("recording_name", pa.string(), False),
      pa.field("recording_mbid", pa.string(), True),
      pa.field("artist_credit_mbids", pa.list_(pa.string()), True),
    ]
  )
  buffer = io.BytesIO()
  table = pa.Table.from_pylist(rows, schema=schema)
  pyarrow.parquet.write_table(table, buffer, flavor="spark")
  name = "listenbrainz-spark-dump-1958-20240602-000003-incremental"
  with tarfile.open(folder / f"{name}.tar", "w") as tar:
    _add(tar, f"{name}/0.parquet", buffer.getvalue())
  return str(folder), _audio_by_name_or_mbid(folder / "audio")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
  entry = tarfile.TarInfo(name)
  entry.size = len(content)
  tar.addfile(entry, io.BytesIO(content))
