#!/usr/bin/env bash
# Runs a command with PROMPARQUET_TEST_OBJSTORE naming a container of Azurite, which speaks Azure Blob Storage.
source "$(dirname "$0")/../../.ci/judging.sh"
version=3.37.0
cache=$HOME/.cache/promparquet-azurite-$version
if [[ ! -x $cache/node_modules/.bin/azurite-blob ]]; then
  npm install --silent --no-audit --no-fund --prefix "$cache" "azurite@$version"
fi
port=$(free_ports 1)
start azurite "$cache/node_modules/.bin/azurite-blob" --silent --blobHost 127.0.0.1 --blobPort "$port" --location "$work" \
  --skipApiVersionCheck
# The emulator's published account.
account=devstoreaccount1
key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
url=http://127.0.0.1:$port/$account
python3 testdata/stores/make_container.py "$url" "$account" "$key" blocks || { cat "$log" >&2 && exit 1; }
export PROMPARQUET_TEST_OBJSTORE="
type: AZURE
config:
  storage_account: $account
  storage_connection_string: AccountName=$account;AccountKey=$key;BlobEndpoint=$url
  container: blocks
"
"$@" || failed=$?
verdict
