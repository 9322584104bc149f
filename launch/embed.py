"""Embeds audio files: folders of music in, a folder of vectors out.

  launch/embed.py --model=exports/label --output=embeddings music/ new/*.mp3

What is named is a file, a folder (all audio below it), a pattern, a .txt list
of files, or a table with `audio` and perhaps `recording_id`, `title` and
`artist` (csv, tsv, jsonl or parquet). The same command goes on where it was
interrupted, and embeds what is new or has changed since.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from collections.abc import Sequence  # isort: skip

from absl import flags  # isort: skip

_MODEL = flags.DEFINE_string(
  "model", None, "Directory of an exported model.", required=True
)
_INPUT = flags.DEFINE_multi_string(
  "input",
  [],
  "What to embed, as described above; repeatable, like what is no flag.",
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Folder of the embeddings.", required=True
)
_LEVEL = flags.DEFINE_enum(
  "level",
  "recordings",
  ["recordings", "windows"],
  "Whether to keep the vectors of windows, too.",
)
_NUM_WORKERS = flags.DEFINE_integer(
  "num_workers", None, "Processes that decode; one for each core if unset.", 1
)
_LABELS = flags.DEFINE_integer(
  "labels", 5, "Most probable labels to keep of each recording.", 0
)
_NPZ = flags.DEFINE_bool("npz", True, "Write embeddings.npz, too.")
_MAX_DURATION_S = flags.DEFINE_float(
  "max_duration_s", None, "Use no audio after this time; all if unset."
)
_TIME_LIMIT_S = flags.DEFINE_float(
  "time_limit_s", 300.0, "Give a file up that does not go on for so long."
)
_PRUNE = flags.DEFINE_bool(
  "prune", False, "Drop recordings that are not among the files named now."
)
_RETRY_REJECTED = flags.DEFINE_bool(
  "retry_rejected", False, "Try files again that could not be embedded before."
)


def main(arguments: Sequence[str]) -> None:
  """Embeds what the flags and the arguments name."""
  from music_embed.serving import embed

  embed.embed(
    model_directory=_MODEL.value,
    audio=[*_INPUT.value, *arguments],
    output=_OUTPUT.value,
    level=_LEVEL.value,
    num_workers=_NUM_WORKERS.value,
    labels=_LABELS.value,
    npz=_NPZ.value,
    max_duration_s=_MAX_DURATION_S.value,
    time_limit_s=_TIME_LIMIT_S.value,
    prune=_PRUNE.value,
    retry_rejected=_RETRY_REJECTED.value,
  )


if __name__ == "__main__":
  cli.run_with_arguments(main)
