#!/usr/bin/env bash
# Thousands of random queries mean the same to our PromQL engine and to others: the engine of Prometheus 3.15, to the last
# annotation, and a running Prometheus 2.42. Seeds are printed; `promql_judge ... --seed S --only N` asks one again.
set -euo pipefail
cd "$(dirname "$0")/.."

judge=$PWD/target/release/promql_judge
work=$(mktemp -d)
server=
cleanup() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
failed=0

# The same queries on every run; others are worth a try after each change of the engine.
for seed in 1 2 3 11 12; do
  testdata/interop/run.sh promql-judge --seed "$seed" --count 5000 || failed=1
done

"$judge" data --seed 1 "$work/data"
echo 'global: {}' >"$work/prometheus.yml"
address=127.0.0.1:19091
prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/data" --storage.tsdb.retention.time 100y \
  --web.listen-address "$address" --log.level error >"$work/server.log" 2>&1 &
server=$!
for _ in {1..100}; do
  if curl --silent --fail "http://$address/-/ready" >/dev/null; then break; fi
  sleep 0.2
done
"$judge" server --address "$address" --seed 1 --count 5000 || failed=1
exit $failed
