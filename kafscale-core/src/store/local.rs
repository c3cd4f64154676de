//! A bucket in a local directory: durable writes, one process, no remains of interrupted ones.

use std::fmt;
use std::fs::{File, TryLockError};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
};

use crate::error::{Error, ErrorKind, Result};

/// A directory entry that is older than this has reached the disk: Linux writes back after 30 seconds.
const SETTLED: Duration = Duration::from_secs(600);

/// A local directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct LocalStore {
    files: LocalFileSystem,
    /// The lock on the directory; it ends with the file handle.
    _lock: File,
}

impl LocalStore {
    /// Creates the directory where it is missing, locks it and cleans up after a process that was killed. `now_ms` is the wall clock. Blocks.
    pub(crate) fn open(dir: &FilePath, fsync: bool, now_ms: i64) -> Result<LocalStore> {
        let shown = dir.display();
        let cannot = |what: &str, e: std::io::Error| {
            Error::new(
                ErrorKind::Precondition,
                format!("the store's directory {shown} cannot be {what}"),
            )
            .with_source(e)
        };
        std::fs::create_dir_all(dir).map_err(|e| cannot("created", e))?;
        let dir = dir.canonicalize().map_err(|e| cannot("resolved", e))?;
        let lock = File::open(&dir).map_err(|e| cannot("opened", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Precondition,
                    format!(
                        "the store's directory {shown} is in use by another process: stop that broker, or give this \
                         one a directory of its own"
                    ),
                ));
            }
            Err(TryLockError::Error(e)) => return Err(cannot("locked", e)),
        }
        if fsync {
            sync_parents(&dir).map_err(|e| cannot("made durable", e))?;
        }
        tidy(&dir, fsync, now_ms).map_err(|e| cannot("tidied up", e))?;
        let files = LocalFileSystem::new_with_prefix(&dir)
            .map_err(|e| {
                Error::new(
                    ErrorKind::Precondition,
                    format!("the store's directory {shown} cannot be used"),
                )
                .with_source(e)
            })?
            .with_fsync(fsync)
            // As in a bucket, a directory without objects is not there.
            .with_automatic_cleanup(true);
        Ok(LocalStore { files, _lock: lock })
    }
}

impl LocalStore {
    /// Reads one range of each of many objects. Blocks: handing each of many small reads to another thread costs more than
    /// the reads.
    pub(crate) fn read_ranges(&self, wanted: &[(Path, Range<u64>)]) -> StoreResult<Vec<Bytes>> {
        let mut found = Vec::with_capacity(wanted.len());
        for (path, range) in wanted {
            let failed = |e: std::io::Error| match e.kind() {
                std::io::ErrorKind::NotFound => object_store::Error::NotFound {
                    path: path.to_string(),
                    source: e.into(),
                },
                _ => object_store::Error::Generic {
                    store: "directory",
                    source: e.into(),
                },
            };
            let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len];
            let file = File::open(self.files.path_to_filesystem(path)?).map_err(failed)?;
            read_exact_at(&file, &mut bytes, range.start).map_err(failed)?;
            found.push(bytes.into());
        }
        Ok(found)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], position: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, position)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], position: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(bytes)
}

/// Makes the directory's own entry durable: it may have been created just now.
fn sync_parents(dir: &FilePath) -> std::io::Result<()> {
    if let Some(parent) = dir.parent() {
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            // A parent that may not be read was not written by us either.
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Removes the staging files of writes that were interrupted, and makes directory entries durable that a killed process
/// made visible: what is read back at start-up counts as committed and must survive a power loss from then on.
fn tidy(root: &FilePath, fsync: bool, now_ms: i64) -> std::io::Result<()> {
    let mut dirs: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() && is_staging(&entry.file_name().to_string_lossy()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        if fsync && changed_lately(&dir, now_ms)? {
            File::open(&dir)?.sync_all()?;
        }
    }
    Ok(())
}

fn changed_lately(dir: &FilePath, now_ms: i64) -> std::io::Result<bool> {
    let modified = std::fs::metadata(dir)?.modified()?;
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    // A time in the future has no age: a clock was set back, and nothing is known.
    Ok(now.duration_since(modified).map_or(true, |age| age < SETTLED))
}

/// The store's client stages a file as its name, `#` and a number, and refuses such names for objects.
fn is_staging(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(object, number)| {
        !object.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.files, f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        self.files.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        self.files.rename_opts(from, to, options).await
    }
}
