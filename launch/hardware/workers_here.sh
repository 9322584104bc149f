#!/usr/bin/env bash
# Starts the workers of one run as processes of this machine: to try what runs
# on several hosts, or to use two CPU sockets. Ends when all have ended.
#   bash launch/hardware/workers_here.sh NUM_WORKERS FLAGS_OF_TRAIN...
# PYTHON names the interpreter (default: .venv/bin/python).
set -euo pipefail
if [[ $# -lt 2 || ! $1 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,5p' "$0" >&2
  exit 2
fi
readonly COUNT=$1
shift
cd "$(dirname "$0")/../.."
readonly PYTHON=${PYTHON:-.venv/bin/python}

HOSTS=$("$PYTHON" - "$COUNT" <<'END'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(",".join(f"127.0.0.1:{s.getsockname()[1]}" for s in held))
END
)
readonly HOSTS

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' INT TERM
for ((index = COUNT - 1; index >= 0; index--)); do
  "$PYTHON" launch/train.py "$@" --gin_file=gin/hardware/multi_worker.gin \
    --worker_hosts="$HOSTS" --worker_index="$index" &
  pids+=($!)
done
code=0
for pid in "${pids[@]}"; do
  wait "$pid" || code=$?
done
exit "$code"
