#!/usr/bin/env bash
# Converts blocks in many ways and lets the Go library, pyarrow and DuckDB read the files: every sample must be the same.
source "$(dirname "$0")/judging.sh"
build
interop=testdata/interop/run.sh
"$interop" build

# judge <source bucket> <block> <flag>...: converts the block, verifies it ourselves and by the others.
n=0
judge() {
  local source=$1 block=$2 out=$work/$((n += 1)) shards
  shift 2
  "$gateway" convert --tsdb.storage.prefix "$source" --parquet.storage.prefix "$out" --verify "$@" >"$work/log" 2>&1 || {
    fail "convert $source $*"
    cat "$work/log"
    return
  }
  shards=$(find "$out/$block" -name '*.labels.parquet' | wc -l)
  "$interop" verify "$out" "$block" "$shards" "$source/$block" -- -tombstones || fail "judges on $source $*"
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

# blocks <directory>: the blocks in it, by start and ULID: the order in which convert merges them, the first winning.
blocks() {
  python3 - "$1" <<'PYTHON'
import glob, json, os, sys
metas = [(json.load(open(path)), os.path.dirname(path)) for path in glob.glob(sys.argv[1] + "/*/meta.json")]
for meta, directory in sorted(metas, key=lambda m: (m[0]["minTime"], m[0]["ulid"])):
    print(directory)
PYTHON
}

# What the Go library loses: XOR2, start timestamps, overlap, replicas. Prometheus' own code makes the blocks, and merges
# them into one without XOR2 chunks and start timestamps, with which the Go readers compare our files.
for kind in xor2 st mixed overlap ha; do
  "$interop" tsdb make -kind $kind -out "$work/$kind" >/dev/null
  mapfile -t made < <(blocks "$work/$kind")
  joined=$(IFS=,; echo "${made[*]}")
  "$interop" tsdb plain -block "$joined" -out "$work/$kind-plain" >/dev/null
  plain=$(blocks "$work/$kind-plain")
  flags=(--verify)
  ((${#made[@]} == 1)) || flags+=(--merge)
  "$gateway" convert --tsdb.storage.prefix "$work/$kind" --parquet.storage.prefix "$work/$kind-parquet" "${flags[@]}" \
    >"$work/log" 2>&1 || { cat "$work/log"; failed=1; }
  mapfile -t sets < <(cd "$work/$kind-parquet" && ls -d 0*/)
  if ((${#sets[@]} != 1)); then
    fail "$kind: expected one shard set, found ${sets[*]}"
    continue
  fi
  "$interop" verify "$work/$kind-parquet" "${sets[0]%/}" 1 "$plain" || fail "judges on $kind"
  # Kept as they are, XOR2 and start timestamps must come back from Parquet, although Go's readers of today refuse them.
  "$gateway" convert --tsdb.storage.prefix "$work/$kind" --parquet.storage.prefix "$work/$kind-kept" "${flags[@]}" \
    --convert.keep-start-timestamps >"$work/log" 2>&1 || { cat "$work/log"; failed=1; }
  "$gateway" export tsdb --parquet.storage.prefix "$work/$kind-kept" --name "${sets[0]%/}" --output "$work/$kind-back" \
    >"$work/log" 2>&1 || { cat "$work/log"; failed=1; }
  if ((${#made[@]} == 1)); then
    "$interop" tsdb compare -a "${made[0]}" -b "$(blocks "$work/$kind-back")" || failed=1
  fi
done

# The same block twice is the block once.
"$interop" tsdb make -kind ha -out "$work/twice" >/dev/null
mapfile -t replicas < <(blocks "$work/twice")
first=${replicas[0]}
rm -rf "${replicas[@]:1}"
again=$work/twice/01ARZ3NDEKTSV4RRFFQ69G5FAV
cp -r "$first" "$again"
sed -i "s/$(basename "$first")/01ARZ3NDEKTSV4RRFFQ69G5FAV/g" "$again/meta.json"
"$gateway" convert --tsdb.storage.prefix "$work/twice" --parquet.storage.prefix "$work/twice-parquet" --merge --verify \
  >"$work/log" 2>&1 || { cat "$work/log"; failed=1; }
"$interop" verify "$work/twice-parquet" "$(basename "$work"/twice-parquet/0*)" 1 "$first" || fail "judges on the same block twice"
verdict
