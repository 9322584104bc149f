"""Builds an index of a catalogue, to be searched and shown as a map.

  launch/index.py --model=demo/export --output=my_index ~/Music
  launch/index.py --embeddings=my_embeddings --output=my_index

The first embeds the music into OUTPUT/embeddings before; run again, it embeds
and adds what is new or has changed. The second takes what launch/embed.py
wrote, or a file of ids and vectors (.npz, .parquet; --model names what made
them); --add adds to an index that is there: a recording whose id it has
already takes that one's place.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

import functools  # isort: skip
from collections.abc import Sequence  # isort: skip

from absl import flags  # isort: skip

_OUTPUT = flags.DEFINE_string(
  "output", None, "Folder of the index.", required=True
)
_EMBEDDINGS = flags.DEFINE_string(
  "embeddings", None, "What to index: embed.py's folder, or an .npz, .parquet."
)
_MODEL = flags.DEFINE_string(
  "model", None, "Exported model that embeds --input, or made --embeddings."
)
_INPUT = flags.DEFINE_multi_string(
  "input",
  [],
  "Music to embed and index, as launch/embed.py takes it; repeatable, like"
  " what is no flag.",
)
_KIND = flags.DEFINE_enum(
  "kind",
  "auto",
  ["auto", "flat", "ivf", "hnsw"],
  "How nearest recordings are found: by comparing all (flat), or some of them;"
  " auto decides by their number.",
)
_ADD = flags.DEFINE_bool("add", False, "Add to the index that is there.")
_OVERWRITE = flags.DEFINE_bool(
  "overwrite", False, "Replace the index that is there."
)
_NUM_WORKERS = flags.DEFINE_integer(
  "num_workers", None, "Processes that decode; one for each core if unset.", 1
)
_MAX_DURATION_S = flags.DEFINE_float(
  "max_duration_s", None, "Use no audio after this time; all if unset."
)
_PRUNE = flags.DEFINE_bool(
  "prune", False, "Drop recordings that are not among the files named now."
)


def _embed(audio: Sequence[str], output: str) -> None:
  from music_embed.serving import embed  # Imports TensorFlow.

  embed.embed(
    model_directory=_MODEL.value,
    audio=audio,
    output=output,
    num_workers=_NUM_WORKERS.value,
    max_duration_s=_MAX_DURATION_S.value,
    prune=_PRUNE.value,
    npz=False,
  )


def main(arguments: Sequence[str]) -> None:
  """Builds the index, after embedding what is named."""
  from music_embed.serving import index_job

  audio = [*_INPUT.value, *arguments]
  built = index_job.index(
    output=_OUTPUT.value,
    embeddings=_EMBEDDINGS.value,
    model=_MODEL.value,
    embed=functools.partial(_embed, audio) if audio else None,
    kind=_KIND.value,
    add=_ADD.value,
    overwrite=_OVERWRITE.value,
    prune=_PRUNE.value,
  )
  print(index_job.told(_OUTPUT.value, built))


if __name__ == "__main__":
  cli.run_with_arguments(main)
