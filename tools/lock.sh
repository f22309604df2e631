#!/usr/bin/env bash
# Resolve pyproject.toml and export it: full hashes, no host of a registry. uv.lock itself stays untracked,
# since it names the registry's host in each line.
set -eu -o pipefail
export UV_PYTHON_DOWNLOADS=never
uv=.tools/bin/uv
form="--quiet --no-header --no-emit-project"

$uv lock --quiet
# shellcheck disable=SC2086
{
  $uv export $form --all-groups --extra train --extra serve --extra cpu --extra bench -o requirements.lock
  for extra in cpu gpu; do
    $uv export $form --no-dev --extra serve --extra $extra -o requirements-serve-$extra.lock
  done
} >/dev/null
