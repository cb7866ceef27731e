#!/bin/sh
# Runs Mosquitto on the folder that the cloud keeps for it, and has it read its lists and its
# certificate again when they have changed: run-broker.sh FOLDER
set -eu
folder=${1:?the folder that nestling-cloud broker-config wrote}
# What it writes is the cloud's alone, and it finds its programs whatever called it has set.
umask 077
unset LD_PRELOAD LD_LIBRARY_PATH CDPATH
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

# A file that was replaced has another inode.
seen() { stat -c %i "$folder/acl" "$folder/revoked.pem" "$folder/broker.pem" 2>/dev/null || :; }

before=$(seen)
mosquitto -c "$folder/mosquitto.conf" &
broker=$!
trap 'kill "$broker" 2>/dev/null || :' TERM INT
while kill -0 "$broker" 2>/dev/null; do
  sleep 1 &
  wait $! || :
  now=$(seen)
  if [ "$now" != "$before" ]; then
    before=$now
    kill -HUP "$broker" 2>/dev/null || :
  fi
done
wait "$broker"
