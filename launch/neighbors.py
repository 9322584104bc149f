"""Prints the labels nearest to a word's senses, a recording or an audio file.

  launch/neighbors.py --model=demo/runs/sense bebop 46_bebop r00012 song.mp3

Nearness is the cosine between rows of the softmax layer (Huang et al. 2020,
Table 3), or between them and the mean embedding of a recording.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

import json  # isort: skip
from collections.abc import Sequence  # isort: skip

from absl import flags  # isort: skip

_MODEL = flags.DEFINE_string(
  "model", None, "Working directory of a training run.", required=True
)
_DATASET = flags.DEFINE_string(
  "dataset", None, "Its dataset; by default the path that the run has noted."
)
_TOP_K = flags.DEFINE_integer("top_k", 10, "Labels of each entry.")
_SAME_TERM = flags.DEFINE_bool(
  "same_term", False, "List other senses of the term itself, too, marked *."
)
_JSON = flags.DEFINE_bool("json", False, "Print JSON, for programs.")


def main(queries: Sequence[str]) -> None:
  """Answers the queries in order."""
  from music_embed.runs import neighbors, neighbors_text

  answers = neighbors.neighbors(
    queries,
    model=_MODEL.value,
    dataset=_DATASET.value,
    top_k=_TOP_K.value,
    same_term=_SAME_TERM.value,
  )
  if _JSON.value:
    values = [answer.to_json() for answer in answers]
    print(json.dumps(values, ensure_ascii=False, indent=2))
  else:
    print("\n\n".join(map(neighbors_text.drawn, answers)))


if __name__ == "__main__":
  cli.run_with_arguments(main)
