#!/usr/bin/env bash
# Thousands of random queries mean the same to our PromQL engine and to others: the engine of Prometheus 3.15, to the last
# annotation, and a running Prometheus 2.42. Seeds are printed; `promql_judge ... --seed S --only N` asks one again.
source "$(dirname "$0")/judging.sh"
build

# The same queries on every run; others are worth a try after each change of the engine.
for seed in 1 2 3 11 12; do
  testdata/interop/run.sh promql-judge --seed "$seed" --count 5000 || failed=1
done

"$target/release/promql_judge" data --seed 1 "$work/data"
port=$(free_ports 1)
serve_prometheus "$port" "$work/data"
"$target/release/promql_judge" server --address "127.0.0.1:$port" --seed 1 --count 5000 || failed=1
verdict
