//! Overwriting and deleting objects: the writes that nothing is decided by.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{PutOptions, PutPayload};

use super::retry::Class;
use super::{Operation, Purpose, Store, path_of};
use crate::error::{ErrorKind, Result};
use crate::metrics::StoreLabels;

/// S3 takes this many keys in one delete request.
const KEYS_PER_DELETE: usize = 1000;

impl Store {
    /// Puts `bytes` at `key`, whatever was there.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store refused, [`ErrorKind::Timeout`] when it is not known whether the object was
    /// replaced: a try that was given up may still take effect later.
    pub async fn overwrite(&self, key: &str, bytes: Bytes, purpose: Purpose) -> Result<()> {
        let path = path_of(key)?;
        let size = bytes.len() as u64;
        let mut unknown = false;
        let mut tries = self.tries(Operation::Put, purpose);
        loop {
            let payload = PutPayload::from(bytes.clone());
            let work = self.timed(size, async {
                self.0
                    .objects
                    .put_opts(&path, payload, PutOptions::default())
                    .await
                    .map(drop)
            });
            let Err(failure) = self.attempt(Operation::Put, purpose, work).await else {
                break;
            };
            unknown |= !matches!(failure.class, Class::Denied | Class::Unsupported);
            let kind = if unknown {
                ErrorKind::Timeout
            } else {
                ErrorKind::Unavailable
            };
            tries
                .pause_after(failure)
                .await
                .map_err(|f| f.into_error(kind, "write", key))?;
        }
        self.0.metrics.wrote(
            StoreLabels {
                operation: Operation::Put,
                purpose,
            },
            size,
        );
        Ok(())
    }

    /// Deletes `keys`; one that is not there is fine.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when some could not be deleted within the retry limits; others may be gone.
    pub async fn delete(&self, keys: Vec<String>, purpose: Purpose) -> Result<()> {
        let paths = keys
            .iter()
            .map(|key| path_of(key))
            .collect::<Result<Vec<Path>>>()?;
        for chunk in paths.chunks(KEYS_PER_DELETE) {
            let mut left: BTreeSet<Path> = chunk.iter().cloned().collect();
            let mut tries = self.tries(Operation::Delete, purpose);
            loop {
                let work = self.timed(u64::MAX, self.delete_once(&mut left));
                let Err(failure) = self.attempt(Operation::Delete, purpose, work).await else {
                    break;
                };
                let first = left.first().map(Path::to_string).unwrap_or_default();
                tries
                    .pause_after(failure)
                    .await
                    .map_err(|f| f.into_error(ErrorKind::Unavailable, "delete", &first))?;
            }
        }
        Ok(())
    }

    /// One request for all of `left`; those that are known to be gone leave the set.
    async fn delete_once(&self, left: &mut BTreeSet<Path>) -> object_store::Result<()> {
        let asked: Vec<_> = left.iter().cloned().map(Ok).collect();
        let mut answers = self.0.objects.delete_stream(futures::stream::iter(asked).boxed());
        let mut failed = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(path) => {
                    left.remove(&path);
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
