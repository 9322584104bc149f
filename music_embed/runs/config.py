"""Gin files to keyword arguments: the only module that imports gin.

Every mistake in a gin file or binding becomes a one-line ConfigError before
anything is loaded or written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util  # noqa: F401  (gin's dynamic registration needs it)
import inspect
import logging
import os
import pathlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import gin

from music_embed.core import errors

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_MAX_MESSAGE = 400


@dataclasses.dataclass(frozen=True)
class Configured:
  """What gin files say about one function.

  Attributes:
    arguments: keyword arguments, references resolved to objects.
    config_text: every binding as parsed; parse this to reproduce the run.
    operative_text: parameters that were really used, defaults included.
  """

  arguments: dict[str, Any]
  config_text: str
  operative_text: str


def load(
  function: Callable[..., Any],
  *,
  gin_files: Sequence[str] = (),
  gin_params: Sequence[str] = (),
  given: Collection[str] = (),
  first: Callable[..., None] | None = None,
) -> Configured:
  """Parses gin files and builds the arguments that they bind to `function`.

  Args:
    function: the run function, e.g. `runs.train.train`.
    gin_files: paths, as given or relative to the checkout (`gin/...`).
    gin_params: bindings from the command line; they override the files.
    given: parameters that the caller passes itself (flags).
    first: called with its own bindings before any object is built, e.g.
      `runs.runtime.configure`.

  Returns:
    The arguments and both gin texts.

  Raises:
    ConfigError: a missing file, unknown name or parameter, unused macro,
      unset required value, or a value that a constructor refuses.
  """
  with _quiet_gin():
    texts = _parse(gin_files, gin_params)
    _check_macros([*texts, *gin_params])
    if first is not None:
      first(**_resolve(first, ()))
    arguments = _resolve(function, given)
    return Configured(
      arguments=arguments,
      config_text=gin.config_str(),
      operative_text=gin.operative_config_str() + _own_section(function),
    )


def parse_text(function: Callable[..., Any], config_text: str) -> Configured:
  """Like `load`, from the saved `config_text` of an earlier run."""
  with _quiet_gin():
    gin.clear_config()
    try:
      gin.parse_config(config_text)
    except Exception as error:
      raise _one_line(error) from error
    bound = gin.get_bindings(function, resolve_references=False)
    given = [key for key in parameters(function) if key not in bound]
    return Configured(_resolve(function, given), "", "")


def roots() -> list[str]:
  """Folders in which `gin/...` paths are looked up, in order."""
  return list(dict.fromkeys([os.getcwd(), str(_PACKAGE.parent), str(_PACKAGE)]))


def _parse(gin_files: Sequence[str], gin_params: Sequence[str]) -> list[str]:
  """Parses files, then bindings; the text of every file that was read."""
  gin.clear_config()
  for root in roots():
    gin.add_config_file_search_path(root)
  for path in gin_files:
    if not any(os.path.isfile(os.path.join(r, path)) for r in roots()):
      raise errors.ConfigError(
        f"--gin_file={path}: no such file (looked in {', '.join(roots())})"
      )
  try:
    gin.parse_config_files_and_bindings(
      list(gin_files), list(gin_params), finalize_config=False
    )
  except Exception as error:
    raise _one_line(error) from error
  return [text for path in gin_files for text in _texts(path)]


def _texts(path: str) -> list[str]:
  """Text of a gin file and of all that it includes."""
  for root in roots():
    found = pathlib.Path(root, path)
    if found.is_file():
      text = found.read_text(encoding="utf-8")
      included = re.findall(r"^include\s+['\"](.+)['\"]", text, re.MULTILINE)
      return [text, *(t for name in included for t in _texts(name))]
  return []


def _check_macros(texts: Sequence[str]) -> None:
  """A macro that no text uses is a misspelt one: gin lets it pass."""
  text = gin.config_str(max_line_length=10_000)
  bound = set(re.findall(r"^([A-Za-z_]\w*) = ", text, re.MULTILINE))
  used = set(re.findall(r"%([A-Za-z_][A-Za-z0-9_.]*)", "\n".join(texts)))
  if unused := sorted(bound - used):
    raise errors.ConfigError(
      f"macro {unused[0]} is bound but nothing uses it; macros in use: "
      f"{', '.join(sorted(used - {'gin.REQUIRED'})) or 'none'}"
    )
  for name in sorted(bound):
    if re.search(rf"^{name} = %gin\.REQUIRED$", text, re.MULTILINE):
      raise errors.ConfigError(
        f"macro {name} is required and not set: bind it in a gin file or "
        f'with --gin_param="{name} = ..."'
      )


def parameters(function: Callable[..., Any]) -> list[str]:
  """Names of a function's parameters."""
  return list(inspect.signature(function).parameters)


def _resolve(
  function: Callable[..., Any], given: Collection[str]
) -> dict[str, Any]:
  try:
    arguments = gin.get_bindings(function)
  except ValueError as error:
    if "Could not find" not in str(error) and "No configurable" not in str(
      error
    ):
      raise _one_line(error) from error
    arguments = {}  # No gin file names this function.
  except Exception as error:
    raise _one_line(error) from error
  name = function.__name__
  for key, parameter in inspect.signature(function).parameters.items():
    if key in given and key in arguments:
      raise errors.ConfigError(
        f"{name}.{key} is bound, but the command line gives it: use the flag"
      )
    required = parameter.default is inspect.Parameter.empty
    unset = arguments.get(key, gin.REQUIRED) is gin.REQUIRED
    if required and unset and key not in given:
      raise errors.ConfigError(
        f"{name}.{key} is required and not set: bind it in a gin file or "
        f'with --gin_param="{name}.{key} = ..."'
      )
  return {key: arguments[key] for key in arguments if key not in given}


def _own_section(function: Callable[..., Any]) -> str:
  """The run function's parameters: gin lists only what gin itself called."""
  try:
    bound = gin.get_bindings(function, resolve_references=False)
  except ValueError:
    bound = {}
  name = function.__name__
  lines = [f"\n# Parameters for {name}:", "# " + "=" * 78]
  for key, parameter in sorted(inspect.signature(function).parameters.items()):
    if key in bound:
      lines.append(f"{name}.{key} = {bound[key]!r}")
    elif parameter.default is not inspect.Parameter.empty:
      lines.append(f"{name}.{key} = {parameter.default!r}")
  return "\n".join(lines) + "\n"


def _one_line(error: Exception) -> errors.ConfigError:
  text = re.sub(r" in config string:.*", "", str(error), flags=re.DOTALL)
  text = re.sub(
    r"malformed node or string[^<]*<[^>]*>",
    "not a value (a text needs quotes)",
    text,
  )
  text = " ".join(text.split())
  if len(text) > _MAX_MESSAGE:
    text = text[:_MAX_MESSAGE] + " ..."
  return errors.ConfigError(text or type(error).__name__)


@contextlib.contextmanager
def _quiet_gin() -> Iterator[None]:
  """Gin logs an error for each search path that lacks an include."""
  previous = logging.root.manager.disable
  logging.disable(logging.ERROR)
  try:
    yield
  finally:
    logging.disable(previous)
