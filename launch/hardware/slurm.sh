#!/usr/bin/env bash
# One run on several hosts under SLURM, a worker a host with all its GPUs:
#   sbatch --nodes=2 launch/hardware/slurm.sh FLAGS_OF_TRAIN...
# Start it from the checkout, on a file system that all hosts share. A job that
# is preempted or out of time is queued again and goes on.
#SBATCH --job-name=music_embed
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
set -euo pipefail
readonly PYTHON=${PYTHON:-.venv/bin/python}
# Once a worker has failed, the others end by themselves and say why.
exec srun --kill-on-bad-exit=0 "$PYTHON" launch/train.py "$@" \
  --gin_file=gin/hardware/multi_worker.gin
