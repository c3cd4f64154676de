//! Reading one range of each of many objects: in one go on a directory, side by side elsewhere.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Operation, Purpose, Store, path_of};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::StoreLabels;

/// Objects that are read at the same time.
const PARALLEL_READS: usize = 16;

/// A range of an object.
#[derive(Clone, Debug)]
pub(crate) struct RangeOf {
    pub(crate) key: Arc<str>,
    pub(crate) range: Range<u64>,
}

impl Store {
    /// The bytes of all ranges, in order. Each range must be there to its last byte.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], naming the object that is missing or too short; [`ErrorKind::Unavailable`] as for
    /// [`Store::get_range`].
    pub(crate) async fn get_many(&self, wanted: Vec<RangeOf>, purpose: Purpose) -> Result<Vec<Bytes>> {
        // Whatever goes wrong in one go is found, and tried again, one by one.
        if let Some(found) = self.read_in_one_go(&wanted, purpose).await? {
            return Ok(found);
        }
        stream::iter(wanted)
            .map(|RangeOf { key, range }| async move {
                let len = range.end.saturating_sub(range.start);
                let bytes = self.get_range(&key, range, purpose).await?;
                bytes.filter(|bytes| bytes.len() as u64 == len).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Corrupt,
                        format!(
                            "object {key} is missing or too short; restore it from a backup or an older version of the bucket"
                        ),
                    )
                })
            })
            .buffered(PARALLEL_READS)
            .try_collect()
            .await
    }

    async fn read_in_one_go(&self, wanted: &[RangeOf], purpose: Purpose) -> Result<Option<Vec<Bytes>>> {
        let Some(local) = self.0.local.clone() else {
            return Ok(None);
        };
        let mut places = Vec::with_capacity(wanted.len());
        for RangeOf { key, range } in wanted {
            places.push((path_of(key)?, range.clone()));
        }
        let read = self.attempt(Operation::Get, purpose, async {
            tokio::task::spawn_blocking(move || local.read_ranges(&places)).await?
        });
        let found = read.await.ok();
        if let Some(found) = &found {
            let bytes = found.iter().map(|bytes| bytes.len() as u64).sum();
            self.0.metrics.received(
                StoreLabels {
                    operation: Operation::Get,
                    purpose,
                },
                bytes,
            );
        }
        Ok(found)
    }
}
