#!/usr/bin/env bash
# Kills prepare and train at random moments and compares what they end with to
# an undisturbed run: files byte for byte, weights bit for bit.
#   bash tools/faults.sh [--kills=10] [--phase=prepare|train] [--seed=0]
set -euo pipefail
# shellcheck source=tools/environment.sh
source "$(dirname "$0")/environment.sh"
exec "$PYTHON" tools/faults.py "$@"
