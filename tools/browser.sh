#!/usr/bin/env bash
# A browser for the tests that open the report page. Installed with apt where that is allowed; elsewhere those tests are
# skipped, and this says so.
set -eu -o pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if [ -n "${ISTHMUS_TEST_BROWSER:-}" ]; then exit 0; fi

skip() {
  echo "No browser, and $1: the tests that open the report page will be skipped." >&2
  echo "  Debian, Ubuntu: sudo apt-get install -y chromium; elsewhere let ISTHMUS_TEST_BROWSER name one" >&2
  exit 0
}

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || skip "no right to install one"
  as_root="sudo"
fi
command -v apt-get >/dev/null || skip "no apt-get to install one with"
echo "Installing chromium"
{
  timeout 120 $as_root apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive timeout 300 $as_root apt-get install -y -qq --no-install-recommends chromium
} >/dev/null 2>&1 || skip "apt-get could not install one"
