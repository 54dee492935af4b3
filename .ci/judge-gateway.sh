#!/usr/bin/env bash
# promtool asks the gateway, and a real Prometheus that has the same blocks: both must say the same.
source "$(dirname "$0")/judging.sh"
build

awk 'BEGIN {
  print "# TYPE requests counter"
  for (i = 0; i < 960; i++) for (s = 0; s < 6; s++)
    printf "requests_total{path=\"/p%d\",code=\"%d\"} %d %d\n", s % 3, 200 + 100 * (s % 2), (i * (s + 1)) % 700, 1735689600 + i * 15
  print "# TYPE temperature gauge"
  for (i = 0; i < 960; i++) printf "temperature{place=\"näh, \\\"quoted\\\"\"} %.3f %d\n", 20 + 5 * sin(i / 50), 1735689600 + i * 15
  print "# TYPE latency histogram"
  for (i = 0; i < 960; i++) {
    printf "latency_bucket{le=\"0.1\"} %d %d\n", i, 1735689600 + i * 15
    printf "latency_bucket{le=\"0.5\"} %d %d\n", 3 * i, 1735689600 + i * 15
    printf "latency_bucket{le=\"+Inf\"} %d %d\n", 4 * i, 1735689600 + i * 15
    printf "latency_count %d %d\n", 4 * i, 1735689600 + i * 15
    printf "latency_sum %.2f %d\n", i * 1.25, 1735689600 + i * 15
  }
  print "# EOF"
}' >"$work/openmetrics.txt"
promtool tsdb create-blocks-from openmetrics "$work/openmetrics.txt" "$work/blocks" >/dev/null
"$gateway" convert --tsdb.storage.prefix "$work/blocks" --parquet.storage.prefix "$work/parquet" --verify >/dev/null

serve gateway "$work/parquet"
ready "$api/-/ready"
declare -A server=([ours]=$api)
port=$(free_ports 1)
serve_prometheus "$port" "$work/blocks"
server[theirs]=http://127.0.0.1:$port

# Prometheus 3 adds floats up more exactly than 2, so that the last digits may differ.
cat >"$work/compare.py" <<'PYTHON'
import re, sys
number = re.compile(r"(?<![\w./])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w./])")
def lines(path):
    found = [(number.sub("N", line), [float(n) for n in number.findall(line)]) for line in open(path, encoding="utf-8")]
    # Times stand last.
    return sorted(found, key=lambda line: (line[0], line[1][::-1]))
ours, theirs = map(lines, sys.argv[1:])
close = lambda a, b: abs(a - b) <= 1e-9 * max(abs(a), abs(b))
sys.exit(not (len(ours) == len(theirs) and all(a[0] == b[0] and all(map(close, a[1], b[1])) for a, b in zip(ours, theirs))))
PYTHON

# Prometheus 3's ranges are open at their start, so no time is that of a sample.
# same <promtool query arguments, with SERVER for the server>...: asks both.
same() {
  local side
  for side in ours theirs; do
    promtool query "${@//SERVER/${server[$side]}}" >"$work/$side.raw" 2>&1 || true
    # Prometheus 2 names the parameter in some errors only.
    sed "s|${server[$side]}|SERVER|g; s|invalid parameter \"query\": ||" "$work/$side.raw" >"$work/$side.txt"
  done
  if python3 "$work/compare.py" "$work/ours.txt" "$work/theirs.txt"; then
    answers=$((answers + 1)) lines=$((lines + $(wc -l <"$work/ours.txt")))
  else
    fail "promtool query $*"
    diff "$work/ours.txt" "$work/theirs.txt" | sed -n 1,10p || true
  fi
}
answers=0 lines=0

# shellcheck disable=SC2016 # $1 is for label_replace
queries=(
  'requests_total' 'sum by (code) (rate(requests_total[5m]))' 'increase(requests_total{path="/p1"}[10m])'
  'histogram_quantile(0.9, rate(latency_bucket[5m]))' 'temperature{place="näh, \"quoted\""} offset 5m'
  'max_over_time(temperature[30m:1m])' 'topk(2, requests_total)' 'requests_total / on (path, code) requests_total'
  'count(requests_total) by (path)' 'absent(nothing)' 'avg_over_time(temperature[1h])' '1 + 1' 'nothing'
  'label_replace(requests_total, "p", "$1", "path", "/(.*)")' 'delta(temperature[20m])' 'changes(requests_total[1h])'
  'rate(latency_sum[5m]) / rate(latency_count[5m])' 'requests_total > 300' 'sort_desc(requests_total)' 'sum(' 'rate(requests_total)'
  'requests_total @ 1735693200' 'predict_linear(temperature[30m], 3600)' 'requests_total[1m]'
)
for query in "${queries[@]}"; do
  for time in 1735689607 1735693207 1735696543.5 1735703992; do
    same instant --time="$time" SERVER "$query"
  done
  same range --start=1735689607 --end=1735704007 --step=1m SERVER "$query"
done
same labels SERVER __name__
same labels SERVER path
same labels SERVER nothing
same series --match='requests_total' --match='{le="0.5"}' SERVER
same series --match='{code=~"2.*"}' --start=1735689600 --end=1735690000 SERVER
((lines > 3000)) || fail "only $lines lines were compared"
echo "DONE $answers answers of $lines lines are those of a real Prometheus"

# With a web configuration: promtool takes it for one, and asks by TLS and with a password; curl with a token, and with HTTP/2.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
  -addext basicConstraints=critical,CA:FALSE -keyout "$work/server.key" -out "$work/server.pem" 2>/dev/null
hash=$(perl -e 'print crypt("a secret", q($2y$05$QOauhQNbBCuQDKes6eFzPe))')
printf 'tls_server_config: {cert_file: server.pem, key_file: server.key}\nbasic_auth_users: {me: %s}\n' "$hash" >"$work/web.yml"
promtool check web-config "$work/web.yml" >/dev/null 2>&1 || fail "promtool does not take the web configuration"
echo "bearer_tokens_file: tokens" >>"$work/web.yml"
echo 0123456789abcdef >"$work/tokens"
serve guarded "$work/parquet" --web.config.file "$work/web.yml"
guarded=${api/http/https} guarded_internal=${internal/http/https}
ready --cacert "$work/server.pem" --user "me:a secret" "$guarded/-/ready"
ask() { curl --silent --cacert "$work/server.pem" --output /dev/null --write-out '%{http_code} %{http_version}' "$@"; }
expect() { [[ $1 == "$2" ]] || fail "web configuration: $1 instead of $2"; }
expect "$(ask --user "me:a secret" "$guarded/api/v1/labels")" "200 2"
expect "$(ask --http1.1 --header "Authorization: Bearer 0123456789abcdef" "$guarded/metrics")" "404 1.1"
expect "$(ask --user "me:a secret" "$guarded_internal/metrics")" "200 2"
expect "$(ask "$guarded/api/v1/labels")" "401 2"
expect "$(ask --user "me:no secret" "$guarded_internal/metrics")" "401 2"
expect "$(curl --silent "$api/")" "Client sent an HTTP request to an HTTPS server."
expect "$(SSL_CERT_FILE=$work/server.pem promtool query instant --time=1735693207 "${guarded/'//'/'//me:a%20secret@'}" 'count(requests_total)' | cut -d' ' -f1-3)" "{} => 6"
if grep -rqE "a secret|0123456789abcdef|2y.05" "$work/guarded.log"; then fail "a secret is in the log"; fi
calm "WARN|ERROR" "$work/gateway.log" "$work/guarded.log"
verdict
