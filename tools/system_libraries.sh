#!/usr/bin/env bash
# What rendering needs beside Python packages: EGL and a GL driver (Mesa's software rasteriser or a GPU's own).
# Installs them with apt where that is allowed; otherwise one message with the exact command.
set -eu -o pipefail

packages="libegl1 libgl1-mesa-dri"

has_library() { ldconfig -p 2>/dev/null | grep -q "$1"; }
has_driver() {
  compgen -G "/usr/lib/*/dri/swrast_dri.so" >/dev/null ||
    compgen -G "/usr/lib/*/libgallium*.so" >/dev/null ||
    has_library "libEGL_nvidia.so"
}

if has_library "libEGL.so.1" && has_driver; then
  exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if sudo -n true 2>/dev/null; then as_root="sudo"; else as_root="none"; fi
fi
if ! command -v apt-get >/dev/null || [ "$as_root" = none ]; then
  echo "Rendering needs EGL and a GL driver. Install them and run make again:" >&2
  echo "  Debian, Ubuntu: sudo apt-get install -y $packages" >&2
  echo "  Fedora:         sudo dnf install -y mesa-libEGL mesa-dri-drivers" >&2
  exit 1
fi
echo "Installing $packages"
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
