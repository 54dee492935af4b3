#!/usr/bin/env bash
# Converts from an S3 bucket into another, in a moto server if none is configured: the files must be the very ones that a
# conversion on disk makes, a second run must have nothing to do, and failures must be told.
[[ -n ${PROMPARQUET_TEST_OBJSTORE:-} ]] || exec "$(dirname "$0")/../testdata/stores/with-moto.sh" "$(realpath "$0")"
source "$(dirname "$0")/judging.sh"
build
environment moto testdata/stores/requirements.txt
yaml=$PROMPARQUET_TEST_OBJSTORE
endpoint=http://$(sed -n 's/^ *endpoint: //p' <<<"$yaml")

# s3 get <key>: an object's bytes; fails if there is none. s3 delete <key>
s3() {
  "$environment/bin/python" - "$endpoint" "$1" "$2" <<'PYTHON'
import sys, boto3, botocore
s3 = boto3.client("s3", endpoint_url=sys.argv[1], aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1")
try:
    if sys.argv[2] == "get":
        sys.stdout.buffer.write(s3.get_object(Bucket="blocks", Key=sys.argv[3])["Body"].read())
    else:
        s3.delete_object(Bucket="blocks", Key=sys.argv[3])
except botocore.exceptions.ClientError as error:
    sys.exit(f"{sys.argv[3]}: {error}")
PYTHON
}

"$blockgen" --quiet --preset small --native-histograms 0.2 "$work/tsdb" >/dev/null
block=$(basename "$work"/tsdb/*)
(cd "$work/tsdb" && find . -type f -printf '%P\n') | while read -r file; do
  curl --silent --show-error --fail --upload-file "$work/tsdb/$file" "$endpoint/blocks/tsdb/$file"
done

convert() {
  "$gateway" convert --tsdb.objstore-config "$yaml
prefix: tsdb" --parquet.objstore-config "$yaml
prefix: parquet" "$@"
}
convert --verify
"$gateway" convert --tsdb.storage.prefix "$work/tsdb" --parquet.storage.prefix "$work/parquet" >/dev/null
for file in 0.labels.parquet 0.chunks.parquet parquet-converter-mark.json; do
  s3 get "parquet/$block/$file" | cmp - "$work/parquet/$block/$file"
done
convert >"$work/log" 2>&1
grep --quiet "converted before" "$work/log" || { echo "FAIL a second run converted again"; cat "$work/log"; exit 1; }
"$gateway" inspect "$block" --objstore-config "$yaml
prefix: parquet" >"$work/log"
grep --quiet "500 series" "$work/log" || { echo "FAIL inspect"; cat "$work/log"; exit 1; }

# A block without its segment must fail, say so, and leave no mark.
s3 delete "tsdb/$block/chunks/000001"
if convert --force >"$work/log" 2>&1; then
  echo "FAIL a block without its segment was converted"
  exit 1
fi
grep --quiet "$block: error" "$work/log" || { cat "$work/log"; exit 1; }
if s3 get "parquet/$block/parquet-converter-mark.json" >/dev/null 2>&1; then
  echo "FAIL the mark outlived a failed conversion"
  exit 1
fi
# So must a bucket that nobody serves.
if timeout 120 "$gateway" convert --tsdb.objstore-config "type: S3
config: { bucket: blocks, endpoint: '127.0.0.1:9', insecure: true, access_key: k, secret_key: s, max_retries: 1 }" \
  --parquet.storage.prefix "$work/nowhere" >"$work/log" 2>&1; then
  echo "FAIL a bucket that nobody serves was converted"
  exit 1
fi
verdict
