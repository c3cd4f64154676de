//! Appending record batches.

use bytes::Bytes;

use super::{AppendOptions, Appended, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::health::HealthState;
use crate::ids::TopicId;

impl Engine {
    /// Appends one or more whole record batches (message format v2) to a partition. They have their offsets when this
    /// returns; they are in the bucket when [`Appended::durable`] says so. Waits only for memory, while more is on its
    /// way to the bucket than the budget allows. Appends of one idempotent producer must be awaited in order.
    ///
    /// # Errors
    /// `NotFound`; what is wrong with the batches (`CorruptBatch`, `UnsupportedFormat`, `InvalidRecord`, `TooLarge`);
    /// what is wrong with their sequence (`OutOfOrderSequence`, `DuplicateSequence`, `InvalidProducerEpoch`);
    /// `Unavailable` while the bucket cannot be reached; `Fenced`, `Closed`, `Corrupt`. Nothing was taken then.
    pub async fn append(
        &self,
        topic: TopicId,
        partition: i32,
        records: Bytes,
        options: AppendOptions,
    ) -> Result<Appended> {
        let inner = &self.0;
        let partition = self.partition(topic, partition)?;
        if inner.store.health().borrow().state == HealthState::Unavailable {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the bucket cannot be reached: nothing is taken until it answers again",
            ));
        }
        partition.ensure_loaded(&inner.store).await?;
        let bytes = records.len();
        let appended = partition
            .append(&inner.wal, &*inner.clock, records, options)
            .await?;
        inner.metrics.appended(bytes);
        Ok(appended)
    }
}
