"""Searches a catalogue by words, senses, recordings, sounds, or mixes of them.

  launch/search.py --index=demo/index bebop 46_bebop r00012 song.mp3
  launch/search.py --index=demo/index '+piano -drums' "hard bop +song.mp3"

Each argument is a query. In a query signs say what is wanted and what is not;
quotes keep together what has spaces ("jazz -'live at'"); of adjacent words the
longest run that the model knows is one term. `word:`, `id:` and `file:` say
what a text is. Of a word with several senses each recording scores by its best
one.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

import json  # isort: skip
import sys  # isort: skip
from collections.abc import Sequence  # isort: skip

from absl import flags  # isort: skip

_INDEX = flags.DEFINE_string(
  "index", None, "Folder that launch/index.py wrote.", required=True
)
_MODEL = flags.DEFINE_string(
  "model",
  None,
  "Exported model that embeds audio files; by default the one that the index "
  "was built with.",
)
_K = flags.DEFINE_integer("k", 10, "Recordings of each answer.")
_EXCLUDE_SAME_ARTIST = flags.DEFINE_bool(
  "exclude_same_artist",
  False,
  "Leave out recordings by the artists of recordings that are asked for.",
)
_MIN_SCORE = flags.DEFINE_float(
  "min_score", None, "Least score of a recording, -1 to 1."
)
_JSON = flags.DEFINE_bool("json", False, "Print JSON, for programs.")


def _is_flag(name: str) -> bool:
  return name in flags.FLAGS or name.removeprefix("no") in flags.FLAGS


def main(queries: Sequence[str]) -> None:
  """Answers the queries in order."""
  from music_embed.serving import search_job, search_text

  index, answers = search_job.search(
    queries,
    index=_INDEX.value,
    model=_MODEL.value,
    k=_K.value,
    exclude_same_artist=_EXCLUDE_SAME_ARTIST.value,
    min_score=_MIN_SCORE.value,
  )
  if _JSON.value:
    values = [search_text.to_json(index, answer) for answer in answers]
    print(json.dumps(values, ensure_ascii=False, indent=2))
  else:
    drawn = [search_text.drawn(index, answer) for answer in answers]
    print("\n\n".join(drawn))


if __name__ == "__main__":
  from music_embed.serving import search_text

  sys.argv = search_text.with_queries_apart(sys.argv, _is_flag)
  cli.run_with_arguments(main)
