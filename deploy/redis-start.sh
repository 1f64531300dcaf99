#!/bin/sh
# Starts the Redis of docker-compose.yml. Always true: the password is in no file of the image, the volume or the command line;
# what Redis is given is its SHA-256, in memory.
#
# REDIS_PASSWORD   the relay's password
# REDIS_MAXMEMORY  what mailboxes and accounts may take (1gb); beyond it, new mail is refused and nothing is dropped
set -eu
umask 077

here=$(dirname "$0")
run=${REDIS_RUN:-/run/lethe}
[ -n "${REDIS_PASSWORD:-}" ] || { echo "redis-start.sh: REDIS_PASSWORD is missing; sh deploy/make-env.sh makes it" >&2; exit 2; }

hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
maxmemory=${REDIS_MAXMEMORY:-1gb}
unset REDIS_PASSWORD
sed -e '/^#/d' -e "s/@PASSWORD@/$hash/" "$here/redis-users.acl" > "$run/users.acl"
exec redis-server "$here/redis.conf" --aclfile "$run/users.acl" --dir "${REDIS_DATA:-/data}" --maxmemory "$maxmemory" "$@"
