#!/bin/sh
# Runs a command with PROMPARQUET_TEST_OBJSTORE naming a bucket of a moto server, which speaks S3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${STORES_CACHE:-$HOME/.cache/promparquet-stores}/moto
if [ ! -x "$cache/bin/moto_server" ]; then
    python3 -m venv "$cache"
    "$cache/bin/pip" install --quiet --requirement "$here/requirements.txt"
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
log=$(mktemp)
"$cache/bin/moto_server" --host 127.0.0.1 --port "$port" >"$log" 2>&1 &
server=$!
trap 'kill -9 "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; rm -f "$log"' EXIT
# Making the bucket is also the probe for the server being up.
curl --silent --show-error --fail --retry 50 --retry-delay 1 --retry-connrefused -o /dev/null -X PUT \
    "http://127.0.0.1:$port/blocks" || { cat "$log" >&2; exit 1; }
PROMPARQUET_TEST_OBJSTORE="
type: S3
config:
  bucket: blocks
  endpoint: 127.0.0.1:$port
  insecure: true
  access_key: key
  secret_key: secret
" "$@"
