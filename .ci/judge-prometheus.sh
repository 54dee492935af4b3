#!/usr/bin/env bash
# Blocks that a real Prometheus made, by scraping itself and from OpenMetrics, become Parquet and blocks again:
# promtool must dump the same from both.
set -euo pipefail
cd "$(dirname "$0")/.."

gateway=$PWD/target/release/parquet-gateway
work=$(mktemp -d)
server=
cleanup() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
failed=0

# there_and_back <data directory>: converts all its blocks, makes blocks of them again, compares dumps.
there_and_back() {
  local data=$1 name=$2
  # promtool writes into the directory it opens.
  mkdir -p "$work/$name"
  cp -r "$data" "$work/$name/source"
  "$gateway" convert --tsdb.storage.prefix "$data" --parquet.storage.prefix "$work/$name/parquet" --verify
  mkdir "$work/$name/back"
  local block
  for block in "$work/$name/parquet"/*/0.labels.parquet; do
    block=$(basename "$(dirname "$block")")
    "$gateway" export tsdb --parquet.storage.prefix "$work/$name/parquet" --name "$block" --output "$work/$name/back"
  done
  local side
  for side in source back; do
    mkdir -p "$work/$name/$side/wal" # promtool wants one
    promtool tsdb dump "$work/$name/$side" >"$work/$name/$side.unsorted"
    sort "$work/$name/$side.unsorted" >"$work/$name/$side.txt"
  done
  if [[ -s $work/$name/source.txt ]] && cmp -s "$work/$name/source.txt" "$work/$name/back.txt"; then
    echo "PASS $name: $(wc -l <"$work/$name/source.txt") samples"
  else
    echo "FAIL $name"
    diff "$work/$name/source.txt" "$work/$name/back.txt" | head -20
    failed=1
  fi
}

openmetrics() {
  awk 'BEGIN {
    print "# TYPE requests counter"
    for (i = 0; i < 2000; i++) for (s = 0; s < 5; s++)
      printf "requests_total{path=\"/p%d\",code=\"%d\"} %d %d\n", s, 200 + s, i * s + i % 7, 1735689600 + i * 15
    print "# TYPE temperature gauge"
    for (i = 0; i < 2000; i++) printf "temperature{place=\"näh, \\\"quoted\\\"\"} %.3f %d\n", 20 + 5 * sin(i / 50), 1735689600 + i * 15
    print "# EOF"
  }'
}
openmetrics >"$work/openmetrics.txt"
promtool tsdb create-blocks-from openmetrics "$work/openmetrics.txt" "$work/openmetrics" >/dev/null
there_and_back "$work/openmetrics" create-blocks-from

# A server that scrapes itself twice a second; a snapshot of its head is a block.
mkdir "$work/server"
cat >"$work/prometheus.yml" <<'YAML'
global: { scrape_interval: 500ms }
scrape_configs: [{ job_name: prometheus, static_configs: [{ targets: ["127.0.0.1:19090"] }] }]
YAML
prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/server" --web.enable-admin-api \
  --web.listen-address 127.0.0.1:19090 --log.level error >"$work/server.log" 2>&1 &
server=$!
sleep 20
curl --silent --fail --request POST http://127.0.0.1:19090/api/v1/admin/tsdb/snapshot >/dev/null
kill "$server" && wait "$server" 2>/dev/null || true
server=
there_and_back "$(echo "$work"/server/snapshots/*)" scraped
exit $failed
