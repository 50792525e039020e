//! The bytes of the objects: a directory per bucket, a file per body that was ever sent.
//!
//! File names are random and say nothing about keys, so that every key that S3 allows works here. A
//! file is never changed once it is complete, and means nothing until the index names it: what the
//! index does not name is litter of an upload that was cut short.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use ulid::Ulid;

use super::Durability;
use super::checksum::{Algorithm, Checksum};

/// Large enough that a write to the disk is worth handing to another thread.
const BUFFER: usize = 256 * 1024;

pub(super) struct Blobs {
    root: PathBuf,
    durability: Durability,
}

impl Blobs {
    pub fn new(root: &Path, durability: Durability) -> Self {
        Self { root: root.to_owned(), durability }
    }

    /// Begins a new file; `md5` and `algorithm` say what to compute on the way.
    pub async fn create(&self, bucket: &str, md5: bool, algorithm: Option<Algorithm>) -> io::Result<Draft> {
        let name = Ulid::new().to_string();
        let directory = self.root.join(bucket);
        let blob = Blob { path: directory.join(&name), name, kept: false };
        let file = File::create_new(&blob.path).await?;
        Ok(Draft {
            file: BufWriter::with_capacity(BUFFER, file),
            blob,
            directory,
            durability: self.durability,
            size: 0,
            md5: md5.then(Md5::new),
            checksum: algorithm.map(|algorithm| (algorithm, algorithm.hasher())),
        })
    }

    pub async fn open(&self, bucket: &str, file: &str) -> io::Result<File> {
        File::open(self.root.join(bucket).join(file)).await
    }

    /// Removes files that the index no longer names; what fails is left to the next [`Blobs::sweep`].
    pub async fn remove(&self, bucket: &str, files: Vec<String>) {
        for file in files {
            if let Err(error) = tokio::fs::remove_file(self.root.join(bucket).join(&file)).await {
                tracing::warn!(bucket, file, %error, "cannot remove the file of a deleted object");
            }
        }
    }

    /// Removes every file of a bucket that the index does not name.
    pub fn sweep(&self, bucket: &str, used: &HashSet<String>) -> io::Result<()> {
        for entry in std::fs::read_dir(self.root.join(bucket))? {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| !used.contains(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// A complete file that disappears again unless it is kept.
pub(super) struct Blob {
    path: PathBuf,
    name: String,
    kept: bool,
}

impl Blob {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// To be called once the index names the file.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A file that is being written, measured on the way.
pub(super) struct Draft {
    file: BufWriter<File>,
    blob: Blob,
    directory: PathBuf,
    durability: Durability,
    size: u64,
    md5: Option<Md5>,
    checksum: Option<(Algorithm, ChecksumHasher)>,
}

/// What a [`Draft`] came to.
pub(super) struct Written {
    pub blob: Blob,
    pub size: u64,
    /// Empty if it was not asked for.
    pub md5: Vec<u8>,
    pub checksum: Option<Checksum>,
}

impl Draft {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some((_, hasher)) = &mut self.checksum {
            hasher.update(bytes);
        }
        self.file.write_all(bytes).await
    }

    pub async fn finish(mut self) -> io::Result<Written> {
        self.file.flush().await?;
        if self.durability == Durability::Synced {
            self.file.get_ref().sync_all().await?;
            // The name is in the directory, which is a file of its own to the disk.
            File::open(&self.directory).await?.sync_all().await?;
        }
        Ok(Written {
            blob: self.blob,
            size: self.size,
            md5: self.md5.map(|md5| md5.finalize().to_vec()).unwrap_or_default(),
            checksum: self.checksum.map(|(algorithm, hasher)| Checksum {
                algorithm,
                value: algorithm.value(hasher),
                composite: false,
            }),
        })
    }
}
