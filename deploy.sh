#!/usr/bin/env bash
# Everything that is done with serial2iot from a checkout. Each command installs what it needs on a fresh
# Debian or Raspberry Pi OS (Python 3.11 or newer), and is safe to run twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'EOF'
usage: ./deploy.sh COMMAND

  demo [--firmware]   the whole system on this machine, without hardware or AWS;
                      --firmware: the Arduino is real firmware on a simulated chip
  test [--long] ...   format, lint, types, layers and tests; further words go to pytest
                      --long: also the checks that take minutes; as root also those that boot a whole
                      Debian and install serial2iot in it (tests/system)

  On the Raspberry Pi, with sudo (see docs/operations.md):

  install             this checkout into service: user, unit, device rules, configuration
  upgrade             the same where it is installed already; goes back by itself if the new one fails
  uninstall [--purge] take it away; --purge: configuration, credentials and waiting readings too

EOF
}

VENV=.venv
BROKER_PACKAGES=(mosquitto)
TEST_PACKAGES=(strace libfaketime)
FIRMWARE_PACKAGES=(gcc libc6-dev gcc-avr avr-libc arduino-core-avr libsimavr-dev)
SYSTEM_PACKAGES=(mmdebstrap systemd-container arch-test qemu-user-static)

say() { printf '%s\n' "$*" >&2; }

# The Debian packages of these that are not installed yet.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
  done
}

# Install Debian packages, as root or through sudo. Services that come with them are not enabled.
install_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "please install: ${missing[*]}"; return 1; }
    as_root=(sudo)
  fi
  say "installing: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  # A broker is wanted as a program, not as a service: policy-rc.d is how Debian is told not to start it.
  local had_service=no
  systemctl is-enabled --quiet mosquitto 2>/dev/null && had_service=yes
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  if [ "$had_service" = no ] && systemctl is-enabled --quiet mosquitto 2>/dev/null; then
    "${as_root[@]}" systemctl disable --now --quiet mosquitto
  fi
}

# A virtual environment with this checkout in it, made again when what it is made from has changed.
install_venv() {
  local extra=$1 stamp
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed"; return 1; }
  python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  stamp=$(cat pyproject.toml constraints.txt <(python3 --version) <(echo "$extra") | sha256sum | cut -c1-16)
  [ "$(cat "$VENV/stamp-$extra" 2>/dev/null)" != "$stamp" ] || return 0
  say "preparing $VENV"
  [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
  "$VENV/bin/pip" install -q --disable-pip-version-check -c constraints.txt -e ".[$extra]"
  echo "$stamp" >"$VENV/stamp-$extra"
}

demo() {
  install_venv emulator
  # Without root the emulator unpacks Debian's package for itself.
  command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || [ "$(id -u)" != 0 ] || install_packages "${BROKER_PACKAGES[@]}"
  if [[ " $* " == *" --firmware "* ]]; then install_packages "${FIRMWARE_PACKAGES[@]}"; fi
  exec "$VENV/bin/serial2iot" demo "$@"
}

run_tests() {
  local which=(-m "not long")
  if [ "${1:-}" = --long ]; then
    which=()
    shift
  fi
  install_venv test
  install_packages "${BROKER_PACKAGES[@]}" "${FIRMWARE_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
  if [ "${#which[@]}" = 0 ]; then install_packages "${SYSTEM_PACKAGES[@]}"; fi
  local bin=$VENV/bin
  "$bin/ruff" format --check .
  "$bin/ruff" check .
  "$bin/mypy"
  "$bin/lint-imports" --no-logo
  "$bin/pytest" "${which[@]}" "$@"
}

# shellcheck source=deploy/pi.sh
. deploy/pi.sh

case "${1:-}" in
  demo) shift && demo "$@" ;;
  test) shift && run_tests "$@" ;;
  install) pi_install ;;
  upgrade) pi_upgrade ;;
  uninstall) shift && pi_uninstall "$@" ;;
  -h | --help | help) usage ;;
  *) usage >&2 && exit 64 ;;
esac
