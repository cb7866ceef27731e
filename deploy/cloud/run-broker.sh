#!/bin/sh
# Runs Mosquitto on the folder that the cloud maintains for it, and reloads it when its access list,
# revocation list or certificate has changed: run-broker.sh FOLDER
set -eu
folder=${1:?the folder that nestling-cloud broker-config wrote}
# Its files are for the cloud only, and the caller's environment must not change which programs run.
umask 077
unset LD_PRELOAD LD_LIBRARY_PATH CDPATH
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

# The inodes of the files: a file that is replaced gets a new one.
inodes() { stat -c %i "$folder/acl" "$folder/revoked.pem" "$folder/broker.pem" 2>/dev/null || :; }

before=$(inodes)
mosquitto -c "$folder/mosquitto.conf" &
broker=$!
trap 'kill "$broker" 2>/dev/null || :' TERM INT
while kill -0 "$broker" 2>/dev/null; do
  sleep 1 &
  wait $! || :
  now=$(inodes)
  if [ "$now" != "$before" ]; then
    before=$now
    kill -HUP "$broker" 2>/dev/null || :
  fi
done
wait "$broker"
