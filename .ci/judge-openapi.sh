#!/usr/bin/env bash
# Schemathesis asks a served block whatever Prometheus' OpenAPI description allows, and more: no server error, and answers conform.
source "$(dirname "$0")/judging.sh"
build
environment openapi testdata/openapi/requirements.txt

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
serve gateway "$work/parquet"
ready "$api/-/ready"

# What is served of it; the rest is for scraping, rules and administration.
served='query|query_range|query_exemplars|format_query|parse_query|labels|label/\{name\}/values|series|metadata|rules|alerts'
served+='|status/runtimeinfo|status/buildinfo|status/flags|status/tsdb'
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
config=$PWD/testdata/openapi/schemathesis.toml
cd "$work" # it writes there
"$environment/bin/schemathesis" --config-file "$config" run openapi.yaml --url "$api/api/v1" \
  --include-path-regex "^/($served)\$" --phases examples,coverage,fuzzing --checks "$checks,unsupported_method" \
  --max-examples 150 --seed "${SEED:-1}" --continue-on-failure --no-color --warnings off >report.txt 2>&1 || failed=1
grep -q 'Tested: 22' report.txt || fail "not all of the endpoints were asked"
((failed == 0)) || sed -n '/FAILURES/,$p' report.txt
calm ERROR gateway.log
echo "DONE $(grep -oE '[0-9]+ generated' report.txt || echo none) requests by Prometheus' OpenAPI description"
verdict
