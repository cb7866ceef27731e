#!/usr/bin/env bash
# Runs the device as a Raspberry Pi 4 would: the built wheel with its aarch64 dependencies, Debian's
# own Python for arm64, under user-mode emulation as a Cortex-A72. It enrols with a cloud on this
# machine, takes its bundle from there and answers 200 windows; every network's output is compared
# with this machine's.
#
# Debian on x86-64, as root, with debootstrap and qemu-user-static. PYTHON names the interpreter
# that has nestling with its cloud installed. What is downloaded is kept in the folder arm64 of the
# cache ($NESTLING_CACHE, else nestling in the user's cache folder), with the SHA-256 of every file
# beside it; what no longer fits these is downloaded again.
set -euo pipefail

# Files of other people's settings, and libraries of this machine, have no part in the Pi's.
umask 022
unset CDPATH TMPDIR LD_PRELOAD LD_LIBRARY_PATH PYTHONPATH PYTHONHOME PYTHONSTARTUP
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_DRY_RUN PIP_REQUIRE_VIRTUALENV
export LC_ALL=C.UTF-8

readonly python=${PYTHON:-python3}
readonly cache=${NESTLING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nestling}/arm64
readonly root=$cache/root wheels=$cache/wheels
readonly count=200
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
source_root=$(cd "$here/../.." && pwd)
readonly source_root
work=$(mktemp -d)
readonly work site=$work/site state=$work/state windows=$work/windows.npy
cloud_pid=

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }

clean_up() {
  if [[ -n $cloud_pid ]]; then
    kill "$cloud_pid" 2>/dev/null || true
    wait "$cloud_pid" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

need() {
  local tool
  for tool in "$@"; do
    if [[ -z $(command -v "$tool") ]]; then
      echo "$tool is missing: apt install debootstrap qemu-user-static" >&2
      exit 1
    fi
  done
  if ((EUID != 0)); then
    echo "debootstrap needs root: sudo make test-arm64" >&2
    exit 1
  fi
}

# Writes the digests of a folder's files beside it.
seal() {
  (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$1.sha256.part"
  sync -f "$1.sha256.part"
  mv "$1.sha256.part" "$1.sha256"
}

# Whether a folder has the files that it was sealed with.
is_whole() {
  [[ -d $1 && -s $1.sha256 ]] && (cd "$1" && sha256sum --check --quiet --strict) <"$1.sha256" \
    >"$work/check.log" 2>&1
}

# Debian for arm64, unpacked but not configured: nothing in it has to run but Python.
make_root() {
  if is_whole "$root"; then
    say "arm64 root: $root (kept)"
    return
  fi
  if [[ -e $root ]]; then
    say "arm64 root: $root is damaged and is made again"
  fi
  say "arm64 root: downloading Debian bookworm into $root"
  rm -rf "$root" "$root.sha256" "$root.part"
  mkdir -p "$cache"
  debootstrap --arch=arm64 --variant=minbase --foreign --include=python3,ca-certificates \
    bookworm "$root.part" >"$work/debootstrap.log" || {
    tail -5 "$work/debootstrap.log" >&2
    exit 1
  }
  local package
  for package in "$root.part"/var/cache/apt/archives/*.deb; do
    dpkg -x "$package" "$root.part"
  done
  rm -f "$root.part"/var/cache/apt/archives/*.deb
  describe_pi "$root.part"
  mv "$root.part" "$root"
  seal "$root"
}

# onnxruntime reads these. The emulator looks up a path in its root first, so they stand for those
# of the machine that emulates.
describe_pi() {
  local core
  mkdir -p "$1/proc" "$1/sys/devices/system/cpu"
  for core in 0 1 2 3; do
    printf '%s\n' "processor : $core" 'BogoMIPS : 108.00' \
      'Features : fp asimd evtstrm crc32 cpuid' 'CPU implementer : 0x41' \
      'CPU architecture: 8' 'CPU variant : 0x0' 'CPU part : 0xd08' 'CPU revision : 3' ''
  done >"$1/proc/cpuinfo"
  printf '%s\n' 'Hardware : BCM2711' 'Model : Raspberry Pi 4 Model B Rev 1.4' >>"$1/proc/cpuinfo"
  echo 0-3 | tee "$1/sys/devices/system/cpu/possible" >"$1/sys/devices/system/cpu/present"
}

# The wheel, and what it depends on, as pip on a Pi would choose it.
install_wheel() {
  say "wheel: building nestling"
  "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheel" "$source_root"
  say "wheel: installing it with its aarch64 dependencies"
  if [[ -e $wheels ]] && ! is_whole "$wheels"; then
    say "wheel: $wheels is damaged and is downloaded again"
    rm -rf "$wheels"
  fi
  mkdir -p "$wheels"
  local tag
  local tags=()
  for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014; do
    tags+=(--platform "${tag}_aarch64")
  done
  local options=(--quiet --disable-pip-version-check --only-binary=:all: --implementation cp
    --python-version 3.11 "${tags[@]}")
  rm -rf "$wheels.new"
  "$python" -m pip download "${options[@]}" --find-links "$wheels" --dest "$wheels.new" \
    "$work"/wheel/nestling-*.whl
  rm -rf "$wheels" "$wheels.new"/nestling-*.whl
  mv "$wheels.new" "$wheels"
  seal "$wheels"
  # Without the index: what was downloaded, and nothing else.
  "$python" -m pip install "${options[@]}" --no-index --no-deps --no-compile --target "$site" \
    "$work"/wheel/nestling-*.whl "$wheels"/*.whl
}

# Runs a Python of the arm64 root as on a Raspberry Pi 4.
pi_python() {
  QEMU_LD_PREFIX=$root qemu-aarch64-static -cpu cortex-a72 \
    -E PYTHONHOME=/usr -E PYTHONPATH="$site" -E PYTHONDONTWRITEBYTECODE=1 -E OMP_NUM_THREADS=1 \
    "$root/usr/bin/python3.11" "$@"
}

device() { pi_python -P -m nestling_device.cli "$@"; }

start_cloud() {
  say "bundle: from the cache, or trained now"
  local repository
  repository=$("$python" -P "$here/prepare.py" "$count" "$windows")
  say "cloud: starting on this machine"
  mkfifo "$work/ready"
  "$python" -P -m nestling_cloud.cli serve --repository "$repository" --state "$work/cloud" \
    --tls --port 0 --broker-port 0 --enrolment-port 0 --json >"$work/ready" 2>"$work/cloud.log" &
  cloud_pid=$!
  local line
  if ! read -r -t 60 line <"$work/ready"; then
    cat "$work/cloud.log" >&2
    exit 1
  fi
  enrolment=$(field enrolment <<<"$line")
}

field() { "$python" -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }

enrol() {
  say "device: $(pi_python -c 'import platform, onnxruntime
print(platform.machine(), "Python", platform.python_version(), "onnxruntime",
      onnxruntime.__version__)'), enrols at $enrolment"
  "$python" -P -m nestling_cloud.cli device add pi --state "$work/cloud" --json |
    field token | device enrol --cloud "$enrolment" --token-file - \
      --state "$state" >"$work/enrolled"
  printf '          %s\n' "$(head -1 "$work/enrolled")"
}

answer() {
  say "device: fetches its rings and answers $count windows, by mutual TLS"
  device run --state "$state" --source "$windows" --count "$count" --interval 0.001 \
    --latency-ms 20000 --json >"$work/answers.jsonl"
  "$python" "$here/summary.py" "$count" <"$work/answers.jsonl"
  device status --state "$state" | grep -E '^(bundle|outbox|identity)' || true
}

compare_logits() {
  say "logits: the same $count windows through every network, there and here"
  pi_python -P "$here/logits.py" "$state" "$windows" "$count" "$work/there.npz"
  "$python" -P "$here/logits.py" "$state" "$windows" "$count" "$work/here.npz"
  "$python" -P "$here/difference.py" "$work/there.npz" "$work/here.npz"
}

need debootstrap qemu-aarch64-static dpkg mkfifo
make_root
install_wheel
start_cloud
enrol
answer
compare_logits
say "done in $SECONDS s"
