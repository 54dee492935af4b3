//! `type: FILESYSTEM`.

use std::{
    error::Error as StdError,
    path::{Path, PathBuf},
};

use object_store::local::LocalFileSystem;
use serde::Deserialize;

use super::{OpenFor, Section, required};
use crate::error::{Error, ErrorKind, Result, kind_of_io};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FilesystemSection {
    directory: Option<String>,
}

impl Section for FilesystemSection {}

/// A local directory. Objects are files in it.
pub(super) struct Filesystem {
    /// Absolute, unless the working directory is not known.
    pub(super) directory: PathBuf,
}

impl Filesystem {
    pub(super) fn new(section: FilesystemSection) -> Result<Self> {
        let directory = required(section.directory, "config.directory")?;
        Ok(Self { directory: std::path::absolute(&directory).unwrap_or_else(|_| directory.into()) })
    }

    /// The store, and its directory without symbolic links.
    pub(super) fn open(
        &self,
        open_for: OpenFor,
        failed: &dyn Fn(ErrorKind, &dyn StdError) -> Error,
    ) -> Result<(LocalFileSystem, PathBuf)> {
        let directory = resolve(&self.directory, open_for).map_err(|e| failed(kind_of_io(&e), &e))?;
        let store = LocalFileSystem::new_with_prefix(&directory).map_err(|e| failed(crate::error::kind_of(&e), &e))?;
        // As durable as on a service once a write has returned: originals may be deleted next. Directories are not
        // objects and vanish with their last one.
        Ok((store.with_fsync(true).with_automatic_cleanup(true), directory))
    }
}

fn resolve(directory: &Path, open_for: OpenFor) -> std::io::Result<PathBuf> {
    if open_for == OpenFor::Writing {
        std::fs::create_dir_all(directory)?;
    }
    let directory = std::fs::canonicalize(directory)?;
    if !directory.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    Ok(directory)
}
