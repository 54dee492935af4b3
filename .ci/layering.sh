#!/usr/bin/env bash
# Checks what each crate must never know, see docs/architecture.md.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
# never <package> <dependency>...: none of them may be in the package's tree of normal dependencies.
never() {
  local package=$1 tree
  shift
  tree=$(cargo tree --quiet --edges normal --prefix none --package "$package" | awk '{print $1}' | sort -u)
  for dependency in "$@"; do
    if grep --quiet --line-regexp -- "$dependency" <<<"$tree"; then
      echo "FAIL $package depends on $dependency"
      failed=1
    fi
  done
  echo "ok   $package knows nothing of $*"
}

async=(tokio object_store reqwest)
never prometheus-model "${async[@]}" parquet serde prometheus-chunks
never prometheus-re2 "${async[@]}" parquet serde prometheus-model
never prometheus-chunks "${async[@]}" parquet serde prometheus-tsdb-index
never prometheus-tsdb-index "${async[@]}" parquet serde prometheus-chunks
never prometheus-tsdb-block "${async[@]}" parquet promparquet-schema
never prometheus-queryable "${async[@]}" parquet promparquet-schema prometheus-tsdb-index
never prometheus-promql "${async[@]}" parquet serde promparquet-schema promparquet-shard promparquet-query
never promparquet-schema "${async[@]}" parquet serde prometheus-chunks
never promparquet-objstore parquet promparquet-schema promparquet-shard
never promparquet-shard promparquet-convert axum tonic clap
never prometheus-tsdb-query object_store parquet promparquet-schema promparquet-objstore prometheus-promql
never promparquet-query promparquet-convert prometheus-promql prometheus-tsdb-query axum tonic clap
never promparquet-convert promparquet-testkit promparquet-query promparquet-catalog axum tonic clap
never promparquet-catalog promparquet-convert prometheus-promql prometheus-tsdb-query axum tonic clap
# HTTP, gRPC and JSON of answers are the gateway's alone; it writes no shards.
never promparquet-gateway promparquet-convert promparquet-testkit clap
exit $failed
