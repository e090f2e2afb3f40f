#!/usr/bin/env bash
# Makes .venv with this package, pinned by constraints.txt. Safe to run again; `make setup` calls it.
# Installs what the machine lacks with apt where it may (root, or sudo without a password), else says what to type.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\033[1m%s\033[0m\n' "setup: $*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
[ $# = 0 ] || fail "takes no arguments (got: $*); it makes .venv anew"

find_python() {
  if [ -n "${PYTHON:-}" ]; then echo "$PYTHON"; return; fi
  for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      command -v "$candidate"; return
    fi
  done
}
python=$(find_python)
have_uv=$(command -v uv || true)
[ -n "$python" ] || [ -n "$have_uv" ] || fail "needs Python 3.11, 3.12 or 3.13; on Debian or Ubuntu: sudo apt-get install python3"

missing=()
if [ "$(uname -s)" = Linux ]; then
  libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p)
  # What Open3D links and its wheel does not carry.
  for pair in libusb-1.0.so.0:libusb-1.0-0 libEGL.so.1:libegl1 libGL.so.1:libgl1 libX11.so.6:libx11-6 libgomp.so.1:libgomp1; do
    grep -q "${pair%%:*}" <<<"$libraries" || missing+=("${pair##*:}")
  done
  # The EGM96 geoid: what MAVLink calls AMSL.
  [ -n "${UTM_EGM96_GRID:-}" ] || [ -e /usr/share/proj/egm96_15.gtx ] || missing+=(proj-data)
  if [ -z "$have_uv" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
  fi
fi
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "this machine lacks ${missing[*]}; install them with its package manager"
  if [ "$(id -u)" = 0 ]; then as_root=(); elif sudo -n true 2>/dev/null; then as_root=(sudo); else
    fail "please type: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q >/dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}" >/dev/null
fi

say "installing the package into .venv (a few minutes the first time)"
if [ -n "$have_uv" ]; then
  uv venv --quiet --clear --python "${python:-3.12}" .venv
  uv pip install --quiet --python .venv/bin/python --constraint constraints.txt --build-constraint constraints.txt --compile-bytecode -e '.[sim,test]'
else
  "$python" -m venv --clear .venv
  PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt .venv/bin/python -m pip install --quiet -e '.[sim,test]'
fi
.venv/bin/python -c 'import open3d, rasterio, mavsdk, numba' || fail "the installation does not import; the line above says why"
touch .venv/ready
say "done; \`. .venv/bin/activate\` puts \`utm\` on your PATH"
