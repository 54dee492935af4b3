#!/usr/bin/env bash
# The independent judges of the Parquet files that this workspace writes. See README.md.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# Binaries and the Python environment are build products, kept where cargo keeps its own.
out=${CARGO_TARGET_DIR:-$root/target}/interop

usage() {
  cat <<'USAGE'
usage: run.sh build                                          build the judges
       run.sh verify <bucket> <name> <shards> <block>... [-- <flag>...]
                                                             verify, then inspect -strict, then python
       run.sh inspect <bucket> <name> <shards> [<flag>...]   inspect -strict alone
       run.sh python <file>...                               pyarrow and DuckDB
       run.sh format <argument>...                           the reference judge as it is, e.g. convert
       run.sh tsdb <argument>...                             the block maker and comparer as it is
       run.sh regex                                          make testdata/regex and the crate re2's tables anew
       run.sh promql [<argument>...]                         make testdata/promql-parser and testdata/histograms anew; or the program as it is
       run.sh promqltest [<script or directory>...]         scripts of PromQL with Prometheus' engine; testdata/promqltest by default
       run.sh promqltest-fill <script>...                    write Prometheus' answers below evaluations that expect nothing
       run.sh promqltest-random <dir> <seed> <count>         scripts at random, with Prometheus' answers
       run.sh promql-judge [--seed N] [--count N]            random queries, asked of Prometheus 3.15 and of our engine
       run.sh selftest                                       the judges' own tests, on good and on damaged files

Several blocks are merged by sample; the first given wins where they differ. Flags after -- go to verify. The
environment variables INTEROP_SORT, INTEROP_BLOOM (comma-separated labels) and INTEROP_MAX_SAMPLES tell inspect what
the converter was told, where that is not the default; INTEROP_STRICT=false spares files of the reference.
Every judge prints one line, PASS ... or FAIL ...; the exit code is 0 only if all passed.
USAGE
}

build() {
  mkdir -p "$out/bin"
  local module
  for module in format tsdb; do
    # Go's own build cache makes this cheap when nothing changed.
    (cd "$here/$module" && go build -o "$out/bin/$module" .) || {
      echo "FAIL build $module"
      return 1
    }
  done
}

# What the crate promql is tested against; no judge, and the same on every run.
promql() {
  if (($# == 0)); then
    (cd "$here/promql" && go run . histograms -out "$root/testdata/histograms")
    set -- corpus -out "$root/testdata/promql-parser" -scripts "${PROMPARQUET_SHARED:-$root/../shared}/acceptance/promqltest"
  fi
  (cd "$here/promql" && go vet ./... && go run . "$@")
}

# One of the tests in promqltest, because Prometheus runs scripts in tests only. The rest are environment variables.
promqltest() {
  local test=$1
  shift
  (cd "$here/promqltest" && go vet ./... && env "$@" go test -count=1 -run "^$test\$" .) && echo "PASS promqltest $test"
}

# joined prints absolute paths with colons between them.
joined() {
  local path list=""
  for path in "$@"; do
    list+=${list:+:}$(realpath "$path")
  done
  echo "$list"
}

# Our engine against Prometheus', which answers in this program.
promql_judge() {
  mkdir -p "$out/bin"
  (cd "$here/promql" && go build -o "$out/bin/promql" .) || {
    echo "FAIL build promql"
    return 1
  }
  local judge=${CARGO_TARGET_DIR:-$root/target}/release/promql_judge
  [[ -x $judge ]] || (cd "$root" && cargo build --release --quiet --package promparquet-testkit --bin promql_judge)
  "$judge" engine --program "$out/bin/promql" "$@"
}

# python_bin prints a Python that has the pinned packages; it makes a virtual environment if there is none yet.
python_bin() {
  local venv=$out/python stamp
  stamp=$(cksum <"$here/python/requirements.txt")
  if [[ ! -x $venv/bin/python || $(cat "$venv/requirements.cksum" 2>/dev/null) != "$stamp" ]]; then
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/python/requirements.txt" >&2
    echo "$stamp" >"$venv/requirements.cksum"
  fi
  echo "$venv/bin/python"
}

python_check() {
  local python
  python=$(python_bin) || {
    echo "FAIL python: no environment with the pinned packages"
    return 1
  }
  "$python" -B "$here/python/check_files.py" "$@"
}

inspect() {
  local bucket=$1 name=$2 shards=$3
  shift 3
  "$out/bin/format" inspect "-strict=${INTEROP_STRICT:-true}" -bucket "$bucket" -name "$name" -shards "$shards" \
    ${INTEROP_SORT:+-sort "$INTEROP_SORT"} ${INTEROP_BLOOM:+-bloom "$INTEROP_BLOOM"} \
    ${INTEROP_MAX_SAMPLES:+-max-samples "$INTEROP_MAX_SAMPLES"} "$@"
}

verify() {
  local bucket=$1 name=$2 shards=$3 blocks="" files=() failed=0 i
  shift 3
  while (($#)) && [[ $1 != -- ]]; do
    blocks+=${blocks:+,}$1
    shift
  done
  (($# == 0)) || shift
  for ((i = 0; i < shards; i++)); do
    files+=("$bucket/$name/$i.labels.parquet" "$bucket/$name/$i.chunks.parquet")
  done
  "$out/bin/format" verify -bucket "$bucket" -name "$name" -shards "$shards" -block "$blocks" "$@" || failed=1
  inspect "$bucket" "$name" "$shards" || failed=1
  python_check "${files[@]}" || failed=1
  return "$failed"
}

selftest() {
  local module failed=0 python
  [[ -d ${PROMPARQUET_SHARED:-$root/../shared}/fixtures/parquet-common-go ]] ||
    echo "SKIPPED selftest format: the reference's files are not there; set PROMPARQUET_SHARED" >&2
  for module in format tsdb; do
    if (cd "$here/$module" && go vet ./... && go test ./...); then
      echo "PASS selftest $module"
    else
      echo "FAIL selftest $module"
      failed=1
    fi
  done
  python=$(python_bin)
  if "$python" -B -m unittest discover --quiet --start-directory "$here/python"; then
    echo "PASS selftest python"
  else
    echo "FAIL selftest python"
    failed=1
  fi
  return "$failed"
}

# What the crate re2 is tested against, and Go's Unicode tables; no judge, and the same on every run.
regex() {
  (cd "$here/regex" && go vet ./... && go run . corpus "$root/testdata/regex" \
    && go run . tables "$root/crates/re2/src/unicode/tables.rs" && cd "$root" && cargo fmt --package prometheus-re2)
}

command=${1:-}
shift || true
case $command in
  build) build && echo "PASS build" ;;
  verify)
    (($# >= 4)) || { usage >&2; exit 2; }
    build && verify "$@"
    ;;
  inspect)
    (($# >= 3)) || { usage >&2; exit 2; }
    build && inspect "$@"
    ;;
  python)
    (($# >= 1)) || { usage >&2; exit 2; }
    python_check "$@"
    ;;
  format | tsdb) build && "$out/bin/$command" "$@" ;;
  regex) regex && echo "PASS regex" ;;
  promql) promql "$@" ;;
  promql-judge) promql_judge "$@" ;;
  promqltest)
    (($# >= 1)) || set -- "$root/testdata/promqltest"
    promqltest TestScripts PROMQL_SCRIPTS="$(joined "$@")"
    ;;
  promqltest-fill)
    (($# >= 1)) || { usage >&2; exit 2; }
    promqltest TestFill PROMQL_FILL="$(joined "$@")"
    ;;
  promqltest-random)
    (($# == 3)) || { usage >&2; exit 2; }
    mkdir -p "$1"
    promqltest TestRandom PROMQL_RANDOM="$(joined "$1")" PROMQL_SEED="$2" PROMQL_COUNT="$3"
    ;;
  selftest) selftest ;;
  help | -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
