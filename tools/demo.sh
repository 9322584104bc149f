#!/usr/bin/env bash
# The whole job on a synthetic catalogue, from an empty machine: installs, makes
# the corpus, prepares, trains the curriculum, exports, indexes the corpus for
# search, evaluates.
#   bash tools/demo.sh [--worlds=N]
# Finished steps are passed over when it is run again. With --worlds=3 it repeats
# on three worlds and prints means and spreads.
set -euo pipefail

worlds=1
for argument in "$@"; do
  case "$argument" in
    --worlds=[1-9]*) worlds=${argument#--worlds=} ;;
    *) echo "usage: bash tools/demo.sh [--worlds=N]" >&2; exit 2 ;;
  esac
done

# shellcheck source=tools/environment.sh
source "$(dirname "$0")/environment.sh"

demo_world() {  # seed, directory
  local seed=$1 dir=$2 started_at
  started_at=$(date +%s)
  "$PYTHON" tools/make_corpus.py --output="$dir/corpus" --seed="$seed"
  "$PYTHON" launch/prepare.py --gin_file=gin/datasets/demo.gin \
    --recordings="$dir/corpus/recordings.csv" \
    --listening_log="$dir/corpus/listening_log.csv.gz" \
    --output="$dir/dataset"
  "$PYTHON" launch/curriculum.py --gin_file=gin/runs/demo_curriculum.gin \
    --stage_param="DATASET = '$dir/dataset'" --workdir="$dir/runs"
  # The hybrid's network with the head on senses.
  "$PYTHON" launch/export.py --model="$dir/runs/sense" --overwrite \
    --dataset="$dir/dataset" --output="$dir/export"
  "$PYTHON" launch/index.py --model="$dir/export" \
    --input="$dir/corpus/recordings.csv" --output="$dir/index"
  "$PYTHON" launch/evaluate.py --gin_file=gin/runs/demo_evaluate.gin \
    --dataset="$dir/dataset" \
    --model="triplet_only=$dir/runs/triplet" \
    --model="hybrid=$dir/runs/label" \
    --model="sense=$dir/runs/sense" \
    --model="label_only=$dir/runs/label_only" \
    --model="cf_regression=$dir/runs/cf_regression" \
    --truth="$dir/corpus/truth.json" \
    --started_at="$started_at" --output="$dir"
}

mkdir -p demo
# A log is no terminal: progress bars would fill it.
[ -t 2 ] || export TQDM_MININTERVAL=10
reports=()
for ((world = worlds - 1; world >= 0; world--)); do
  dir=demo
  if ((world > 0)); then dir=demo/world_$world; fi
  if ((worlds > 1)); then echo "world $world" >&2; fi
  demo_world "$world" "$dir"
  reports=("$dir/report.json" ${reports[@]+"${reports[@]}"})
done
if ((worlds > 1)); then
  "$PYTHON" tools/aggregate_worlds.py "${reports[@]}"
fi
echo "report: demo/report.html"
echo "search: .venv/bin/python launch/search.py --index=demo/index trami"
echo "map:    .venv/bin/python launch/explore.py --index=demo/index"
