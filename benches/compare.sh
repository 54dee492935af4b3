#!/usr/bin/env bash
# Compares this workspace with the Go library on the same blocks, alternately, in one run.
#
#   benches/compare.sh convert [--block DIR]... [--rounds N] [--json]
#   benches/compare.sh select [--block DIR]... [--latency 20ms] [--rounds N] [--json]
#   benches/compare.sh promql [--block DIR]... [--rounds N] [--only NAME] [--json]
#
# Without --block it makes (once) and takes the blocks medium, day and large. Needs Go for the other side.
# select and promql fail if the sides do not agree on every sample. promql has Prometheus' and Thanos' engines on the other side.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet -p parquet-gateway -p promparquet-testkit -p promparquet-benches
testdata/interop/run.sh build >&2
exec python3 benches/compare.py "$@"
