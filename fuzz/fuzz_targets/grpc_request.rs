#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| promparquet_fuzz::run("grpc_request", data));
