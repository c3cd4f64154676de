//! Reading objects and ranges of them.

use std::ops::Range;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use super::retry::{Class, Failure, TryError};
use super::{Operation, Purpose, Store, path_of};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::StoreLabels;

/// No object that KafScale writes is larger; a larger one is not ours, and must not take the memory.
const LARGEST_OBJECT: u64 = 2 << 30;

impl Store {
    /// Reads a whole object; `None` when it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store did not give it within the retry limits.
    pub async fn get(&self, key: &str, purpose: Purpose) -> Result<Option<Bytes>> {
        self.read(key, None, purpose).await
    }

    /// Reads bytes `range` of an object, fewer where the object ends before, none where it ends before the range begins;
    /// `None` when the object is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store did not give all of them within the retry limits.
    pub async fn get_range(&self, key: &str, range: Range<u64>, purpose: Purpose) -> Result<Option<Bytes>> {
        if range.start > range.end {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{range:?} of {key} ends before it begins"),
            ));
        }
        if range.is_empty() {
            // HTTP has no empty range: read one byte to learn whether the object is there.
            let one = range.start..range.start.saturating_add(1);
            let found = self.read(key, Some(one.into()), purpose).await?;
            return Ok(found.map(|_| Bytes::new()));
        }
        self.read(key, Some(range.into()), purpose).await
    }

    /// Reads the last `len` bytes of an object of `size` bytes, all of it when it is shorter; `None` when it is not there.
    ///
    /// # Errors
    /// As [`Store::get_range`].
    pub async fn get_tail(&self, key: &str, size: u64, len: u64, purpose: Purpose) -> Result<Option<Bytes>> {
        self.get_range(key, size.saturating_sub(len)..size, purpose).await
    }

    async fn read(&self, key: &str, range: Option<GetRange>, purpose: Purpose) -> Result<Option<Bytes>> {
        let path = path_of(key)?;
        let mut tries = self.tries(Operation::Get, purpose);
        loop {
            let failure = match self.read_once(&path, range.clone(), purpose).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(failure) => failure,
            };
            match failure.class {
                Class::NotFound => return Ok(None),
                Class::OutOfRange => return Ok(Some(Bytes::new())),
                _ => tries
                    .pause_after(failure)
                    .await
                    .map_err(|f| f.into_error(ErrorKind::Unavailable, "read", key))?,
            }
        }
    }

    /// One try to read, body included.
    pub(crate) async fn read_once(
        &self,
        path: &Path,
        range: Option<GetRange>,
        purpose: Purpose,
    ) -> Result<Bytes, Failure> {
        let objects = &self.0.objects;
        let bytes = self
            .attempt(Operation::Get, purpose, async {
                let options = GetOptions::new().with_range(range);
                let answer = self.timed(0, objects.get_opts(path, options)).await?;
                let want = answer.range.end.saturating_sub(answer.range.start);
                if want > LARGEST_OBJECT {
                    return Err(object_store::Error::NotSupported {
                        source: format!("{path} has {want} bytes, more than any object of KafScale").into(),
                    });
                }
                let bytes = self.timed(want, answer.bytes()).await?;
                let got = bytes.len() as u64;
                if got != want {
                    return Err(TryError::ShortBody { got, want }.into());
                }
                Ok(bytes)
            })
            .await?;
        let labels = StoreLabels {
            operation: Operation::Get,
            purpose,
        };
        self.0.metrics.received(labels, bytes.len() as u64);
        Ok(bytes)
    }
}
