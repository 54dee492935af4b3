#!/usr/bin/env bash
# A real Thanos Query over two gateways that are replicas of each other: it must say what one gateway says itself, by series
# and by queries that it hands down, in the clear with snappy and with certificates on both sides.
source "$(dirname "$0")/judging.sh"
build

thanos=$target/interop/bin/thanos
if [[ ! -x $thanos ]]; then
  source=$(cd testdata/interop/dedup && go mod download github.com/thanos-io/thanos && go list -m -f '{{.Dir}}' github.com/thanos-io/thanos)
  # Without the tag it crashes on the first series.
  go build -C "$source" -tags slicelabels -o "$work/thanos" ./cmd/thanos
  install -D "$work/thanos" "$thanos"
fi

grpcurl=${thanos%/*}/grpcurl
if [[ ! -x $grpcurl ]]; then
  GOBIN=${grpcurl%/*} go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
fi

"$blockgen" "$work/blocks" --preset small --native-histograms 0.2 >/dev/null
"$gateway" convert --tsdb.storage.prefix "$work/blocks" --parquet.storage.prefix "$work/parquet" >/dev/null

# An authority, and a certificate of it for server and client.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$work/tls.key" -out "$work/tls.csr" 2>/dev/null
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 -out "$work/tls.pem" \
  -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null

# replica <n> <bucket> <flag>...: a gateway; sets what `serve` does, and notes it.
declare -A replicas apis grpcs
replica() {
  local n=$1 bucket=$2
  shift 2
  serve "gateway$n" "$work/$bucket" --query.external-label cluster=eu --query.external-label "replica=$n" "$@"
  ready "$internal/-/ready"
  replicas[$n]=$process apis[$n]=$api grpcs[$n]=$grpc
}

# start_thanos <flag>...: a Thanos Query; sets $process and $querier, its URL.
start_thanos() {
  local ports
  read -ra ports <<<"$(free_ports 2)"
  querier=http://127.0.0.1:${ports[0]}
  start thanos "$thanos" query --http-address "127.0.0.1:${ports[0]}" --grpc-address "127.0.0.1:${ports[1]}" \
    --query.replica-label replica --log.level warn "$@"
  ready "$querier/-/ready"
}

# query <name> <flag>...: a Thanos Query, asked the questions; compared with the first gateway.
query() {
  local name=$1
  shift
  start_thanos "$@"
  python3 - "$name" "$querier" "${apis[1]}" <<'PYTHON' || failed=1
import json, sys, time, urllib.error, urllib.parse, urllib.request
name, thanos, gateway = sys.argv[1:]

def get(base, path, **params):
    try:
        with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=60) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"FAIL {name}: {base} {path} {params}: {error.read().decode()}")

for attempt in range(100):
    found = [store for kind in get(thanos, "stores").values() for store in kind]
    if len(found) == 2 and all(store["lastError"] is None for store in found):
        break
    time.sleep(0.2)
else:
    sys.exit(f"FAIL {name}: {found}")
assert {"cluster": "eu", "replica": "2"} in [labels for store in found for labels in store["labelSets"]], found

status = get(gateway, "status/tsdb")["headStats"]
end = status["maxTime"] // 1000 - 700
def number(text): return float(text)
def close(a, b): return a == b or (a != a and b != b) or abs(a - b) <= 1e-9 * max(abs(a), abs(b))
def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    try:
        return close(float(a), float(b))
    except (TypeError, ValueError):
        return a == b
def series(answer):
    found = {}
    for one in answer["result"]:
        metric = {k: v for k, v in one["metric"].items() if k != "replica"}
        found[json.dumps(metric, sort_keys=True)] = {k: v for k, v in one.items() if k != "metric"}
    return found

queries = [
    'count by (job) ({job!=""})', 'sum by (job) (rate(container_cpu_usage_seconds_total[5m]))', '{job="edge", __name__!="nh_mixed_types"}',
    'topk(3, count by (__name__) ({__name__!=""}))', 'max_over_time({__name__="edge_special_values"}[10m])', 'nothing', 'count({cluster="eu"})',
    'sum by (namespace) (container_memory_working_set_bytes)', 'avg({job="kubelet"}) by (instance)', '1 + 1', 'count({cluster!="eu", job="edge"})',
]
# Where several engines answer, Thanos' engine (exchange/dedup.go) keeps the last histogram of each series, and gives it again at
# steps where the series has a float. So of a series of both, a range query that was handed down is compared with that.
mixed = '{__name__="nh_mixed_types"}'
def as_thanos(series):
    series = {key: dict(one) for key, one in series.items()}
    for one in series.values():
        last, histograms, floats = None, [], []
        points = [(point, True) for point in one.get("histograms", [])] + [(point, False) for point in one.get("values", [])]
        for (time, value), is_histogram in sorted(points, key=lambda point: point[0][0]):
            last = value if is_histogram else last
            (floats if last is None else histograms).append([time, value if last is None else last])
        one |= {"histograms": histograms} if histograms else {}
        one.pop("values", None)
        one |= {"values": floats} if floats else {}
    return series

compared = 0
for query in queries + [mixed]:
    for path, times in [("query", {"time": end}), ("query_range", {"start": end - 3000, "end": end, "step": 60})]:
        theirs, ours = (get(base, path, query=query, **times) for base in (thanos, gateway))
        if ours["resultType"] == "scalar":
            assert same(theirs["result"], ours["result"]), (query, theirs, ours)
            continue
        theirs, ours = series(theirs), series(ours)
        if query == mixed and path == "query_range":
            assert all({"values", "histograms"} <= one.keys() for one in ours.values()) and ours, ours
            ours = as_thanos(ours) if name == "queries handed down" else ours
        if not same(theirs, ours):
            different = [key for key in theirs.keys() | ours.keys() if not same(theirs.get(key), ours.get(key))]
            print(f"FAIL {name}: {path} {query}: {len(different)} series, such as {different[:1]}:",
                  str([side.get(different[0]) for side in (theirs, ours)])[:600])
            sys.exit(1)
        compared += len(ours)
both = get(thanos, "query", query='count({job!=""})', time=end, dedup="false")["result"][0]["value"][1]
one = get(gateway, "query", query='count({job!=""})', time=end)["result"][0]["value"][1]
assert name == "queries handed down" or float(both) == 2 * float(one), (both, one)
names = get(thanos, "labels", start=end - 3000, end=end)
assert set(get(gateway, "labels", start=end - 3000, end=end)) - {"replica"} <= set(names), names
assert get(thanos, "label/job/values") == get(gateway, "label/job/values")
params = {"match[]": '{job="edge"}', "start": end - 600, "end": end}
without = lambda all: sorted(json.dumps({k: v for k, v in one.items() if k != "replica"}, sort_keys=True) for one in all)
assert without(get(thanos, "series", **params)) == without(get(gateway, "series", **params))
assert compared > 100, compared
print(f"PASS {name}: {compared} series are those of the gateway")
PYTHON
  stop "$process" || fail "Thanos did not end in order"
  ((failed == 0)) || tail -n 5 "$log"
}

# call <expected> <flag>...: grpcurl's answer, all on one line, contains what is expected.
call() {
  local expected=$1 answer
  shift
  answer=$("$grpcurl" -plaintext "$@" 2>&1 | tr -s '[:space:]' ' ') || true
  if [[ $answer != *"$expected"* ]]; then
    fail "grpcurl ${*:1}: $answer"
  fi
}

replica 1 parquet
replica 2 parquet
at=${grpcs[1]}
call 'grpc.health.v1.Health grpc.reflection.v1.ServerReflection thanos.Query thanos.Store thanos.info.Info' "$at" list
call 'rpc Series ( .thanos.SeriesRequest ) returns ( stream .thanos.SeriesResponse );' "$at" describe thanos.Store
call '"name": "replica", "value": "1"' "$at" thanos.info.Info/Info
call '"values": [ "edge" ]' -d '{"label": "job", "end": "9223372036854775807",
  "matchers": [{"type": "RE", "name": "job", "value": "ed.+"}]}' "$at" thanos.Store/LabelValues
call 'results truncated due to limit' -d '{"max_time": "9223372036854775807", "limit": 1, "skip_chunks": true}' "$at" thanos.Store/Series
call '"value": 2 ' -d '{"query": "1 + 1"}' "$at" thanos.Query/Query
call 'Code: InvalidArgument Message: invalid parameter "query": 1:5: parse error' -d '{"query": "sum("}' "$at" thanos.Query/Query
call '"status": "SERVING"' "$at" grpc.health.v1.Health/Check
((failed != 0)) || echo "PASS grpcurl calls what reflection tells of"
both=(--endpoint "${grpcs[1]}" --endpoint "${grpcs[2]}")
query "series" "${both[@]}"
query "queries handed down" "${both[@]}" --query.mode distributed --query.promql-engine thanos --grpc-compression snappy
stop "${replicas[2]}" || fail "a gateway did not end in order"

# A replica whose data are damaged says so, whatever it has sent by then, and Thanos tells whoever asks.
cp -r "$work/parquet" "$work/damaged"
for chunks in "$work"/damaged/*/0.chunks.parquet; do
  dd if=/dev/zero of="$chunks" bs=4 seek=1 count=40000 conv=notrunc status=none
done
replica 2 damaged
start_thanos --endpoint "${grpcs[1]}" --endpoint "${grpcs[2]}" --query.partial-response
python3 - "$querier" "${apis[1]}" <<'PYTHON' || failed=1
import json, sys, time, urllib.error, urllib.parse, urllib.request
thanos, gateway = sys.argv[1:]

def get(base, path, **params):
    try:
        with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)

for attempt in range(100):
    if sum(map(len, get(thanos, "stores")["data"].values())) == 2:
        break
    time.sleep(0.2)
else:
    sys.exit("FAIL damage: Thanos does not find both")
end = get(gateway, "status/tsdb")["data"]["headStats"]["maxTime"] // 1000
ask = {"query": 'count by (job) (last_over_time({job!=""}[1h]))', "time": end}
whole = get(gateway, "query", **ask)
told = get(thanos, "query", partial_response="true", **ask)
refused = get(thanos, "query", partial_response="false", **ask)
values = lambda answer: {one["metric"]["job"]: one["value"] for one in answer["data"]["result"]}
assert values(told) == values(whole) and len(values(whole)) > 3, (told, whole)
assert "0.chunks.parquet" in str(told.get("warnings")), told
assert refused["status"] == "error" and "0.chunks.parquet" in refused["error"], refused
print(f"PASS damage: {told['warnings'][0][:120]}")
PYTHON
for one in "$process" "${replicas[@]}"; do stop "$one" || fail "it did not end in order"; done

tls=(--grpc-server-tls-cert "$work/tls.pem" --grpc-server-tls-key "$work/tls.key" --grpc-server-tls-client-ca "$work/ca.pem")
replica 1 parquet "${tls[@]}"
replica 2 parquet "${tls[@]}"
query "series, with certificates" --endpoint "localhost:${grpcs[1]#*:}" --endpoint "localhost:${grpcs[2]#*:}" --grpc-client-tls-secure \
  --grpc-client-tls-ca "$work/ca.pem" --grpc-client-tls-cert "$work/tls.pem" --grpc-client-tls-key "$work/tls.key" \
  --grpc-client-server-name localhost
ask=(curl --silent --show-error --output /dev/null --http2-prior-knowledge --cacert "$work/ca.pem" "https://localhost:${grpcs[1]#*:}/")
if "${ask[@]}" --cert "$work/tls.pem" --key "$work/tls.key" && ! "${ask[@]}" 2>"$work/refused.txt"; then
  echo "PASS who has no certificate is refused: $(sed -n 1p "$work/refused.txt")"
else
  fail "certificates of clients"
fi
verdict
