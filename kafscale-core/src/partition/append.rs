//! Appending: batches are checked before any offset is taken, and get their offsets under the partition's lock.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Partition;
use crate::clock::Clock;
use crate::engine::{AppendOptions, Appended, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{self, BatchError, BatchHeader, BatchLimits, Batches};
use crate::topic_config::PartitionConfig;
use crate::wal::{Entry, Wal};

impl Partition {
    /// Takes one or more whole batches.
    pub(crate) async fn append(
        self: &Arc<Partition>,
        wal: &Wal,
        clock: &dyn Clock,
        records: Bytes,
        options: AppendOptions,
    ) -> Result<Appended> {
        let config = self.config();
        let now_ms = clock.unix_ms();
        let (headers, slices) = check(&records, &config, now_ms)?;
        let permit = wal.reserve(records.len()).await?;
        let log_append_time_ms = config.log_append_time.then_some(now_ms);

        let mut state = self.state();
        wal.check_running()?;
        let taken = state.take(&headers, now_ms)?;
        let entries: Vec<Entry> = slices
            .into_iter()
            .zip(&taken.new)
            .filter_map(|(bytes, base)| {
                Some(Entry {
                    member: Arc::clone(self) as _,
                    bytes,
                    base_offset: (*base)?,
                    leader_epoch: state.leader_epoch,
                    permit: Some(Arc::clone(&permit)),
                })
            })
            .collect();
        let waits = options.wait && wal.sync_flush();
        if !entries.is_empty() {
            wal.push(entries, waits)?;
        }
        let outcome = match waits.then(|| state.await_durable(taken.last_offset)).flatten() {
            Some(receiver) => Outcome::Waiting(receiver),
            None => Outcome::Durable,
        };
        Ok(Appended {
            base_offset: taken.base_offset,
            log_start_offset: state.log_start,
            log_append_time_ms,
            outcome,
        })
    }
}

/// Every batch of an append, checked, with its bytes.
fn check(records: &Bytes, config: &PartitionConfig, now_ms: i64) -> Result<(Vec<BatchHeader>, Vec<Bytes>)> {
    let limits = BatchLimits {
        max_batch_bytes: config.max_message_bytes,
        allow_control: false,
    };
    let mut headers = Vec::new();
    let mut slices = Vec::new();
    for found in Batches::strict(records) {
        let (_, range) = found.map_err(refused)?;
        let mut bytes = records.slice(range);
        let mut header = batch::validate(&bytes, limits).map_err(refused)?;
        if config.log_append_time {
            let mut copy = BytesMut::from(&bytes[..]);
            header = batch::set_log_append_time(&mut copy, now_ms).map_err(refused)?;
            bytes = copy.freeze();
        }
        headers.push(header);
        slices.push(bytes);
    }
    if headers.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidRecord,
            "there is no record batch to append",
        ));
    }
    Ok((headers, slices))
}

fn refused(error: BatchError) -> Error {
    let kind = match &error {
        BatchError::Truncated { .. } | BatchError::BadLength { .. } | BatchError::BadCrc { .. } => {
            ErrorKind::CorruptBatch
        }
        BatchError::UnsupportedMagic { .. } | BatchError::UnsupportedCompression { .. } => {
            ErrorKind::UnsupportedFormat
        }
        BatchError::TooLarge { .. } => ErrorKind::TooLarge,
        BatchError::InvalidRecord { .. } => ErrorKind::InvalidRecord,
    };
    Error::new(kind, error.to_string())
}
