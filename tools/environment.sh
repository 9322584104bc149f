# Sourced by the tools: an environment in .venv that holds exactly what the lock
# file that fits the Python says. Sets $PYTHON. Reused while lock and Python
# stay the same. $LOCK, $MUSIC_EMBED_VENV and $PYTHON_VERSIONS choose another set,
# another folder and the Pythons that will do.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

find_python() {
  local candidate version wanted="$1"
  for candidate in python3 python python3.11 python3.12; do
    version=$("$candidate" -c \
      'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case " $wanted " in
      *" $version "*) echo "$candidate $version"; return 0 ;;
    esac
  done
  echo "error: Python ${wanted// / or } is needed; found: $(python3 --version 2>&1)" >&2
  return 1
}

install_environment() {
  local found version lock key venv=${MUSIC_EMBED_VENV:-.venv} marker
  marker=$venv/.installed
  found=$(find_python "${PYTHON_VERSIONS:-3.11 3.12}") || return 1
  version=${found#* }
  lock=${LOCK:-requirements-$version.lock}
  if [ ! -f "$lock" ]; then
    echo "error: no lock file $lock" >&2
    return 1
  fi
  key="$version $(cat "$lock" setup.py | "${found% *}" -c \
    'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')"
  if [ "$(cat "$marker" 2>/dev/null)" = "$key" ]; then
    return 0
  fi
  echo "installing $lock into $venv (4 GB; a few minutes)" >&2
  # A half-made environment (no ensurepip, interrupted) has a Python but no pip.
  if [ "$("$venv/bin/python" -c \
    'import pip, sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$version" ]; then
    rm -rf "$venv"
    "${found% *}" -m venv "$venv" || return 1
  fi
  rm -f "$marker"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    "$(grep '^uv==' "$lock")" || return 1
  "$venv/bin/python" -m uv pip sync --quiet --python "$venv/bin/python" "$lock" \
    || return 1
  "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" \
    --no-deps --editable . || return 1
  echo "$key" > "$marker"
}

install_environment || exit 1
PYTHON=$PWD/${MUSIC_EMBED_VENV:-.venv}/bin/python
