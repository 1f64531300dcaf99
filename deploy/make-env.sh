#!/bin/sh
# Makes what docker-compose.yml needs and the repository must not hold: .env with the secrets, and a certificate to try it with.
# Always true: only its owner can read what it writes, and it never writes over a file that is there.
set -eu
umask 077

usage() {
  cat <<'HELP'
sh deploy/make-env.sh NAME [--port PORT] [--media STORE]: makes .env (secrets) for docker-compose.yml, and deploy/tls/lethe.pem where there is none.

  NAME         the relay's name, as clients reach it: relay.example. It is never changed afterwards.
  --port PORT  the port to listen on with TLS (443)
  --media STORE
               where media are kept: minio, rustfs, garage, or s3: a store of your own, whose LETHE_S3_… you fill in (minio)
  --dir DIR    the folder to write to, instead of the checkout; made if it is not there
HELP
}

fail() {
  echo "make-env.sh: $1" >&2
  exit 1
}

name=
port=443
media=minio
dir=$(cd "$(dirname "$0")/.." && pwd -P)
while [ $# -gt 0 ]; do
  case "$1" in
    --port) [ $# -ge 2 ] || fail "--port needs a port"; port=$2; shift ;;
    --media) [ $# -ge 2 ] || fail "--media needs a store"; media=$2; shift ;;
    --dir) [ $# -ge 2 ] || fail "--dir needs a folder"; dir=$2; shift ;;
    --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) [ -z "$name" ] || { usage >&2; exit 2; }; name=$1 ;;
  esac
  shift
done
[ -n "$name" ] || { usage >&2; exit 2; }
case "$name" in *[!A-Za-z0-9.-]*) fail "a name has letters, digits, dots and hyphens: $name" ;; esac
case "$port" in '' | *[!0-9]*) fail "not a port: $port" ;; esac
case "$media" in minio | rustfs | garage | s3) ;; *) fail "no store for media: $media; there are minio, rustfs, garage and s3" ;; esac

env=$dir/.env
pem=$dir/deploy/tls/lethe.pem
[ ! -e "$env" ] || fail "$env is there already, and its secrets with it; nothing was changed"
mkdir -p "$dir"

# So many random bytes, 32 if not said, in hexadecimal.
secret() {
  head -c "${1:-32}" /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# The relay's key in the store for media. Garage wants an id of this form, and the others take it.
media_key() {
  if [ "$media" = s3 ]; then
    printf '%s\n' '# The store of your own:' LETHE_S3_URL= LETHE_S3_BUCKET= LETHE_S3_REGION= LETHE_S3_ACCESS_KEY= LETHE_S3_SECRET_KEY=
  else
    printf '%s\n' "LETHE_S3_ACCESS_KEY=GK$(secret 12)" "LETHE_S3_SECRET_KEY=$(secret)"
  fi
}

# The balancer runs as whoever can read the certificate. For root, that is nobody's own number, to which the file is given.
user=$(id -u):$(id -g)
[ "$(id -u)" != 0 ] || user=10002:10002

files=docker-compose.yml
[ "$media" = minio ] || files=$files:deploy/compose.$media.yml

set -C # the shell itself refuses to write over a file
cat > "$env" <<ENV
# Names and secrets of docker-compose.yml, made by deploy/make-env.sh. Keep it: without LETHE_CLUSTER_SECRET and REDIS_PASSWORD the
# nodes are strangers to each other and to what they have stored. Settings that are no secret are in deploy/nodes/relay.env.
COMPOSE_PROJECT_NAME=lethe
COMPOSE_FILE=$files
LETHE_NAME=$name
LETHE_CLUSTER_SECRET=$(secret)
REDIS_PASSWORD=$(secret)
S3_ROOT_PASSWORD=$(secret)
$(media_key)
HTTPS_PORT=$port
BALANCER_USER=$user
ENV
echo "made $env"

[ ! -e "$pem" ] || { echo "$pem is there and stays"; exit 0; }
mkdir -p "${pem%/*}"
if ! command -v openssl > /dev/null; then
  echo "put a certificate chain with its private key into $pem, readable by $user (there is no openssl here to make one to try with)"
  exit 0
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj "/CN=$name" \
  -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" -keyout "$made/key" -out "$made/cert" 2> /dev/null ||
  fail "openssl could not make a certificate"
cat "$made/cert" "$made/key" > "$pem"
[ "$(id -u)" != 0 ] || chown "$user" "${pem%/*}" "$pem"
echo "made $pem: a certificate of its own, for 90 days, to try with; put a real one in its place"
