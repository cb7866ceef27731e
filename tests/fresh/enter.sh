#!/usr/bin/env bash
# Runs a command in the clone inside a root folder: enter.sh ROOT USER COMMAND NAME=VALUE...
#
# Folders of this machine that the root shall see come on standard input, a line each. Mounts and
# processes end with the namespaces of this process, however it ends. As root.
set -euo pipefail

readonly root=$1 user=$2 command=$3
shift 3
if [[ $$ != 1 ]]; then
  exec unshare --mount --pid --fork --kill-child "$0" "$root" "$user" "$command" "$@"
fi
for each in /dev /sys; do
  mount --rbind "$each" "$root$each"
done
mount -t proc proc "$root/proc"
while read -r folder; do
  mkdir -p "$root$folder"
  mount --bind "$folder" "$root$folder"
done
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all \
  --bounding-set=-all env -i "$@" bash -c "cd ~/nestling && $command" </dev/null
