//! The generated code is that of the protobuf files. `UPDATE_PROTOS=1 cargo test -p promparquet-gateway --test protos`
//! writes it anew.

use std::path::Path;

use prost::Message;

const FILES: [&str; 5] = ["info.proto", "labels.proto", "prompb.proto", "query.proto", "store.proto"];

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(FILES, [root.join("proto")]).unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .client_mod_attribute("thanos", "#[cfg(test)]")
        .bytes(".thanos.Chunk.data")
        .extern_path(".prometheus_copy", "crate::prompb")
        .emit_rerun_if_changed(false)
        .out_dir(out.path())
        .compile_fds(descriptors.clone())
        .unwrap();
    // What reflection gives.
    let mut bytes = descriptors;
    bytes.file.iter_mut().for_each(|file| file.source_code_info = None);
    std::fs::write(out.path().join("descriptors.bin"), bytes.encode_to_vec()).unwrap();

    let generated = root.join("src/grpc/generated");
    let mut checked = 0;
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let name = entry.unwrap().file_name();
        let made = std::fs::read(out.path().join(&name)).unwrap();
        if std::env::var_os("UPDATE_PROTOS").is_some() {
            std::fs::write(generated.join(&name), &made).unwrap();
        }
        let kept = std::fs::read(generated.join(&name)).unwrap();
        assert!(kept == made, "{name:?} is not what the protobuf files say: run with UPDATE_PROTOS=1");
        checked += 1;
    }
    assert_eq!(checked, std::fs::read_dir(&generated).unwrap().count());
}
