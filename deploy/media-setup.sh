#!/bin/sh
# Makes the relay's bucket in the store for media, closed to whoever shows no key, and a user who can do there what
# deploy/media-policy.json says and nothing else. Always true: it may run again; versioning stays as it is, which is off in a new
# bucket. It needs a shell without any other program, for the store's image may have none.
#
# S3_CLIENT                                 the store's own client: mc (MinIO) or rc (RustFS), which take the same words
# S3_URL, S3_ROOT_USER, S3_ROOT_PASSWORD    where the store is, and who may make users there
# S3_BUCKET                                 the bucket, as the policy names it
# LETHE_S3_ACCESS_KEY, LETHE_S3_SECRET_KEY  the user, as the relay is told
set -eu

policy=${0%/*}/media-policy.json
for name in S3_CLIENT S3_URL S3_BUCKET S3_ROOT_USER S3_ROOT_PASSWORD LETHE_S3_ACCESS_KEY LETHE_S3_SECRET_KEY; do
  eval "value=\${$name:-}"
  [ -n "$value" ] || { echo "media-setup.sh: $name is missing" >&2; exit 2; }
done

"$S3_CLIENT" alias set store "$S3_URL" "$S3_ROOT_USER" "$S3_ROOT_PASSWORD" > /dev/null
"$S3_CLIENT" mb --ignore-existing "store/$S3_BUCKET"
"$S3_CLIENT" anonymous set private "store/$S3_BUCKET"
"$S3_CLIENT" admin policy create store lethe-media "$policy"
"$S3_CLIENT" admin user add store "$LETHE_S3_ACCESS_KEY" "$LETHE_S3_SECRET_KEY" > /dev/null

# mc calls it a fault if the user has the policy already.
said=$("$S3_CLIENT" admin policy attach store lethe-media --user "$LETHE_S3_ACCESS_KEY" 2>&1) || case "$said" in
  *"already in effect"*) ;;
  *) echo "media-setup.sh: $said" >&2; exit 1 ;;
esac
echo "the bucket $S3_BUCKET is ready"
