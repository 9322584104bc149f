"""Converts a published corpus to a recordings table and a listening log.

    python tools/convert_corpus.py music4all_onion --source=music4all \
      --audio=music4all/audios --output=corpora/music4all

Corpora are the modules of music_embed/data/corpora with a function `convert`;
each describes the files it reads. `CORPUS --help` shows its flags. Afterwards
prepare with gin/datasets/CORPUS.gin.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
from types import ModuleType

from music_embed.core import errors
from music_embed.data import corpora


def converters() -> dict[str, ModuleType]:
  """The corpora that can be converted, by name."""
  found = {}
  for module in pkgutil.iter_modules(corpora.__path__):
    loaded = importlib.import_module(f"{corpora.__name__}.{module.name}")
    if hasattr(loaded, "convert"):
      found[module.name] = loaded
  return found


def main(arguments: list[str] | None = None) -> int:
  """Parses the flags and converts; returns the exit code."""
  modules = converters()
  flags = vars(_parser(modules).parse_args(arguments))
  name = flags.pop("corpus")
  try:
    summary = modules[name].convert(**flags)
  except (errors.MusicEmbedError, OSError) as error:
    print(f"convert_corpus: {error}", file=sys.stderr)
    return 2 if isinstance(error, errors.ConfigError) else 1
  for key, count in summary.counts.items():
    print(f"{key}: {count:,}", file=sys.stderr)
  print(
    f"python launch/prepare.py --gin_file=gin/datasets/{name}.gin"
    f" --recordings={summary.recordings}"
    f" --listening_log={summary.listening_log} --output=DATASET"
  )
  return 0


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description="Converts a published corpus to our tables."
  )
  commands = parser.add_subparsers(dest="corpus", required=True)
  for name, module in modules.items():
    command = commands.add_parser(
      name,
      help=(module.__doc__ or "").partition("\n")[0],
      description=module.__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for parameter in inspect.signature(module.convert).parameters.values():
      required = parameter.default is parameter.empty
      command.add_argument(
        f"--{parameter.name}",
        required=required,
        default=None if required else parameter.default,
      )
  return parser


if __name__ == "__main__":
  sys.exit(main())
