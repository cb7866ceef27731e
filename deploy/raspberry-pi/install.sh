#!/usr/bin/env bash
# Installs nestling-device on a Raspberry Pi, or any Debian: a virtual environment under
# /opt/nestling/device, a user of its own, a systemd unit, /etc/nestling/device.toml. Run it again
# with another wheel to upgrade; what is as it should be is left alone. /opt/nestling and
# /etc/nestling may hold what others put there, such as a cloud's files: that is left alone too.
set -euo pipefail

# What is installed is for a service of another user. Of the caller's settings only those have a
# part in it that say where packages are fetched from.
umask 022
while read -r _ _ variable; do
  unset -f "$variable"
done < <(declare -Fx)
while read -r variable; do
  case $variable in
    HOME | TERM | XDG_CONFIG_HOME | XDG_CONFIG_DIRS | XDG_CACHE_HOME) ;;
    PIP_INDEX_URL | PIP_EXTRA_INDEX_URL | PIP_FIND_LINKS | PIP_NO_INDEX | PIP_TRUSTED_HOST) ;;
    PIP_CERT | PIP_CLIENT_CERT | PIP_PROXY | PIP_TIMEOUT | PIP_DEFAULT_TIMEOUT | PIP_RETRIES) ;;
    PIP_CONFIG_FILE | PIP_CACHE_DIR | PIP_NO_CACHE_DIR | PIP_CONSTRAINT) ;;
    *_proxy | *_PROXY | SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE) ;;
    *) unset "$variable" 2>/dev/null || true ;; # bash keeps some of its own
  esac
done < <(compgen -e)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8

usage() {
  cat <<'TEXT'
usage: install.sh [options]

  --wheel FILE   the wheel to install (default: the only nestling-*.whl beside this script)
  --i2c          also install smbus2, for sensors and meters over I2C
  --camera       let the environment see the system's python3-picamera2
  --dry-run      print every step and change nothing
  --uninstall    remove all that this script made but the state in /var/lib/nestling, and a
                 configuration that was changed
  --purge        with --uninstall: remove those, and the user, too
  --root DIR     install below DIR instead of /: no user, no systemd; to look at, or to test
  --help         print this

exit codes: 0 done, 1 something failed, 2 wrong options
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly name=nestling-device user=nestling
wheel='' root='' dry_run=no action=install purge=no camera=no extras=''

while (($# > 0)); do
  case $1 in
    --wheel | --root)
      if (($# < 2)); then
        echo "install.sh: $1 needs a value" >&2
        exit 2
      fi
      if [[ $1 == --wheel ]]; then wheel=$2; else root=${2%/}; fi
      shift
      ;;
    --i2c) extras='[i2c]' ;;
    --camera) camera=yes ;;
    --dry-run) dry_run=yes ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    --help)
      usage
      exit 0
      ;;
    *)
      echo "install.sh: unknown option $1" >&2
      usage >&2
      exit 2
      ;;
  esac
  shift
done
if [[ $purge == yes && $action != uninstall ]]; then
  echo "install.sh: --purge goes with --uninstall" >&2
  exit 2
fi

readonly home=$root/opt/nestling/device
readonly current=$home/current
readonly etc=$root/etc/nestling
readonly config=$etc/device.toml
readonly unit=$root/etc/systemd/system/$name.service
readonly command=$root/usr/local/bin/$name
readonly command_target=/opt/nestling/device/current/bin/$name
readonly state=$root/var/lib/nestling

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

kept() { echo "kept     $1"; }

# Runs a command, or says that it would.
step() {
  local what=$1
  shift
  if [[ $dry_run == yes ]]; then
    echo "would    $what"
  else
    echo "doing    $what"
    "$@"
  fi
}

# Puts a file in its place unless it is there already.
put() {
  if cmp -s "$1" "$2"; then
    kept "$2"
  else
    step "write $2" install -D -m "$3" "$1" "$2"
  fi
}

drop() {
  if [[ -e $1 || -L $1 ]]; then
    step "remove $1" rm -rf -- "$1"
  fi
}

# For folders that are not the installer's alone.
drop_if_empty() {
  if [[ ! -d $1 ]]; then
    return
  fi
  if [[ $dry_run == yes ]]; then
    echo "would    remove $1 if nothing else is in it"
  elif rmdir -- "$1" 2>/dev/null; then
    echo "doing    remove $1"
  else
    kept "$1 (not empty)"
  fi
}

# Not below another root: the users and services there are not this machine's.
on_this_machine() { [[ -z $root ]]; }

has_systemd() { on_this_machine && [[ -d /run/systemd/system ]]; }

check_root() {
  if on_this_machine && ((EUID != 0)) && [[ $dry_run == no ]]; then
    fail "this changes the system: run it with sudo, or see what it would do with --dry-run"
  fi
}

find_wheel() {
  if [[ -z $wheel ]]; then
    local found=("$here"/nestling-*.whl)
    if ((${#found[@]} != 1)) || [[ ! -f ${found[0]} ]]; then
      fail "say with --wheel which nestling-*.whl to install"
    fi
    wheel=${found[0]}
  fi
  if [[ ! -f $wheel ]]; then
    fail "there is no $wheel"
  fi
  if [[ $(basename "$wheel") != nestling-*.whl ]]; then
    fail "$wheel is no wheel of nestling"
  fi
}

check_python() {
  if [[ -z $(command -v python3) ]]; then
    fail "python3 is missing: apt install python3 python3-venv"
  fi
  if ! python3 -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
  then
    fail "Python 3.11 with venv is needed: Raspberry Pi OS 12 has it; apt install python3-venv"
  fi
}

# A user that may open cameras and I2C, where the system has groups for them.
add_user() {
  if ! on_this_machine; then
    kept "users of this machine (--root)"
    return
  fi
  if getent passwd "$user" >/dev/null; then
    kept "user $user"
  else
    step "make the user $user" useradd --system --user-group --home-dir /var/lib/nestling \
      --no-create-home --shell /usr/sbin/nologin "$user"
  fi
  local group
  for group in video i2c; do
    if ! getent group "$group" >/dev/null; then
      continue
    fi
    if id -nG "$user" 2>/dev/null | tr ' ' '\n' | grep -qx "$group"; then
      kept "$user in the group $group"
    else
      step "put $user into the group $group" usermod --append --groups "$group" "$user"
    fi
  done
}

# One environment for each wheel and choice of extras, named by a digest of them; the link is what switches, at once.
install_environment() {
  local digest environment
  digest=$({ cat "$wheel"; echo "$extras $camera"; } | sha256sum | cut -c 1-16)
  environment=$home/$digest
  if [[ $(readlink "$current" 2>/dev/null) == "$digest" ]] && usable "$environment" 2>/dev/null; then
    kept "$environment"
    return
  fi
  step "make the environment $environment with $(basename "$wheel")$extras" \
    make_environment "$environment"
  step "switch $current to it" switch_to "$digest"
  restart=yes
}

# Those that this script made: the folders that are named by a digest.
environments() {
  local environment
  for environment in "$home"/*; do
    if [[ ! -L $environment && -d $environment ]] &&
      [[ $(basename "$environment") =~ ^[0-9a-f]{16}$ ]]; then
      echo "$environment"
    fi
  done
}

# Last of all: until its restart a running device imports from the old one.
remove_old_environments() {
  local environment
  environments | while read -r environment; do
    if [[ $(readlink "$current" 2>/dev/null) != "$(basename "$environment")" ]]; then
      drop "$environment"
    fi
  done
}

remove_environments() {
  local environment
  drop "$current"
  drop "$current.new"
  environments | while read -r environment; do
    drop "$environment"
  done
  drop_if_empty "$home"
  drop_if_empty "$(dirname "$home")"
}

make_environment() {
  local environment=$1 wheels=$1.wheels options=()
  if [[ $camera == yes ]]; then
    options+=(--system-site-packages)
  fi
  rm -rf -- "$environment" "$wheels"
  open_folders
  trap 'rm -rf -- "'"$environment"'" "'"$wheels"'"' EXIT
  python3 -I -m venv "${options[@]}" "$environment"
  # The caller's settings of pip say where packages come from, but not where they go: what was
  # fetched by them is installed without them.
  local pip=("$environment/bin/python" -I -m pip --disable-pip-version-check --no-input --quiet)
  "${pip[@]}" wheel --wheel-dir "$wheels" "$wheel$extras"
  PIP_CONFIG_FILE=/dev/null "${pip[@]}" --isolated install --no-index --find-links "$wheels" \
    "$wheel$extras"
  rm -rf -- "$wheels"
  "$environment/bin/$name" --help >/dev/null || fail "the wheel does not run here; nothing was switched"
  usable "$environment" || fail "the service cannot use $environment; nothing was switched"
  trap - EXIT
}

# An installation under another umask may have left them closed; what others use too stays as it is.
open_folders() {
  local shared
  shared=$(dirname "$home")
  mkdir -p "$home"
  chmod 0755 "$home"
  if [[ $(ls -A "$shared") == "$(basename "$home")" ]]; then
    chmod 0755 "$shared"
  fi
}

# Whether the service's user can run an environment; where it cannot be tried, whether everybody may
# read it. Says on standard error what is in the way.
usable() {
  local closed
  if as_service_user true 2>/dev/null && as_service_user "$1/bin/$name" --help >/dev/null; then
    return
  fi
  closed=$(find "$(dirname "$home")" "$home" -maxdepth 0 ! -perm -o=rx
    find "$1" \( -type d ! -perm -o=rx \) -o \( -type f ! -perm -o=r \))
  if [[ -n $closed ]]; then
    echo "install.sh: not for everybody to read: $(head -1 <<<"$closed")" >&2
    return 1
  fi
  [[ -x $1/bin/$name ]] && ! as_service_user true 2>/dev/null
}

# Runs a command as the service does; fails where its user cannot be taken on.
as_service_user() {
  on_this_machine && ((EUID == 0)) && getent passwd "$user" >/dev/null || return
  (cd / && exec runuser -u "$user" -- env -i PATH="$PATH" LC_ALL=C.UTF-8 "$@")
}

# The last word before success is reported: the service's user reads command, configuration, state.
check_result() {
  if [[ $dry_run == yes ]] || ! as_service_user true 2>/dev/null; then
    return
  fi
  local status=0 said
  said=$(as_service_user "$command_target" status --config "$config" 2>&1) || status=$?
  # 3: it does not run, as systemctl status has it.
  if ((status != 0 && status != 3)); then
    fail "installed, but the user $user cannot use it: $said"
  fi
}

switch_to() {
  ln -sfn "$1" "$current.new"
  mv -T "$current.new" "$current"
}

link_command() {
  if [[ $(readlink "$command" 2>/dev/null) == "$command_target" ]]; then
    kept "$command"
  else
    step "link $command" link_to "$command_target"
  fi
}

link_to() {
  mkdir -p "$(dirname "$command")"
  ln -sfn "$1" "$command"
}

write_config() {
  if [[ -e $config ]]; then
    kept "$config"
  else
    put "$here/device.toml" "$config" 0644
  fi
}

make_state() {
  if [[ -d $state ]]; then
    kept "$state"
  elif on_this_machine; then
    step "make $state" install -d -m 0750 -o "$user" -g "$user" "$state"
  else
    step "make $state" install -d -m 0750 "$state"
  fi
}

enable_unit() {
  local before
  before=$(cat "$unit" 2>/dev/null || true)
  put "$here/$name.service" "$unit" 0644
  if ! has_systemd; then
    kept "services of this machine (no systemd, or --root)"
    return
  fi
  if [[ $before != "$(cat "$here/$name.service")" ]]; then
    step "have systemd read it" systemctl daemon-reload
    restart=yes
  fi
  if systemctl --quiet is-enabled "$name" 2>/dev/null; then
    kept "$name enabled"
  else
    step "enable $name" systemctl --quiet enable "$name"
  fi
  if [[ $restart == yes ]]; then
    step "restart $name if it runs" systemctl try-restart "$name"
  fi
}

do_install() {
  restart=no
  find_wheel
  check_python
  add_user
  install_environment
  link_command
  write_config
  make_state
  check_result
  enable_unit
  remove_old_environments
  if [[ ! -L $state/identity ]]; then
    cat <<TEXT
next:    edit $config, then
         sudo -u $user $name enrol --cloud HOST:PORT --token-file -
         sudo systemctl start $name
         sudo -u $user $name doctor
TEXT
  fi
}

do_uninstall() {
  if has_systemd && [[ -e $unit ]]; then
    step "stop and disable $name" systemctl --quiet disable --now "$name"
  fi
  drop "$unit"
  if has_systemd; then
    step "have systemd forget it" systemctl daemon-reload
  fi
  if [[ $(readlink "$command" 2>/dev/null) == "$command_target" ]]; then
    drop "$command"
  fi
  remove_environments
  if [[ $purge == yes ]] || cmp -s "$here/device.toml" "$config"; then
    drop "$config"
    drop_if_empty "$etc"
  elif [[ -e $config ]]; then
    kept "$config (changed; --purge removes it)"
  fi
  if [[ $purge == no ]]; then
    [[ ! -d $state ]] || kept "$state (--purge removes it)"
    return
  fi
  drop "$state"
  if on_this_machine && getent passwd "$user" >/dev/null; then
    step "remove the user $user" userdel "$user"
  fi
}

check_root
"do_$action"
