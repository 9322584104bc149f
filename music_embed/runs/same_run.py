"""Whether two gin configurations are the same run, and where they differ."""

from __future__ import annotations

import posixpath
import re

# Where a run computes and how its input is made there; neither changes what
# is computed. The dataset is told by its manifest, the batch by its windows,
# factors by their checksum.
_HARDWARE = re.compile(
  r"(^|[./])("
  r"(strategy|cluster|inputs)\.\w+\.\w+"
  r"|LoopOptions\.steps_per_loop"
  r"|configure\.num_threads"
  r"|FactorTargetSource\.factors"
  r"|\w+\.(num_parallel_calls|prefetch_batches)"
  r"|train\.(strategy|input_options|batch_per_replica|dataset)"
  r")$"
)
# Hardware files spell it out; others leave it unsaid.
_DEFAULTS = {"runtime.configure.precision": "'float32'"}
_FOLDER = "WarmStart.workdir"
_BINDING = re.compile(r"^([A-Za-z_][\w./-]*) =(.*)$")
_NO_BINDING = re.compile(r"^(#|from |import |include )|^\s*$")
_MAX_BINDINGS = 12


def differences(before: str, now: str) -> list[str]:
  """Bindings that make two configurations different runs.

  Macros are replaced by their values. Bindings of the hardware are left out:
  a run may go on elsewhere.

  Args:
    before: gin's `config_str()` of the run that there is.
    now: of the run that is asked for.

  Returns:
    Lines like those of a unified diff, `- name = value` of the first and
    `+ name = value` of the second; none where both are the same run.
  """
  old, new = _compared(before), _compared(now)
  names = [n for n in sorted({*old, *new}) if old.get(n) != new.get(n)]
  lines = []
  for name in names[:_MAX_BINDINGS]:
    lines += [f"- {name} = {old[name]}"] if name in old else []
    lines += [f"+ {name} = {new[name]}"] if name in new else []
  if len(names) > _MAX_BINDINGS:
    lines.append(f"... and {len(names) - _MAX_BINDINGS} more bindings")
  return lines


def _compared(text: str) -> dict[str, str]:
  found = _bindings(text)
  macros = {k: v for k, v in found.items() if "." not in k}
  values = {
    name: _resolved(value, macros)
    for name, value in found.items()
    if name not in macros and not _HARDWARE.search(name)
  }
  for name in values:
    if name.endswith(_FOLDER):  # The same run, by whatever path it is called.
      values[name] = repr(posixpath.basename(values[name].strip("'\"/")))
  return {**_DEFAULTS, **values}


def _bindings(text: str) -> dict[str, str]:
  """Values as text by name; a value may go on over several lines."""
  found: dict[str, str] = {}
  name = None
  for line in text.splitlines():
    match = _BINDING.match(line)
    if match:
      name = match[1]
      found[name] = match[2].strip().removesuffix("\\").strip()
    elif _NO_BINDING.match(line):
      name = None
    elif name is not None:
      found[name] = f"{found[name]} {line.strip()}".strip()
  return found


def _resolved(value: str, macros: dict[str, str]) -> str:
  """The value with macros replaced, also those in macros' values."""
  for _ in macros:
    replaced = re.sub(
      r"%(\w+)", lambda match: macros.get(match[1], match[0]), value
    )
    if replaced == value:
      break
    value = replaced
  return value
