#!/bin/sh
# Replaces the relay nodes of docker-compose.yml one after the other, by the image that is there now. Always true: the next node is
# ended only when the one before it has been replaced and says that it is healthy, so that there is one fewer at any time.
set -eu

usage() {
  cat <<'HELP'
sh deploy/rolling-restart.sh [COMPOSE …]: in the folder of docker-compose.yml; COMPOSE is how compose is called (docker compose).
PATIENCE is how long a new node may take until it is healthy, in seconds (60).
HELP
}

case "${1:-}" in --help) usage; exit 0 ;; esac
[ $# -gt 0 ] || set -- docker compose
patience=${PATIENCE:-60}
engine=${ENGINE:-docker}

nodes=$("$@" ps -q relay)
count=$(echo "$nodes" | grep -c .) || { echo "rolling-restart.sh: no node runs" >&2; exit 1; }

# Prints how many nodes are healthy.
healthy() {
  "$@" ps -q relay | while read -r id; do
    "$engine" inspect --format '{{.State.Health.Status}}' "$id"
  done | grep -c '^healthy$' || true
}

for old in $nodes; do
  echo "ending $old"
  "$engine" stop --time 30 "$old" > /dev/null
  "$engine" rm "$old" > /dev/null
  "$@" up --detach --no-build --no-deps --no-recreate --scale "relay=$count" relay
  waited=0
  until [ "$(healthy "$@")" = "$count" ]; do
    [ "$waited" -lt "$patience" ] || { echo "rolling-restart.sh: the new node is not healthy; the others were left alone" >&2; exit 1; }
    sleep 1
    waited=$((waited + 1))
  done
done
echo "all $count nodes are new"
