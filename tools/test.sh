#!/usr/bin/env bash
# Lint, types and tests, in an environment that it sets up itself.
#   bash tools/test.sh [pytest arguments]
#   bash tools/test.sh --tf216 [pytest arguments]
#     the core's tests on TensorFlow 2.16 with tensorflow-io, in an environment
#     of its own (Python 3.11); not part of CI
set -euo pipefail

TF216=false
if [ "${1:-}" = "--tf216" ]; then
  shift
  TF216=true
  LOCK=requirements-tf216.lock
  MUSIC_EMBED_VENV=.venv-tf216
  PYTHON_VERSIONS=3.11
fi
# shellcheck source=tools/environment.sh
source "$(dirname "$0")/environment.sh"

WORKERS="${TEST_WORKERS:-$(nproc)}" # Before OMP_NUM_THREADS, which nproc obeys.
export TF_CPP_MIN_LOG_LEVEL=3 OMP_NUM_THREADS=1
if "$TF216"; then
  if [ $# -eq 0 ]; then
    set -- tests/core tests/audio tests/data tests/models tests/objectives \
      tests/training
  fi
else
  "$PYTHON" -m ruff check .
  "$PYTHON" -m ruff format --check .
  "$PYTHON" -m mypy
fi
exec "$PYTHON" -m pytest -n "$WORKERS" --dist loadfile "$@"
