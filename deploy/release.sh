# shellcheck shell=bash
# Releases: /opt/serial2iot/<release>, and two links. Sourced by deploy/pi.sh.
#
#   <release>/venv      the package with all it needs
#   <release>/systemd   the unit and its company, so that going back takes them back too
#   <release>/stamp     what it was made from; written last, so a release that has it is whole
#   current, previous   links to releases; `current` is switched in one step (rename)

PREFIX=/opt/serial2iot

# The release that is in use, or nothing.
current_release() { readlink "$PREFIX/current" 2>/dev/null || true; }

# Everything a release is made from.
source_stamp() {
  {
    python3 --version
    find daemon config systemd pyproject.toml constraints.txt -type f ! -name '*.pyc' -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-16
}

# The version; with a suffix if another checkout of the same version is installed already.
release_name() {
  local version stamp
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
  stamp=$(source_stamp)
  if [ -e "$PREFIX/$version/stamp" ] && [ "$(cat "$PREFIX/$version/stamp")" != "$stamp" ]; then
    version+="+${stamp:0:8}"
  fi
  echo "$version"
}

build_release() {
  local at=$PREFIX/$1 stamp
  stamp=$(source_stamp)
  [ "$(cat "$at/stamp" 2>/dev/null)" != "$stamp" ] || return 0
  say "building $at"
  rm -rf "$at"
  mkdir -p "$at"
  if ! fill_release "$at"; then
    rm -rf "$at"
    die "the package could not be installed; nothing was changed"
  fi
  echo "$stamp" >"$at/stamp"
}

fill_release() {
  python3 -m venv "$1/venv" &&
    "$1/venv/bin/pip" install -q --disable-pip-version-check --no-input -c constraints.txt . &&
    cp -r systemd "$1/systemd" &&
    cp config/serial2iot.toml "$1/config.toml"
}

# point LINK RELEASE
point() {
  ln -sfn "$2" "$PREFIX/$1.new"
  mv -T "$PREFIX/$1.new" "$PREFIX/$1"
}

# forget_releases_but NEW BEFORE: the one before stays, for going back by hand.
forget_releases_but() {
  local each
  if [ -n "$2" ] && [ "$2" != "$1" ]; then point previous "$2"; fi
  for each in "$PREFIX"/*/; do
    each=$(basename "$each")
    case $each in
      "$1" | "$(readlink "$PREFIX/previous")" | current | previous) ;;
      *) rm -rf "${PREFIX:?}/$each" ;;
    esac
  done
}
