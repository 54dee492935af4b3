# shellcheck shell=bash
# shellcheck disable=SC2034 # most variables are for who sources this
# What judges have in common. Who sources this stands in the root of the workspace and has a directory of its own, $work, where the
# temporary files of all its programs are, too. Whatever was started ends with it, however it ends. `verdict` is its last word.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

judge=$(basename "$0" .sh)
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
gateway=$target/release/parquet-gateway
blockgen=$target/release/blockgen
work=$(mktemp -d)
export TMPDIR=$work
failed=0 judged=
trap cleanup EXIT

# build: the release binaries that judges use; always both packages, so that their features stay the same.
build() { cargo build --release --quiet -p parquet-gateway -p promparquet-testkit; }

# fail <what>...: says so, and goes on.
fail() {
  echo "FAIL $judge: $*"
  failed=1
}

# verdict: ends a judge, well only if nothing failed.
verdict() {
  judged=yes
  if ((failed == 0)); then echo "PASS $judge ($SECONDS s)"; else echo "FAIL $judge ($SECONDS s)"; fi
  exit $failed
}

# free_ports <n>: so many of them, on one line.
free_ports() {
  python3 -c 'import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in sockets))' "$1"
}

# start <name> <command>...: runs it in the background; sets $process and $log.
start() {
  log=$work/$1.log
  shift
  "$@" >"$log" 2>&1 &
  process=$!
}

# ready <curl's arguments>: waits until the process started last answers well; the end if that ended, or after a minute.
ready() {
  local end=$((SECONDS + 60))
  until curl --silent --fail --output /dev/null --max-time 10 "$@"; do
    if ! kill -0 "$process" 2>/dev/null || ((SECONDS > end)); then break; fi
    sleep 0.1
  done
  # Somebody else may have answered.
  if kill -0 "$process" 2>/dev/null && ((SECONDS <= end)); then return; fi
  fail "$log, asked by ${*: -1}, is not ready:"
  tail -n 5 "$log"
  exit 1
}

# stop <process>: ends it, and fails if it does not end well within a minute.
stop() {
  kill "$1"
  timeout 60 tail --pid="$1" --sleep-interval=0.1 --follow /dev/null || kill -KILL "$1"
  wait "$1"
}

# serve <name> <directory> <flag>...: a gateway; sets $process, $log, the URLs $api and $internal, and the address $grpc.
serve() {
  local name=$1 directory=$2 ports
  shift 2
  read -ra ports <<<"$(free_ports 3)"
  api=http://127.0.0.1:${ports[0]} internal=http://127.0.0.1:${ports[1]} grpc=127.0.0.1:${ports[2]}
  start "$name" "$gateway" serve --storage.prefix "$directory" --http.address 127.0.0.1 --http.prometheus.port "${ports[0]}" \
    --http.internal.port "${ports[1]}" --http.thanos.port "${ports[2]}" "$@"
}

# serve_prometheus <port> <data> <flag>...: a Prometheus that is ready, with $work/prometheus.yml if there is one; sets $process, $log.
serve_prometheus() {
  local port=$1 data=$2
  shift 2
  [[ -f $work/prometheus.yml ]] || echo '{}' >"$work/prometheus.yml"
  start prometheus prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$data" --storage.tsdb.retention.time 100y \
    --web.listen-address "127.0.0.1:$port" --log.level error "$@"
  ready "http://127.0.0.1:$port/-/ready"
}

# calm <levels> <log>...: there is neither a line of these levels nor a panic in logs of gateways.
calm() {
  local levels=$1 found=0
  shift
  grep -E "\"level\":\"($levels)\"|panicked" "$@" || found=$?
  ((found == 1)) || fail "a gateway complains"
}

# environment <name> <requirements>: a Python with these packages, made when they change; sets $environment, its directory.
environment() {
  environment=$HOME/.cache/promparquet-$1
  if ! cmp -s "$2" "$environment/requirements.txt"; then
    python3 -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
    cp "$2" "$environment/requirements.txt"
  fi
}

# descendants <process>: what it started, and what that started.
descendants() {
  local one
  for one in $(ps -o pid= --ppid "$1"); do
    echo "$one"
    descendants "$one"
  done
}

# cleanup: nothing is left behind, neither processes, also if a signal ended this one, nor files.
cleanup() {
  local status=$? left
  trap '' INT TERM
  set +e # all of it, whatever of it fails
  # Not asked politely: who still writes would bring the directory back.
  mapfile -t left < <(descendants $$)
  kill -KILL "${left[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$work"
  [[ -n $judged ]] || { echo "FAIL $judge ended before its verdict" && exit $((status == 0 ? 1 : status)); }
}
