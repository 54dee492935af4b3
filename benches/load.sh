#!/usr/bin/env bash
# How a gateway bears the load of many dashboards at once: statuses, times, memory.
#
#   benches/load.sh [--block DIR] [--dashboards N] [--seconds N]
#
# Without --block it makes (once) and takes the block medium. Fails if there is any answer but 200, 422 and 503.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --quiet -p parquet-gateway -p promparquet-testkit -p promparquet-benches

block= load=()
while (($#)); do
  case $1 in
  --block) block=$2 ;;
  --dashboards | --seconds) load+=("$1" "$2") ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
if [[ -z $block ]]; then
  dir=$target/bench-blocks/medium
  [[ -d $dir ]] || { "$target/release/blockgen" --preset medium "$dir.tmp" >&2 && mv "$dir.tmp" "$dir"; }
  block=$(dirname "$dir"/*/meta.json)
fi

work=$(mktemp -d)
gateway=
cleanup() {
  [[ -z $gateway ]] || kill "$gateway" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
"$target/release/parquet-gateway" convert --tsdb.storage.prefix "$(realpath "$block/..")" --parquet.storage.prefix "$work/parquet" >&2
"$target/release/parquet-gateway" serve --storage.prefix "$work/parquet" --http.address 127.0.0.1 --http.prometheus.port 19200 \
  --http.thanos.port 19201 --http.internal.port 19202 >"$work/log" &
gateway=$!
curl --silent --fail --retry 60 --retry-delay 1 --retry-connrefused --retry-all-errors http://127.0.0.1:19200/-/ready >/dev/null

seconds() { sed -nE "s/^.*\"$1\": *(-?[0-9]+)[0-9]{3}[^0-9].*$/\1/p" "$block/meta.json" | head -n 1; }
"$target/release/load" --url http://127.0.0.1:19200 --pid "$gateway" --start "$(seconds minTime)" --end "$(seconds maxTime)" "${load[@]}"
kill "$gateway"
wait "$gateway" || { echo "the gateway did not end in order" >&2; exit 1; }
gateway=
