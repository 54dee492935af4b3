#!/usr/bin/env bash
# Buckets as thanos-parquet-gateway lays them out, written in Go by testdata/interop/gateway in all versions: the gateway's
# answers from them must be those of a real Prometheus that has the same block, and of the block converted by us.
source "$(dirname "$0")/judging.sh"
build
writer=$work/gateway
(cd testdata/interop/gateway && go vet ./... && go build -o "$writer" .)

# 53 hours every 5 minutes. Of the block's chunks of two hours some buckets have long ones, which reach over columns of 8 hours.
# What Prometheus 2 does not know is left to our own conversion, which others judge.
"$blockgen" --quiet --series 700 --start 2025-01-01T00:00:00Z --hours 53 --interval 5m --no-odd-series --native-histograms 0 "$work/plain" >/dev/null
"$blockgen" --quiet --series 400 --start 2025-01-01T00:00:00Z --hours 53 --interval 5m --native-histograms 0.2 "$work/odd" >/dev/null

# write <bucket> <kind of block> <writer's flags>...
write() {
  local bucket=$work/$1 kind=$2
  shift 2
  "$writer" -bucket "$bucket" -block "$(echo "$work/$kind"/0*)" -row-group-size 100 -row-group-count 3 "$@"
}
write plain0 plain -version 0 -label-page 2048 -chunk-page 8192 -long-chunks 200
write plain1 plain -version 1 -external "zone=a,replica=1"
write plain2 plain -version 2 -label-page 2048 -chunk-page 65536 -long-chunks 120
write odd0 odd -version 0 -without-hash
write odd1 odd -version 1 -chunk-page 4096 -long-chunks 1000
write odd2 odd -version 2 -external "zone=b" -label-page 1024

declare -A url
for kind in plain odd; do
  "$gateway" convert --tsdb.storage.prefix "$work/$kind" --parquet.storage.prefix "$work/$kind-block" >/dev/null
done
for bucket in plain-block odd-block plain0 plain1 plain2 odd0 odd1 odd2; do
  serve $bucket "$work/$bucket"
  ready "$api/-/ready"
  url[$bucket]=$api
done
port=$(free_ports 1)
serve_prometheus "$port" "$work/plain"
url[prometheus]=http://127.0.0.1:$port

cat >"$work/compare.py" <<'PYTHON'
import json, random, sys, urllib.parse, urllib.request

name, ours, theirs, external = sys.argv[1], sys.argv[2], sys.argv[3], dict(p.split("=") for p in sys.argv[4:])
start, hour = 1735689600, 3600

def ask(base, path, **parameters):
    url = f"{base}/api/v1/{path}?" + urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer = json.load(answer)
    assert answer["status"] == "success" and not answer.get("warnings"), answer
    return answer["data"]

def own(metric, is_ours):
    if is_ours and any(metric.get(label) != value for label, value in external.items()):
        sys.exit(f"FAIL {name}: {metric} has not the labels {external}")
    return tuple(sorted((k, v) for k, v in metric.items() if not is_ours or k not in external))

def series(base, query, time):
    found = {}
    for one in ask(base, "query", query=query, time=f"{time:.3f}")["result"]:
        key = own(one["metric"], base == ours)
        if key in found:
            sys.exit(f"FAIL {name}: {key} twice")
        found[key] = (one.get("values", []), one.get("histograms", []))
    return found

random.seed(7)
selectors = ['{__name__=~".+"}', "up", '{namespace=~"a.*|b.*|k.*"}', '{pod!~"a.*", job!=""}', '{__name__="up", job="nothing"}',
             '{pod="", job!=""}', '{__name__=~"http_.*|rpc_.*", code!="200"}']
questions = [('{__name__=~".+"}[55h]', start + 55 * hour)]
for selector in selectors:
    for _ in range(6):
        # Never the time of a sample: whether ranges are closed at their start differs between versions of Prometheus.
        borders = [random.choice([8, 16, 24, 32, 40, 48]) * hour + random.choice([-1.5, 0.5, 61.5]), random.uniform(0, 54) * hour]
        questions.append((f"{selector}[{random.randint(1, 11)}h]", start + random.choice(borders) + 0.25))
samples = 0
for query, time in questions:
    a, b = series(ours, query, time), series(theirs, query, time)
    if a != b:
        differing = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
        print(f"FAIL {name}: {query} at {time}: {len(differing)} series differ, first {differing[0]}")
        print("ours  ", str(a.get(differing[0]))[:300], "\ntheirs", str(b.get(differing[0]))[:300])
        sys.exit(1)
    samples += sum(len(floats) + len(histograms) for floats, histograms in a.values())
times = {"start": start + 30 * hour, "end": start + 31 * hour}
for path, parameters in [("labels", {}), ("labels", {"match[]": "up"}), ("label/job/values", {}), ("label/pod/values", {"match[]": "up"})]:
    everything = {"start": start, "end": start + 60 * hour}
    a, b = (ask(base, path, **everything, **parameters) for base in (ours, theirs))
    if sorted(set(a) - (external.keys() if path == "labels" else set())) != sorted(b):
        sys.exit(f"FAIL {name}: {path} {parameters}: ours {a[:20]}, theirs {b[:20]}")
if samples < 50_000:
    sys.exit(f"FAIL {name}: only {samples} samples were compared")
print(f"PASS {name}: {len(questions)} selects of {samples} samples")
PYTHON

# The commands, without a server: all samples of a bucket, and those of the blocks that its days become, are those of the block.
everything='{__name__=~".+"}'
for bucket in plain0 plain2 odd0 odd1; do
  "$gateway" select "$everything" --in "$work/${bucket%?}-block" >"$work/expected.txt"
  for day in 2025-01-01 2025-01-02 2025-01-03; do
    "$gateway" export tsdb --parquet.storage.prefix "$work/$bucket" --name "$day" --output "$work/$bucket-tsdb" >/dev/null
  done
  "$gateway" convert --tsdb.storage.prefix "$work/$bucket-tsdb" --parquet.storage.prefix "$work/$bucket-again" >/dev/null
  for set in "$bucket" "$bucket-again"; do
    if "$gateway" select "$everything" --in "$work/$set" | cmp -s - "$work/expected.txt"; then
      echo "PASS select of $set: $(wc -l <"$work/expected.txt") samples"
    else
      echo "FAIL select of $set differs from that of the block"
      failed=1
    fi
  done
done
for bucket in plain0 plain1 plain2 odd0 odd1 odd2; do
  external=()
  [[ $bucket != plain1 ]] || external=(zone=a replica=1)
  [[ $bucket != odd2 ]] || external=(zone=b)
  truths=(odd-block)
  [[ $bucket == odd* ]] || truths=(prometheus plain-block)
  for truth in "${truths[@]}"; do
    python3 "$work/compare.py" "$bucket and $truth" "${url[$bucket]}" "${url[$truth]}" "${external[@]}" || failed=1
  done
  calm "WARN|ERROR" "$work/$bucket.log"
done
verdict
