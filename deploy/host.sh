# shellcheck shell=bash
# What the system is given: user, folders, unit, device rules, configuration. Sourced by deploy/pi.sh.

UNIT=serial2iot.service
COMMAND=/usr/local/bin/serial2iot
CONFIG_DIR=/etc/serial2iot
STATE_DIR=/var/lib/serial2iot
UNIT_DIR=/etc/systemd/system

service_state() { systemctl show --property=ActiveState --value "$UNIT"; }
service_active() { systemctl is-active --quiet "$UNIT"; }

# install_system_files RELEASE_FOLDER
install_system_files() {
  local from=$1/systemd
  install -D -m 644 "$from/sysusers.conf" /etc/sysusers.d/serial2iot.conf
  install -D -m 644 "$from/tmpfiles.conf" /etc/tmpfiles.d/serial2iot.conf
  install -D -m 644 "$from/70-serial2iot.rules" /etc/udev/rules.d/70-serial2iot.rules
  install -D -m 644 "$from/$UNIT" "$UNIT_DIR/$UNIT"
  install_drop_ins "$from/drop-ins"
  systemd-sysusers /etc/sysusers.d/serial2iot.conf
  systemd-tmpfiles --create /etc/tmpfiles.d/serial2iot.conf
  ln -sfn "$PREFIX/current/venv/bin/serial2iot" "$COMMAND"
  # Also for boards that are plugged in; a machine without devices (a container) has no udev.
  if udevadm control --reload 2>/dev/null; then udevadm trigger --subsystem-match=tty; fi
}

# systemd-254.conf is for systemd 254 and later.
install_drop_ins() {
  local each known least
  known=$(systemctl --version | awk 'NR == 1 { print int($2) }')
  rm -f "$UNIT_DIR/$UNIT.d"/systemd-[0-9]*.conf
  for each in "$1"/systemd-[0-9]*.conf; do
    [ -e "$each" ] || continue
    least=${each##*/systemd-}
    if [ "$known" -ge "${least%.conf}" ]; then
      install -D -m 644 "$each" "$UNIT_DIR/$UNIT.d/${each##*/}"
    fi
  done
}

# The configuration is the owner's: written once, never changed.
keep_config() {
  [ -e "$CONFIG_DIR/config.toml" ] ||
    install -m 640 -g serial2iot "$PREFIX/current/config.toml" "$CONFIG_DIR/config.toml"
}

# What nobody but the owner can fill in, one line each; nothing if all is there.
left_to_edit() {
  local config=$CONFIG_DIR/config.toml
  if grep -q '^endpoint = "abcdef-ats\.' "$config"; then
    echo "  $config: the thing's name, the endpoint and the serial port"
  fi
  if [ ! -e "$CONFIG_DIR/certs/private.pem.key" ] && ! grep -q '^private_key' "$config"; then
    echo "  $CONFIG_DIR/certs: device.pem.crt, private.pem.key and AmazonRootCA1.pem;"
    echo "    sudo ./deploy.sh install, run again, gives them the right owner and mode"
  fi
}

# Start it or start it anew, and wait for READY; if it does not come, show why not.
start_service() {
  local began
  began=$(date '+%F %T.%6N')
  systemctl reset-failed "$UNIT" 2>/dev/null || true
  if systemctl restart "$UNIT" 2>/dev/null; then return 0; fi
  say "serial2iot did not reach READY. Its journal:"
  journalctl --sync 2>/dev/null || true
  journalctl --unit "$UNIT" --since "$began" --output cat --no-pager --lines 20 >&2
  return 1
}

remove_service() {
  local each
  if systemctl cat "$UNIT" >/dev/null 2>&1; then
    systemctl disable --now --quiet "$UNIT"
    systemctl clean --what=fdstore "$UNIT" 2>/dev/null || true # before systemd 254 nothing is kept
  fi
  rm -f "$UNIT_DIR/$UNIT" "$UNIT_DIR/$UNIT.d"/systemd-[0-9]*.conf /etc/udev/rules.d/70-serial2iot.rules
  rm -f /etc/sysusers.d/serial2iot.conf /etc/tmpfiles.d/serial2iot.conf
  rmdir "$UNIT_DIR/$UNIT.d" 2>/dev/null || true # a drop-in of the owner's stays
  case $(readlink "$COMMAND" || true) in "$PREFIX"/*) rm -f "$COMMAND" ;; esac
  systemctl daemon-reload
  systemctl reset-failed "$UNIT" 2>/dev/null || true
  udevadm control --reload 2>/dev/null || true
}

remove_data() {
  rm -rf "$CONFIG_DIR" "$STATE_DIR" "${UNIT_DIR:?}/$UNIT.d"
  if getent passwd serial2iot >/dev/null; then userdel serial2iot; fi
  systemctl daemon-reload
}
