//! Chunks of a block that Prometheus' head wrote: each is what its own samples are encoded to.

use std::{fs, path::PathBuf};

use prometheus_chunks::{
    Encoding, RechunkOptions, Rechunker, ValueKind, counter_reset_header, set_counter_reset_header,
};

/// The encoding and data of each chunk of a segment file: `8 bytes | { uvarint length | encoding | data | crc32 }`.
fn chunks(mut segment: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
    segment = &segment[8..];
    let mut chunks = vec![];
    while !segment.is_empty() {
        let (mut length, mut shift) = (0, 0);
        while let [byte, rest @ ..] = segment {
            segment = rest;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                break;
            }
        }
        chunks.push((Encoding::try_from(segment[0]).unwrap(), segment[1..=length].to_vec()));
        segment = &segment[length + 5..];
    }
    chunks
}

#[test]
fn chunks_of_a_block() {
    let shared = std::env::var_os("PROMPARQUET_SHARED").map_or_else(
        || [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared"].iter().collect::<PathBuf>(),
        PathBuf::from,
    );
    let block = shared.join("fixtures/parquet-common-go/tsdb-small/01JGFSEP80VHQAZ8FEAQD9QWMS");
    let Ok(segment) = fs::read(block.join("chunks/000001")) else {
        eprintln!("SKIPPED: no chunk segment in {}", block.display());
        return;
    };
    let options = RechunkOptions { max_samples_per_chunk: u16::MAX.try_into().unwrap(), start_timestamps: false };
    let mut rechunker = Rechunker::new(options);
    let (mut floats, mut histograms) = (0, 0);
    for (encoding, data) in chunks(&segment) {
        let mut samples = vec![];
        prometheus_chunks::decode(encoding, &data, &mut samples).unwrap();
        for sample in &samples {
            assert_eq!(rechunker.push(sample).unwrap(), None, "samples of one chunk go into one chunk");
        }
        let mut again = rechunker.finish().unwrap();
        assert_eq!((again.encoding, usize::from(again.samples)), (encoding, samples.len()));
        if encoding.value_kind() == Some(ValueKind::Float) {
            floats += samples.len();
        } else {
            histograms += samples.len();
            // What the chunk before was like, only the head knew.
            let header = counter_reset_header(encoding, &data).unwrap();
            set_counter_reset_header(encoding, &mut again.data, header).unwrap();
        }
        assert_eq!(again.data, data, "other bytes than Prometheus");
    }
    // As the fixture's README says.
    assert_eq!((floats, histograms), (136_462, 1760));
}
