#!/usr/bin/env bash
# How a gateway bears the load of many dashboards at once: statuses, times, memory.
#
#   benches/load.sh [--block DIR] [--dashboards N] [--seconds N]
#
# Without --block it makes (once) and takes the block medium. Fails if there is any answer but 200, 422 and 503.
set -euo pipefail

block='' load=()
while (($#)); do
  case $1 in
  --block) block=$2 ;;
  --dashboards | --seconds) load+=("$1" "$2") ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
# shellcheck source=.ci/judging.sh
source "$(dirname "$0")/../.ci/judging.sh"
cargo build --release --quiet -p parquet-gateway -p promparquet-testkit -p promparquet-benches
if [[ -z $block ]]; then
  dir=$target/bench-blocks/medium
  [[ -d $dir ]] || { "$blockgen" --preset medium "$dir.tmp" >&2 && mv "$dir.tmp" "$dir"; }
  block=$(dirname "$dir"/*/meta.json)
fi

"$gateway" convert --tsdb.storage.prefix "$(realpath "$block/..")" --parquet.storage.prefix "$work/parquet" >&2
serve gateway "$work/parquet"
ready "$api/-/ready"

seconds() { sed -nE "s/^.*\"$1\": *(-?[0-9]+)[0-9]{3}[^0-9].*$/\1/p" "$block/meta.json" | head -n 1; }
"$target/release/load" --url "$api" --pid "$process" --start "$(seconds minTime)" --end "$(seconds maxTime)" "${load[@]}" || failed=1
stop "$process" || fail "the gateway did not end in order"
verdict
