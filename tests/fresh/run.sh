#!/usr/bin/env bash
# Runs the README's two commands as a new user would: from a clean clone of the last commit, as an
# ordinary user, on a machine that has nothing but Debian's base system, Python, git and make.
#
# As root on Debian, with debootstrap, that machine is a root folder of its own; otherwise it is this
# machine with an empty home and environment. The first argument names Debian's release
# (default: bookworm). pip's index and certificates are those of this machine. The root is kept
# in the folder fresh of the cache ($NESTLING_CACHE, else nestling in the user's cache folder) and
# copied for each run; delete it to begin again.
set -euo pipefail

readonly release=${1:-bookworm}
readonly cache=${NESTLING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nestling}/fresh
readonly kept=$cache/$release
readonly user=1000
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_root=$(cd "$here/../.." && pwd)
readonly here source_root
work=$(mktemp -d "${TMPDIR:-/var/tmp}/nestling-fresh-XXXXXX")
readonly work root=$work/root

trap 'rm -rf "$work"' EXIT

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }

# Debian's base system with what the README asks for, and nothing else.
make_root() {
  if [[ ! -e $kept/usr/bin/make ]]; then
    say "root: downloading Debian $release"
    mkdir -p "$cache"
    rm -rf "$kept.part"
    debootstrap --variant=minbase --include=python3,python3-venv,git,make,ca-certificates \
      "$release" "$kept.part" >"$work/debootstrap.log" || {
      tail -5 "$work/debootstrap.log" >&2
      exit 1
    }
    mv "$kept.part" "$kept"
  fi
  cp -a "$kept" "$root"
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  chroot "$root" useradd --create-home --uid $user --shell /bin/bash newcomer
}

# What pip needs to reach its index here, as environment variables.
pip_settings() {
  python3 -m pip config list 2>/dev/null | sed -nE \
    "s/^(global|:env:)\.(index-url|extra-index-url|find-links|trusted-host|proxy|timeout)='(.*)'$/\2=\3/p" |
    while IFS='=' read -r name value; do
      name=${name^^}
      printf 'PIP_%s=%s\n' "${name//-/_}" "$value"
    done | sort -u
}

# Folders of this machine that pip takes packages from. The pages of an index link to files beside
# its folder.
local_indexes() {
  pip_settings | grep -oE '(file://)?/[^ =]+' | sed -E 's#^file://(.*)/[^/]+/?$#\1#' | sort -u |
    while read -r folder; do
      [[ ! -d $folder ]] || echo "$folder"
    done
}

# Runs a command of the README's in the clone, with nothing of this machine's environment.
in_clone() {
  case $machine in
    root) local_indexes | "$here/enter.sh" "$root" $user "$1" "${environment[@]}" ;;
    home) env -i "${environment[@]}" bash -c "cd ~/nestling && $1" ;;
  esac
}

# Says how long a command took.
timed() {
  local started=$SECONDS status=0
  say "$1"
  in_clone "$1" 2>&1 | tee "$work/log" || status=$?
  say "$1: status $status after $((SECONDS - started)) s"
  results+=("$(printf '%-14s %4d s  %s' "$1" $((SECONDS - started)) "$(tail -1 "$work/log")")")
  ((status == 0)) || failed=1
}

[[ -z $(git -C "$source_root" status --porcelain) ]] ||
  say "uncommitted changes are not part of the clone"
environment=(LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin)
while read -r setting; do
  environment+=("$setting")
done < <(pip_settings)
results=() failed=0
if ((EUID == 0)) && command -v debootstrap >/dev/null; then
  machine=root
  make_root
  environment+=(HOME=/home/newcomer)
  git clone --quiet "$source_root" "$root/home/newcomer/nestling"
  chown -R $user:$user "$root/home/newcomer"
else
  say "not root, or no debootstrap: this machine, with an empty home"
  machine=home
  mkdir "$work/home"
  environment+=(HOME="$work/home")
  git clone --quiet "$source_root" "$work/home/nestling"
fi
timed "make simulate"
timed "make test"
say "$release: $(in_clone '.venv/bin/python --version')"
printf '%s\n' "${results[@]}"
exit $failed
