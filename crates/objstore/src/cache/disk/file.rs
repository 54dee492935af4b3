//! One subrange in a file.
//!
//! ```text
//! file     = "PPQCACH1" object index length content checksum
//! object   = 32 bytes, as of `ObjectId`
//! index    = u64
//! length   = u32, of content
//! checksum = u64, XXH64 of all before it
//! ```
//! Integers are big-endian. The name is `object-index`, in lower-case hexadecimal.

use std::{
    fmt::Write as _,
    fs::File,
    hash::Hasher,
    io::{self, Read, Write},
    path::Path,
};

use bytes::Bytes;
use xxhash_rust::xxh64::Xxh64;

use crate::cache::object::{Block, ObjectId};

const MAGIC: [u8; 8] = *b"PPQCACH1";
const HEAD_BYTES: usize = MAGIC.len() + 32 + 8 + 4;
const CHECKSUM_BYTES: usize = 8;

/// The size of a file with so much content.
pub(super) fn size(length: u32) -> u64 {
    u64::from(length) + (HEAD_BYTES + CHECKSUM_BYTES) as u64
}

/// The inverse of [`size`].
pub(super) fn content_length(size: u64) -> Option<u32> {
    u32::try_from(size.checked_sub((HEAD_BYTES + CHECKSUM_BYTES) as u64)?).ok()
}

pub(super) fn name(block: &Block) -> String {
    let mut name = String::with_capacity(64 + 1 + 16);
    for byte in block.object.0 {
        let _ = write!(name, "{byte:02x}");
    }
    let _ = write!(name, "-{:x}", block.index);
    name
}

/// The inverse of [`name`].
pub(super) fn parse_name(text: &str) -> Option<Block> {
    let (object, index) = text.split_once('-')?;
    let mut id = [0; 32];
    if object.len() != 2 * id.len() || !object.is_ascii() {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(object.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    let block = Block { object: ObjectId(id), index: u64::from_str_radix(index, 16).ok()? };
    // Not in other spellings.
    (name(&block) == text).then_some(block)
}

fn head(block: &Block, length: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let parts: [&[u8]; 4] = [&MAGIC, &block.object.0, &block.index.to_be_bytes(), &length.to_be_bytes()];
    let mut rest = &mut head[..];
    for part in parts {
        let _ = rest.write_all(part);
    }
    head
}

fn checksum(head: &[u8], content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Xxh64::new(0);
    hash.write(head);
    hash.write(content);
    hash.finish().to_be_bytes()
}

/// Writes the file, replacing one that is there; it is complete once this has returned.
pub(super) fn write(path: &Path, block: &Block, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    let head = head(block, length);
    let mut file = File::create(path)?;
    file.write_all(&head)?;
    file.write_all(content)?;
    file.write_all(&checksum(&head, content))
}

/// The content, if the file is exactly what was written for `block`.
pub(super) fn read(path: &Path, block: &Block, length: u32) -> io::Result<Bytes> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let file = File::open(path)?;
    let expected = size(length);
    if file.metadata()?.len() != expected {
        return Err(damaged());
    }
    let mut bytes = vec![0; HEAD_BYTES];
    let mut reader = file.take(expected);
    reader.read_exact(&mut bytes)?;
    if bytes != head(block, length) {
        return Err(damaged());
    }
    let head = bytes;
    let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    reader.read_exact(&mut content)?;
    let mut found = [0; CHECKSUM_BYTES];
    reader.read_exact(&mut found)?;
    if found != checksum(&head, &content) {
        return Err(damaged());
    }
    Ok(content.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(index: u64) -> Block {
        Block { object: ObjectId(std::array::from_fn(|i| 7 * i as u8)), index }
    }

    #[test]
    fn names() {
        for index in [0, 1, 0xabc, u64::MAX] {
            assert_eq!(parse_name(&name(&block(index))), Some(block(index)));
        }
        let good = name(&block(10));
        let double = format!("{good}-1");
        for bad in ["", "-", "lock", &good[1..], &good.to_uppercase(), &good.replace("-a", "-0a"), &double] {
            assert_eq!(parse_name(bad), None, "{bad}");
        }
        assert_eq!(parse_name(&good.replace("-a", "-+a")), None);
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_shows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let content: Vec<u8> = (0..100).collect();
        write(&path, &block(3), &content).unwrap();
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len() as u64, size(100));
        assert_eq!(content_length(size(100)), Some(100));
        assert_eq!(read(&path, &block(3), 100).unwrap(), content);
        assert!(read(&path, &block(4), 100).is_err(), "another block");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bad).unwrap();
            assert!(read(&path, &block(3), 100).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert!(read(&path, &block(3), 100).is_err(), "{length} bytes");
            if let Some(length) = content_length(length as u64) {
                assert!(read(&path, &block(3), length).is_err(), "{length} bytes, as believed");
            }
        }
        std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert!(read(&path, &block(3), 100).is_err(), "a byte more");
    }
}
