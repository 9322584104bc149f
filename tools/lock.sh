#!/usr/bin/env bash
# Compiles the lock files from setup.py, with all extras but perf (PyTorch).
# What is locked stays; --upgrade takes the newest versions within the bounds.
#   bash tools/lock.sh [--upgrade]    (needs uv; bash tools/test.sh afterwards)
set -euo pipefail
cd "$(dirname "$0")/.."
UPGRADE=${1:-}

compile() {  # Python version, lock file, further arguments
  local version=$1 lock=$2
  shift 2
  uv pip compile --quiet setup.py --python-version "$version" \
    --extra io --extra spark --extra onnx --extra explore --extra dev \
    ${UPGRADE:+"$UPGRADE"} --no-header --no-annotate --no-emit-index-url \
    -o "$lock" "$@"
}

compile 3.11 requirements-3.11.lock
compile 3.12 requirements-3.12.lock
# tensorflow-io's native ops load on TensorFlow 2.16 only.
compile 3.11 requirements-tf216.lock --constraint <(cat <<'CONSTRAINTS'
tensorflow<2.17
tf-keras<2.17
tf-models-official<2.17
tensorflow-metadata<1.17
tensorflow-datasets==4.9.9
CONSTRAINTS
)
rm -rf music_embed.egg-info
