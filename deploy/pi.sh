# shellcheck shell=bash
# install, upgrade and uninstall on a Raspberry Pi; sourced by deploy.sh.
#
#   release.sh  /opt/serial2iot/<release>, each with everything that belongs to it, its unit file too
#   host.sh     what the system is given of one release, and the service
#
# An upgrade goes back by itself to the release before if the new one does not reach READY. So a release is built
# completely before anything changes, and going back is the same step as going on: switch_to.

# shellcheck source=deploy/release.sh
. deploy/release.sh
# shellcheck source=deploy/host.sh
. deploy/host.sh

die() {
  say "$@"
  exit 1
}

pi_install() {
  need_machine install
  deliver start
}

pi_upgrade() {
  need_machine upgrade
  [ -n "$(current_release)" ] || die "serial2iot is not installed here; run: sudo ./deploy.sh install"
  # What somebody has stopped stays stopped; what failed may be what the upgrade is for.
  if [ "$(service_state)" = inactive ]; then deliver no-start; else deliver start; fi
}

pi_uninstall() {
  need_machine uninstall
  case ${1:-} in "" | --purge) ;; *) die "uninstall takes --purge or nothing, not $1" ;; esac
  remove_service
  rm -rf "$PREFIX"
  if [ "${1:-}" = --purge ]; then
    remove_data
    say "removed, with configuration, credentials and waiting readings"
  else
    say "removed; configuration and waiting readings are still in $CONFIG_DIR and $STATE_DIR"
  fi
}

need_machine() {
  [ "$(id -u)" = 0 ] || die "root is needed; run: sudo ./deploy.sh $1"
  [ -d /run/systemd/system ] || die "systemd does not run here, and serial2iot is a service of it"
  umask 022
}

# What keeps the package from being installed at all, before anything is changed.
need_platform() {
  local architecture
  architecture=$(dpkg --print-architecture)
  case $architecture in
    arm64 | amd64) ;;
    *)
      say "This system is $architecture. awscrt, which connects to AWS IoT, is published for 64-bit systems only, and"
      say "serial2iot needs no compiler. Put the 64-bit Raspberry Pi OS on the card: it runs on every Pi from the"
      say "Pi 3 and the Zero 2 W on, also where the 32-bit one is in use now (see docs/operations.md)."
      exit 1
      ;;
  esac
  python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "Python 3.11 or newer is needed: Raspberry Pi OS or Debian 12 (bookworm), or later"
}

# Bring this checkout into service; $1: start or no-start.
deliver() {
  local before release left
  need_platform
  before=$(current_release)
  release=$(release_name)
  build_release "$release"
  switch_to "$release"
  keep_config
  left=$(left_to_edit)
  if [ "$release" = "$before" ] && service_active; then
    say "$release is installed and running"
  elif [ -n "$left" ] && ! service_active; then
    say "$release is installed. Before it can start:" "$left" "then: sudo systemctl start serial2iot"
  elif [ "$1" = no-start ]; then
    say "$release is installed; the service was stopped and stays so"
  elif start_service; then
    say "$release is installed and running: systemctl status serial2iot"
  elif [ -n "$before" ] && [ "$before" != "$release" ]; then
    go_back_to "$before" "$release"
  else
    die "it is installed and does not run. When that is mended: sudo systemctl restart serial2iot"
  fi
  forget_releases_but "$release" "$before"
}

# What the running system takes from one release.
switch_to() {
  install_system_files "$PREFIX/$1"
  point current "$1"
  systemctl daemon-reload
  systemctl enable --quiet "$UNIT"
}

go_back_to() {
  local before=$1 failed=$2
  say "going back to $before"
  switch_to "$before"
  start_service || die "$before does not run either, so it is not the upgrade: see the journal above"
  rm -rf "${PREFIX:?}/$failed"
  die "$failed was not installed: it did not reach READY (see above). $before is running as before."
}
