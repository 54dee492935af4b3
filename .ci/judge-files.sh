#!/usr/bin/env bash
# Converts blocks in many ways and lets the Go library, pyarrow and DuckDB read the files: every sample must be the same.
set -euo pipefail
cd "$(dirname "$0")/.."

gateway=target/release/parquet-gateway
interop=testdata/interop/run.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
"$interop" build

# judge <source bucket> <block> <flag>...: converts the block, verifies it ourselves and by the others.
n=0
judge() {
  local source=$1 block=$2 out=$work/$((n += 1)) shards
  shift 2
  "$gateway" convert --tsdb.storage.prefix "$source" --parquet.storage.prefix "$out" --verify "$@" >"$work/log" 2>&1 || {
    echo "FAIL convert $source $*"
    cat "$work/log"
    failed=1
    return
  }
  shards=$(find "$out/$block" -name '*.labels.parquet' | wc -l)
  "$interop" verify "$out" "$block" "$shards" "$source/$block" -- -tombstones || {
    echo "FAIL judges on $source $*"
    failed=1
  }
  rm -rf "$out"
}

shared=${PROMPARQUET_SHARED:-../shared}
if [[ -d $shared/fixtures ]]; then
  ulid=01JGFSEP80VHQAZ8FEAQD9QWMS
  fixtures=$(cd "$shared/fixtures/parquet-common-go" && pwd)
  for source in "$fixtures/tsdb-small" "$fixtures/tsdb-small-tombstones"; do
    judge "$source" $ulid
    judge "$source" $ulid --convert.row-group.size 150 --convert.row-group.count 2
    judge "$source" $ulid --convert.column-duration 30m
    judge "$source" $ulid --convert.labels-compression snappy --convert.chunks-compression snappy
    judge "$source" $ulid --convert.labels-compression none --convert.chunks-compression none
    judge "$source" $ulid --convert.page-size 2KiB --convert.chunk-page-size 2KiB
    INTEROP_SORT=__name__,namespace,pod judge "$source" $ulid \
      --convert.sorting.label __name__ --convert.sorting.label namespace --convert.sorting.label pod
    judge "$source" $ulid --convert.max-columns 40
    INTEROP_MAX_SAMPLES=40 judge "$source" $ulid --convert.samples-per-chunk 40
    judge "$source" $ulid --convert.row-group.bytes 50KB --convert.read-concurrency 1
  done
else
  echo "SKIPPED fixtures of the Go library: no $shared"
fi
exit $failed
