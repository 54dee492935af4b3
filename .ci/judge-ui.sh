#!/usr/bin/env bash
# The page of `parquet-gateway serve` in a real Chromium, over a converted block. Arguments go to the driver: --screenshots DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v chromium >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
}
cache=${UI_CACHE:-$HOME/.cache/promparquet-ui}
if [[ ! -x $cache/bin/python ]] || ! "$cache/bin/pip" freeze | grep -qxFf testdata/ui/requirements.txt; then
  python3 -m venv "$cache"
  "$cache/bin/pip" install --quiet --requirement testdata/ui/requirements.txt
fi

gateway=${PARQUET_GATEWAY:-$PWD/target/release/parquet-gateway}
work=$(mktemp -d)
server=
cleanup() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# Two blocks of two hours with four hours in between, a label value like markup, and a shard set without a mark.
openmetrics() {
  awk -v start="$1" 'BEGIN {
    print "# TYPE requests counter"
    for (i = 0; i < 480; i++) for (s = 0; s < 6; s++)
      printf "requests_total{path=\"/p%d\",code=\"%d\"} %d %d\n", s % 3, 200 + 100 * (s % 2), i * (s + 1), start + i * 15
    print "# TYPE temperature gauge"
    for (i = 0; i < 480; i++) printf "temperature{place=\"<b>näh</b>, \\\"quoted\\\"\"} %.3f %d\n", 20 + 5 * sin(i / 50), start + i * 15
    print "# EOF"
  }'
}
for start in 1735689600 1735711200; do
  openmetrics "$start" >"$work/openmetrics.txt"
  promtool tsdb create-blocks-from openmetrics "$work/openmetrics.txt" "$work/blocks" >/dev/null
done
"$gateway" convert --tsdb.storage.prefix "$work/blocks" --parquet.storage.prefix "$work/parquet" >/dev/null
first=$(basename "$(dirname "$(ls "$work"/parquet/*/0.labels.parquet | sed -n 1p)")")
mkdir "$work/parquet/unfinished"
cp "$work/parquet/$first"/0.*.parquet "$work/parquet/unfinished/"

"$gateway" serve --storage.prefix "$work/parquet" --http.address 127.0.0.1 --http.prometheus.port 19110 \
  --http.internal.port 19112 --http.thanos.port 19113 >"$work/gateway.log" &
server=$!
curl --silent --fail --retry 60 --retry-delay 1 --retry-connrefused --retry-all-errors http://127.0.0.1:19110/-/ready >/dev/null
"$cache/bin/python" testdata/ui/drive.py http://127.0.0.1:19110/ "$@"
