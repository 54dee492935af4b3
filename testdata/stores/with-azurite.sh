#!/bin/sh
# Runs a command with PROMPARQUET_TEST_OBJSTORE naming a container of Azurite, which speaks Azure Blob Storage.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=3.37.0
cache=${STORES_CACHE:-$HOME/.cache/promparquet-stores}/azurite-$version
if [ ! -x "$cache/node_modules/.bin/azurite-blob" ]; then
    npm install --silent --no-audit --no-fund --prefix "$cache" "azurite@$version"
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
work=$(mktemp -d)
"$cache/node_modules/.bin/azurite-blob" --silent --blobHost 127.0.0.1 --blobPort "$port" --location "$work" \
    --skipApiVersionCheck >"$work/log" 2>&1 &
server=$!
# Not asked politely: Azurite waits for idle connections to end.
trap 'kill -9 "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
# The emulator's published account.
account=devstoreaccount1
key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
url=http://127.0.0.1:$port/$account
python3 "$here/make_container.py" "$url" "$account" "$key" blocks || { cat "$work/log" >&2; exit 1; }
PROMPARQUET_TEST_OBJSTORE="
type: AZURE
config:
  storage_account: $account
  storage_connection_string: AccountName=$account;AccountKey=$key;BlobEndpoint=$url
  container: blocks
" "$@"
