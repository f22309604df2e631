#!/usr/bin/env bash
# Fuzz the decoders: tools/fuzz.sh [SECONDS_EACH] [FOLDER]
# What is found is kept in FOLDER and tried first the next time; a crash leaves a file crash-… there and exits with 77.
set -euo pipefail
seconds=${1:-600}
folder=${2:-.fuzz}
cd "$(dirname "$0")/.."
export PYTHONSAFEPATH=1
for harness in fuzz_images fuzz_open_inference; do
  mkdir -p "$folder/$harness"
  .venv/bin/python "tests/fuzz/$harness.py" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=20 -max_len=65536 \
    -artifact_prefix="$folder/" "$folder/$harness"
done
