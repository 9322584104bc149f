#!/usr/bin/env bash
# Kills prepare and train at random moments, stops train by SIGTERM, and compares
# what they end with to an undisturbed run: files byte for byte, weights and
# history bit for bit.
#   bash tools/faults.sh [--kills=10] [--phase=prepare|train|preempt] [--seed=0]
set -euo pipefail
# shellcheck source=tools/environment.sh
source "$(dirname "$0")/environment.sh"
exec "$PYTHON" tools/faults.py "$@"
