#!/bin/sh
# Brings docker-compose.yml up with podman, on images that are made here from Debian's packages and this checkout: for a machine
# without a Docker engine, or without a registry. Always true: what it starts has a project name of its own and is ended by
# `down`; the compose file, the Dockerfile and every file in deploy/ are used as they are, but for deploy/podman/override.yml.
set -eu

usage() {
  cat <<'HELP'
sh deploy/try-with-podman.sh COMMAND DIR, as root; needs podman, docker-compose, mmdebstrap, openssl and npm.

  images DIR           make the images that are missing, and the relay's image anew
  up DIR [ARGUMENT…]   bring the stack up in DIR (a new folder) until all of it is healthy; arguments go to docker-compose up, --scale relay=3;
                       PORT is the balancer's (8443)
  crash DIR            kill one node's process
  roll DIR             deploy/rolling-restart.sh on that stack
  compose DIR …        docker-compose on that stack
  down DIR             end and remove all of it, volumes included
HELP
}

[ $# -ge 2 ] || { usage >&2; exit 2; }
act=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd -P)
shift 2
checkout=$(cd "$(dirname "$0")/.." && pwd -P)
base=localhost/lethe-debian:bookworm
project=lethe-try-$(basename "$dir" | tr -cd 'a-z0-9')

# Without systemd: no cgroups of its own, and nobody who runs health checks.
if [ -z "${CONTAINERS_CONF:-}" ] && [ ! -d /run/systemd/system ]; then
  cat > "$dir/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
  export CONTAINERS_CONF="$dir/containers.conf"
fi

images() {
  made=$(mktemp -d "$dir/made.XXXXXX")
  if ! podman image exists "$base"; then
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,haproxy,redis-server bookworm "$made/base.tar"
    podman import --quiet "$made/base.tar" "$base"
  fi
  podman image exists localhost/lethe-standin:bookworm ||
    podman build --quiet --pull=never --network none --tag localhost/lethe-standin:bookworm --file "$checkout/deploy/podman/Standin" "$made"
  if ! podman image exists localhost/lethe-node:try; then
    mkdir "$made/node"
    cp "$(cd "$checkout" && npm exec --offline -- node -p process.execPath)" "$made/node/node"
    cp -R "$(npm root --global)/npm" "$made/node/npm"
    podman build --quiet --pull=never --network none --tag localhost/lethe-node:try --file "$checkout/deploy/podman/Node" "$made/node"
  fi
  # npm reaches its registry as this machine does, and believes whom this machine believes.
  podman build --quiet --pull=never --network host --volume /etc/ssl/certs:/etc/ssl/certs:ro --format docker --build-arg NODE_IMAGE=localhost/lethe-node:try \
    --tag localhost/lethe-relay:try --file "$checkout/deploy/Dockerfile" "$checkout"
  rm -rf "$made"
}

compose() {
  (cd "$dir" && DOCKER_HOST="unix://$dir/podman.sock" docker-compose --project-name "$project" \
    --file docker-compose.yml --file deploy/podman/override.yml "$@")
}

# podman leaves health checks to systemd's timers; here this loop runs them, as often as the compose file says at most.
health() {
  while :; do
    for id in $(podman ps --quiet --filter "label=com.docker.compose.project=$project"); do
      podman healthcheck run "$id" > /dev/null 2>&1 || true
    done
    sleep 3
  done
}

is_running() {
  [ -e "$1" ] && kill -0 "$(cat "$1")" 2> /dev/null
}

up() {
  if [ ! -e "$dir/.env" ]; then
    cp "$checkout/docker-compose.yml" "$dir/"
    cp -R "$checkout/deploy" "$dir/"
    rm -f "$dir"/deploy/tls/*.pem
    sh "$dir/deploy/make-env.sh" localhost --port "${PORT:-8443}"
  fi
  if ! is_running "$dir/service.pid"; then
    podman system service --time 0 "unix://$dir/podman.sock" > "$dir/service.log" 2>&1 &
    echo $! > "$dir/service.pid"
  fi
  if ! is_running "$dir/health.pid"; then
    # A process of its own, which keeps nothing open of whoever called.
    sh "$0" health "$dir" > /dev/null 2>&1 &
    echo $! > "$dir/health.pid"
  fi
  while [ ! -S "$dir/podman.sock" ]; do sleep 0.1; done
  compose up --detach --no-build "$@"
  wait_healthy
}

# Prints what is not healthy, and has not done its work and ended.
unhealthy() {
  for id in $(podman ps --all --quiet --filter "label=com.docker.compose.project=$project"); do
    podman inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.State.Health.Status}} {{.Name}}' "$id" |
      grep -v -e '^exited 0 ' -e ' healthy ' || true
  done
}

wait_healthy() {
  waited=0
  while missing=$(unhealthy); [ -n "$missing" ]; do
    [ "$waited" -lt 120 ] || { echo "not healthy after $waited s: $missing" >&2; exit 1; }
    sleep 1
    waited=$((waited + 1))
  done
  echo "healthy after $waited s"
}

# The first node's first process, by its id, as a crash would: SIGKILL from outside. Prints the container that lost it.
crash() {
  id=$(compose ps -q relay | head -n 1)
  kill -9 "$(podman inspect --format '{{.State.Pid}}' "$id")"
  echo "$id"
}

roll() {
  (cd "$dir" && ENGINE=podman sh deploy/rolling-restart.sh env "DOCKER_HOST=unix://$dir/podman.sock" docker-compose \
    --project-name "$project" --file docker-compose.yml --file deploy/podman/override.yml)
}

down() {
  if [ -S "$dir/podman.sock" ] && is_running "$dir/service.pid"; then compose down --volumes --timeout 10; fi
  for pid in "$dir/health.pid" "$dir/service.pid"; do
    if is_running "$pid"; then kill "$(cat "$pid")"; fi
    rm -f "$pid"
  done
}

case "$act" in
  images) images ;;
  up) up "$@" ;;
  compose) compose "$@" ;;
  health) health ;;
  crash) crash ;;
  roll) roll ;;
  down) down ;;
  *) usage >&2; exit 2 ;;
esac
