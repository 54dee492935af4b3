#!/usr/bin/env bash
# Runs a command with PROMPARQUET_TEST_OBJSTORE naming a bucket of a moto server, which speaks S3.
source "$(dirname "$0")/../../.ci/judging.sh"
environment moto testdata/stores/requirements.txt
port=$(free_ports 1)
start moto "$environment/bin/moto_server" --host 127.0.0.1 --port "$port"
# Making the bucket is also the probe for the server being up.
ready --request PUT "http://127.0.0.1:$port/blocks"
export PROMPARQUET_TEST_OBJSTORE="
type: S3
config:
  bucket: blocks
  endpoint: 127.0.0.1:$port
  insecure: true
  access_key: key
  secret_key: secret
"
"$@" || failed=$?
verdict
