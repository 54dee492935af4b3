#!/usr/bin/env bash
# Blocks that a real Prometheus made, by scraping itself and from OpenMetrics, become Parquet and blocks again:
# promtool must dump the same from both, and for any selector and time what `select` prints of the shards.
source "$(dirname "$0")/judging.sh"
build

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
    LC_ALL=C sort "$work/$name/$side.unsorted" >"$work/$name/$side.txt"
  done
  if [[ -s $work/$name/source.txt ]] && cmp -s "$work/$name/source.txt" "$work/$name/back.txt"; then
    echo "PASS $name: $(wc -l <"$work/$name/source.txt") samples"
  else
    fail "$name comes back differently"
    diff "$work/$name/source.txt" "$work/$name/back.txt" | sed -n 1,20p || true
  fi
}

# dumps <name> <start ms> <end ms> <selector>: writes what promtool dumps of the source, and what select prints of the shards,
# sorted; both half-open in time.
dumps() {
  promtool tsdb dump --min-time="$2" --max-time="$(($3 - 1))" --match="$4" "$work/$1/source" | LC_ALL=C sort >"$work/promtool.txt"
  "$gateway" select --parquet.storage.prefix "$work/$1/parquet" --start="$(seconds "$2")" --end="$(seconds "$3")" "$4" |
    LC_ALL=C sort >"$work/select.txt"
}
seconds() { awk -v ms="$1" 'BEGIN { printf "%.3f", ms / 1000 }'; }

# selects <name> <selector>...: all of the time and a third of it.
selects() {
  local name=$1 selector first last third from to samples=0
  shift
  first=$(awk '{ print $NF }' "$work/$name/source.txt" | sort -n | sed -n 1p)
  last=$(awk '{ print $NF }' "$work/$name/source.txt" | sort -n | tail -n 1)
  third=$(((last - first) / 3))
  for selector in "$@"; do
    for range in "$first $((last + 1))" "$((first + third)) $((last - third))"; do
      read -r from to <<<"$range"
      dumps "$name" "$from" "$to" "$selector"
      samples=$((samples + $(wc -l <"$work/select.txt")))
      if ! cmp -s "$work/promtool.txt" "$work/select.txt"; then
        fail "$name: select '$selector' from $from to $to"
        diff "$work/promtool.txt" "$work/select.txt" | sed -n 1,20p || true
      fi
    done
  done
  ((samples > 0)) || fail "$name: no select found anything"
  echo "DONE $name: $# selectors, $samples samples"
  "$gateway" select --parquet.storage.prefix "$work/$name/parquet" --format csv "$1" >"$work/select.csv"
  "$gateway" select --parquet.storage.prefix "$work/$name/parquet" --format jsonl "$1" >"$work/select.jsonl"
  "$gateway" select --parquet.storage.prefix "$work/$name/parquet" "$1" >"$work/select.txt"
  python3 - "$work/select" <<'PYTHON' || failed=1
import csv, json, sys
text = open(sys.argv[1] + ".txt", encoding="utf-8", newline="\n").read().splitlines()
rows = list(csv.reader(open(sys.argv[1] + ".csv", encoding="utf-8", newline=""), strict=True))
assert rows[0] == ["labels", "timestamp_ms", "value"], rows[0]
assert [f"{labels} {value} {t}" for labels, t, value in rows[1:]] == text
series = [json.loads(line) for line in open(sys.argv[1] + ".jsonl", encoding="utf-8")]
samples = [(float(t), float(v)) for one in series for t, v in one.get("values", [])]
lines = [(int(line.rsplit(" ", 1)[1]) / 1000, float(line.rsplit(" ", 2)[1])) for line in text if not line.rsplit(" ", 1)[0].endswith("}")]
assert repr(samples) == repr(lines)
print(f"PASS {len(text)} samples as CSV and JSON by Python")
PYTHON
}

# promtool 2.42 dumps no native histograms and prints odd label names without quotes.
native() {
  "$blockgen" "$work/blocks" --preset small --native-histograms 0.3 --no-odd-series >/dev/null
  there_and_back "$work/blocks" native
  dumps native -9000000000000 9000000000000 '{__name__=~".+"}'
  grep -F '{count:' "$work/select.txt" >"$work/histograms.txt" || true
  if [[ -s $work/promtool.txt && -s $work/histograms.txt ]] &&
    cmp -s "$work/promtool.txt" <(grep -vF '{count:' "$work/select.txt"); then
    echo "PASS native: the floats beside $(wc -l <"$work/histograms.txt") histograms"
  else
    fail "native: select differs"
    diff "$work/promtool.txt" <(grep -vF '{count:' "$work/select.txt") | sed -n 1,5p || true
  fi
}
native

# Prometheus 3.15's code prints everything, so on a block with all odd series that the generator knows.
odd() {
  "$blockgen" "$work/odd" --preset small --native-histograms 0.3 >/dev/null
  "$gateway" convert --tsdb.storage.prefix "$work/odd" --parquet.storage.prefix "$work/odd-parquet" >/dev/null
  testdata/interop/run.sh tsdb dump -promtool -block "$(echo "$work"/odd/01*)" | LC_ALL=C sort >"$work/promtool.txt"
  "$gateway" select --parquet.storage.prefix "$work/odd-parquet" '{__name__=~".*"}' | LC_ALL=C sort >"$work/select.txt"
  if grep -qF '{count:' "$work/promtool.txt" && cmp -s "$work/promtool.txt" "$work/select.txt"; then
    echo "PASS odd: $(wc -l <"$work/select.txt") samples"
  else
    fail "odd: select differs"
    diff "$work/promtool.txt" "$work/select.txt" | sed -n 1,5p || true
  fi
}
odd

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
selects create-blocks-from '{__name__=~".+"}' requests_total 'requests_total{code=~"20[13]",path!="/p1"}' \
  'temperature{place="näh, \"quoted\""}' '{code!="",code!~"20.*4"}' '{__name__!="requests_total"}' nothing '{path=""}'

# A server that scrapes itself twice a second; a snapshot of its head is a block.
port=$(free_ports 1)
cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 500ms }
scrape_configs: [{ job_name: prometheus, static_configs: [{ targets: ["127.0.0.1:$port"] }] }]
YAML
serve_prometheus "$port" "$work/server" --web.enable-admin-api
sleep 20
curl --silent --fail --request POST "http://127.0.0.1:$port/api/v1/admin/tsdb/snapshot" >/dev/null
stop "$process" || fail "Prometheus did not end in order"
there_and_back "$(echo "$work"/server/snapshots/*)" scraped
selects scraped '{__name__=~".+"}' up '{__name__=~"go_.*|process_.*"}' '{quantile=~"0.*"}' '{le!="",handler=~"/.*"}' \
  'go_gc_duration_seconds{quantile!~"0|1"}' '{job="prometheus",__name__!~".*_bucket"}'
verdict
