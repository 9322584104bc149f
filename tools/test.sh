#!/usr/bin/env bash
# Lint, types and tests, in an environment that it sets up itself.
#   bash tools/test.sh [pytest arguments]
set -euo pipefail
# shellcheck source=tools/environment.sh
source "$(dirname "$0")/environment.sh"

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
export TF_CPP_MIN_LOG_LEVEL=3 OMP_NUM_THREADS=1
exec "$PYTHON" -m pytest -n "${TEST_WORKERS:-$(nproc)}" --dist loadfile "$@"
