#!/usr/bin/env bash
# Make an environment for each server that `isthmus bench serve --peers DIR` compares us with.
# None of them can live beside us: MLServer needs protobuf < 7, the others bring their own web stacks.
set -euo pipefail

dir=${1:?usage: tools/bench_peers.sh DIR}
uv=${UV:-.tools/bin/uv}
python=${PYTHON:-python3.11}
export UV_PYTHON_DOWNLOADS=never
common=(numpy opencv-python-headless "onnxruntime>=1.22,<1.32")

make_environment() { # NAME REQUIREMENT…
  local name=$1
  shift
  if "$uv" venv --quiet --allow-existing --python "$python" "$dir/$name" &&
    "$uv" pip install --quiet --python "$dir/$name/bin/python" "${common[@]}" "$@"; then
    echo "$name: ready"
  else
    echo "$name: could not be made; the bench will say so" >&2
    rm -rf "${dir:?}/$name"
  fi
}

make_environment litserve "litserve==0.2.19"
make_environment mlserver "mlserver==1.7.1"
make_environment ray "ray[serve]==2.60.*"
