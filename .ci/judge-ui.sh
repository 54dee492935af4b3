#!/usr/bin/env bash
# The page of `parquet-gateway serve` in a real Chromium, over a converted block. Arguments go to the driver: --screenshots DIR.
source "$(dirname "$0")/judging.sh"
build
environment ui testdata/ui/requirements.txt
command -v chromium >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
}

# Two blocks of two hours with four hours in between, a label value like markup, and a shard set without a mark.
openmetrics() {
  awk -v start="$1" 'BEGIN {
    print "# TYPE requests counter"
    for (i = 0; i < 480; i++) for (s = 0; s < 6; s++)
      printf "requests_total{path=\"/p%d\",code=\"%d\"} %d %d\n", s % 3, 200 + 100 * (s % 2), i * (s + 1), start + i * 15
    print "# TYPE temperature gauge"
    for (i = 0; i < 480; i++) printf "temperature{place=\"<b>näh</b>, \\\"quoted\\\"\"} %.3f %d\n", 20 + 5 * sin(i / 50), start + i * 15
    print "# EOF"
  }'
}
for start in 1735689600 1735711200; do
  openmetrics "$start" >"$work/openmetrics.txt"
  promtool tsdb create-blocks-from openmetrics "$work/openmetrics.txt" "$work/blocks" >/dev/null
done
"$gateway" convert --tsdb.storage.prefix "$work/blocks" --parquet.storage.prefix "$work/parquet" >/dev/null
blocks=("$work"/parquet/*/)
mkdir "$work/parquet/unfinished"
cp "${blocks[0]}"0.*.parquet "$work/parquet/unfinished/"

serve gateway "$work/parquet"
ready "$api/-/ready"
"$environment/bin/python" testdata/ui/drive.py "$api/" "$@" || failed=1
verdict
