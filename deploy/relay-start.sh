#!/bin/sh
# Starts the relay of the image, as the first process: it knows SIGTERM and SIGHUP itself, and starts no others that it would have
# to bury. Where nodes share a store, the others reach this one under the name that the engine has given to its container.
set -eu

case "${LETHE_STORE:-embedded}" in
  embedded) ;;
  *)
    : "${LETHE_LINK_ADDRESS:=ws://$(hostname):${LETHE_LINK_PORT:-8788}}"
    export LETHE_LINK_ADDRESS
    ;;
esac
# The flags are those of `lethe relay`.
exec node --disable-warning=ExperimentalWarning --max-semi-space-size=64 /usr/lib/lethe/relay/main.ts "$@"
