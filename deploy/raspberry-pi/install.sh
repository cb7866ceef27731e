#!/usr/bin/env bash
# Installs nestling-device on a Raspberry Pi or any Debian: a virtual environment under
# /opt/nestling/device, a user, a systemd unit and /etc/nestling/device.toml. Run it again with
# another wheel to upgrade. It leaves alone what is already in place, and files of others in
# /opt/nestling and /etc/nestling, such as those of a cloud.
set -euo pipefail

# The service runs as another user, so the caller's umask, functions and variables must not affect
# the installation. Only variables that say where packages are fetched from are kept.
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
    *) unset "$variable" 2>/dev/null || true ;; # some cannot be unset
  esac
done < <(compgen -e)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8

usage() {
  cat <<'TEXT'
usage: install.sh [options]

  --wheel FILE   wheel to install (default: the only nestling-*.whl beside this script)
  --i2c          also install smbus2, for sensors and meters over I2C
  --pictures     also install Pillow, to send inputs as JPEG or WebP if the bundle has them so
  --camera       give the environment access to the system's python3-picamera2
  --dry-run      print every step and change nothing
  --uninstall    remove what this script installed, except the state in /var/lib/nestling and a
                 configuration file that was changed
  --purge        with --uninstall: also remove the state, the configuration and the user
  --root DIR     install below DIR instead of /, without user and systemd, for inspection or tests
  --help         print this help

exit codes: 0 done, 1 a step failed, 2 wrong options
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly name=nestling-device user=nestling
wheel='' root='' dry_run=no action=install purge=no camera=no i2c='' pictures=''

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
    --i2c) i2c=i2c ;;
    --pictures) pictures=pictures ;;
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
extras=$i2c${i2c:+${pictures:+,}}$pictures
readonly extras=${extras:+[$extras]}
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

# Runs a command; in a dry run, only prints its description.
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

# Copies a file to its place unless an identical one is there.
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

# For folders that may hold files of others.
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

# Below another root, users and services are not those of this machine.
on_this_machine() { [[ -z $root ]]; }

has_systemd() { on_this_machine && [[ -d /run/systemd/system ]]; }

check_root() {
  if on_this_machine && ((EUID != 0)) && [[ $dry_run == no ]]; then
    fail "this changes the system: run it with sudo, or try --dry-run first"
  fi
}

find_wheel() {
  if [[ -z $wheel ]]; then
    local found=("$here"/nestling-*.whl)
    if ((${#found[@]} != 1)) || [[ ! -f ${found[0]} ]]; then
      fail "there is not exactly one nestling-*.whl beside this script: name the wheel to install with --wheel"
    fi
    wheel=${found[0]}
  fi
  if [[ ! -f $wheel ]]; then
    fail "$wheel does not exist"
  fi
  if [[ $(basename "$wheel") != nestling-*.whl ]]; then
    fail "$wheel is not a wheel of nestling"
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

# Adds the user, and puts it into the groups that may open cameras and I2C, where they exist.
add_user() {
  if ! on_this_machine; then
    kept "users of this machine (--root)"
    return
  fi
  if getent passwd "$user" >/dev/null; then
    kept "user $user"
  else
    step "add the user $user" useradd --system --user-group --home-dir /var/lib/nestling \
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

# Each wheel and choice of extras has its own environment, named by a digest of them. Replacing the
# link "current" switches between environments atomically.
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

# Lists the environments that this script made: the folders that are named by a digest.
environments() {
  local environment
  for environment in "$home"/*; do
    if [[ ! -L $environment && -d $environment ]] &&
      [[ $(basename "$environment") =~ ^[0-9a-f]{16}$ ]]; then
      echo "$environment"
    fi
  done
}

# Runs last, because a running device imports from its old environment until its restart.
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
  # The caller's pip settings decide where packages are fetched from, but not where they are
  # installed: wheels are fetched with these settings and installed without them.
  local pip=("$environment/bin/python" -I -m pip --disable-pip-version-check --no-input --quiet)
  "${pip[@]}" wheel --wheel-dir "$wheels" "$wheel$extras"
  PIP_CONFIG_FILE=/dev/null "${pip[@]}" --isolated install --no-index --find-links "$wheels" \
    "$wheel$extras"
  rm -rf -- "$wheels"
  "$environment/bin/$name" --help >/dev/null || fail "the wheel does not run here; nothing was switched"
  usable "$environment" || fail "the service cannot use $environment; nothing was switched"
  trap - EXIT
}

# Earlier folders may have been created under a stricter umask. /opt/nestling is opened only if it
# holds nothing else.
open_folders() {
  local shared
  shared=$(dirname "$home")
  mkdir -p "$home"
  chmod 0755 "$home"
  if [[ $(ls -A "$shared") == "$(basename "$home")" ]]; then
    chmod 0755 "$shared"
  fi
}

# Succeeds if the service's user can run an environment or, where that cannot be tried, if everybody
# may read it. Prints what is unreadable on standard error.
usable() {
  local closed
  if as_service_user true 2>/dev/null && as_service_user "$1/bin/$name" --help >/dev/null; then
    return
  fi
  closed=$(find "$(dirname "$home")" "$home" -maxdepth 0 ! -perm -o=rx
    find "$1" \( -type d ! -perm -o=rx \) -o \( -type f ! -perm -o=r \))
  if [[ -n $closed ]]; then
    echo "install.sh: not readable by everybody: $(head -1 <<<"$closed")" >&2
    return 1
  fi
  [[ -x $1/bin/$name ]] && ! as_service_user true 2>/dev/null
}

# Runs a command as the service's user; fails if that is not possible.
as_service_user() {
  on_this_machine && ((EUID == 0)) && getent passwd "$user" >/dev/null || return
  (cd / && exec runuser -u "$user" -- env -i PATH="$PATH" LC_ALL=C.UTF-8 "$@")
}

# Checks that the service's user can read the command, the configuration and the state.
check_result() {
  if [[ $dry_run == yes ]] || ! as_service_user true 2>/dev/null; then
    return
  fi
  local status=0 output
  output=$(as_service_user "$command_target" status --config "$config" 2>&1) || status=$?
  # 3 means that the device is not running, as with systemctl status.
  if ((status != 0 && status != 3)); then
    fail "installed, but the user $user cannot use it: $output"
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
    step "reload systemd" systemctl daemon-reload
    restart=yes
  fi
  if systemctl --quiet is-enabled "$name" 2>/dev/null; then
    kept "$name enabled"
  else
    step "enable $name" systemctl --quiet enable "$name"
  fi
  if [[ $restart == yes ]]; then
    step "restart $name if it is running" systemctl try-restart "$name"
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
    step "reload systemd" systemctl daemon-reload
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
