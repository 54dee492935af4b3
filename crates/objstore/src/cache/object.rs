//! What is known of an object, and what its parts are called.

use object_store::{Attributes, ObjectMeta};
use ring::digest::{Context, SHA256};

/// One version of an object, as its bucket described it.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) meta: ObjectMeta,
    pub(super) attributes: Attributes,
    /// [`None`] without entity tag: versions cannot be told apart.
    pub(super) id: Option<ObjectId>,
}

/// A digest of bucket, key, size and entity tag, and of how the object is cut. Strong, since who chooses keys must not
/// be able to make two objects alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ObjectId(pub(super) [u8; 32]);

/// One subrange of one version of an object: bytes `[index * block_bytes, (index + 1) * block_bytes)`, fewer at its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Block {
    pub(super) object: ObjectId,
    pub(super) index: u64,
}

impl Object {
    pub(super) fn new(identity: &str, block_bytes: u64, meta: ObjectMeta, attributes: Attributes) -> Self {
        let id = meta.e_tag.as_deref().filter(|tag| !tag.is_empty()).map(|tag| {
            let mut digest = Context::new(&SHA256);
            for part in [identity, meta.location.as_ref(), tag] {
                digest.update(&(part.len() as u64).to_be_bytes());
                digest.update(part.as_bytes());
            }
            digest.update(&meta.size.to_be_bytes());
            digest.update(&block_bytes.to_be_bytes());
            let mut id = [0; 32];
            id.copy_from_slice(digest.finish().as_ref());
            ObjectId(id)
        });
        Self { meta, attributes, id }
    }

    /// Whether an answer that came with `meta` is of this version.
    pub(super) fn is(&self, meta: &ObjectMeta) -> bool {
        self.meta.e_tag == meta.e_tag && self.meta.size == meta.size
    }
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;

    #[test]
    fn everything_that_matters_is_in_the_name() {
        let id = |identity: &str, block_bytes, key: &str, tag: Option<&str>, size| {
            let (location, e_tag) = (Path::from(key), tag.map(str::to_owned));
            let meta = ObjectMeta { location, last_modified: Default::default(), size, e_tag, version: None };
            Object::new(identity, block_bytes, meta, Attributes::new()).id
        };
        let first = id("s3://b", 4096, "a/key", Some("tag"), 7);
        assert!(first.is_some());
        assert_eq!(first, id("s3://b", 4096, "a/key", Some("tag"), 7));
        for other in [
            id("s3://c", 4096, "a/key", Some("tag"), 7),
            id("s3://b", 8192, "a/key", Some("tag"), 7),
            id("s3://b", 4096, "a/kex", Some("tag"), 7),
            id("s3://b", 4096, "a/key", Some("tah"), 7),
            id("s3://b", 4096, "a/key", Some("tag"), 8),
            id("s3://ba", 4096, "/key", Some("tag"), 7),
            id("s3://b", 4096, "a/keyt", Some("ag"), 7),
        ] {
            assert!(other.is_some() && other != first);
        }
        assert_eq!(id("s3://b", 4096, "a/key", None, 7), None);
        assert_eq!(id("s3://b", 4096, "a/key", Some(""), 7), None);
    }
}
