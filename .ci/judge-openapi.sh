#!/usr/bin/env bash
# Schemathesis asks a served block whatever Prometheus' OpenAPI description allows, and more: no server error, and answers conform.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${OPENAPI_CACHE:-$HOME/.cache/promparquet-openapi}
if [[ ! -x $cache/bin/schemathesis ]] || ! "$cache/bin/pip" freeze | grep -qxFf testdata/openapi/requirements.txt; then
  python3 -m venv "$cache"
  "$cache/bin/pip" install --quiet --requirement testdata/openapi/requirements.txt
fi

gateway=${PARQUET_GATEWAY:-$PWD/target/release/parquet-gateway}
work=$(mktemp -d)
server=
cleanup() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# The description that a Prometheus of this version serves, by its own tests.
module=$(cd testdata/interop/promql && go mod download github.com/prometheus/prometheus && go list -m -f '{{.Dir}}' github.com/prometheus/prometheus)
cp "$module/web/api/v1/testdata/openapi_3.1_golden.yaml" "$work/openapi.yaml"

# Series and times of the description's examples.
awk 'BEGIN {
  print "# TYPE up gauge"
  for (i = 0; i < 480; i++) for (s = 0; s < 4; s++)
    printf "up{job=\"%s\",instance=\"localhost:909%d\"} %d %d\n", s % 2 ? "prometheus" : "node", s, s != 3, 1767357000 + i * 15
  print "# TYPE http_requests counter"
  for (i = 0; i < 480; i++) for (s = 0; s < 4; s++)
    printf "http_requests_total{code=\"%d\",path=\"/p%d\"} %d %d\n", 200 + 100 * (s % 2), s, i * (s + 1), 1767357000 + i * 15
  print "# EOF"
}' >"$work/openmetrics.txt"
promtool tsdb create-blocks-from openmetrics "$work/openmetrics.txt" "$work/blocks" >/dev/null
"$gateway" convert --tsdb.storage.prefix "$work/blocks" --parquet.storage.prefix "$work/parquet" >/dev/null
"$gateway" serve --storage.prefix "$work/parquet" --http.address 127.0.0.1 --http.prometheus.port 19120 \
  --http.internal.port 19122 --http.thanos.port 19123 >"$work/gateway.log" &
server=$!
curl --silent --fail --retry 60 --retry-delay 1 --retry-connrefused --retry-all-errors http://127.0.0.1:19120/-/ready >/dev/null

# What is served of it; the rest is for scraping, rules and administration.
served='query|query_range|query_exemplars|format_query|parse_query|labels|label/\{name\}/values|series|metadata|rules|alerts'
served+='|status/runtimeinfo|status/buildinfo|status/flags|status/tsdb'
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
cd "$work"
failed=0
"$cache/bin/schemathesis" --config-file "$OLDPWD/testdata/openapi/schemathesis.toml" run openapi.yaml --url http://127.0.0.1:19120/api/v1 \
  --include-path-regex "^/($served)\$" --phases examples,coverage,fuzzing --checks "$checks,unsupported_method" \
  --max-examples 150 --seed "${SEED:-1}" --continue-on-failure --no-color --warnings off >report.txt 2>&1 || failed=1
grep -q 'Tested: 22' report.txt || { echo "FAIL not all of the endpoints were asked" && failed=1; }
((failed == 0)) || sed -n '/FAILURES/,$p' report.txt
if grep -E '"level":"(ERROR)"|panicked' gateway.log; then
  echo "FAIL the gateway complains"
  failed=1
fi
echo "DONE $(grep -oE '[0-9]+ generated' report.txt || echo none) requests by Prometheus' OpenAPI description"
exit $failed
