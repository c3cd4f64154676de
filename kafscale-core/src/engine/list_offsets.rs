//! Finding offsets: the first, the last, by time.

use std::sync::Arc;

use bytes::Bytes;

use super::{Engine, ListedOffset, OffsetSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::Batches;
use crate::format::records;
use crate::ids::TopicId;
use crate::partition::state::PartitionState;
use crate::partition::{Partition, run_bytes};
use crate::segment::list::Segment;
use crate::segment::reader;
use crate::wal::object::LogRun;

/// Bytes that one batch may have after decompression while a record in it is looked for.
const MAX_BATCH_BYTES: usize = 256 << 20;

impl Engine {
    /// The offset that `spec` asks for.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`, `Corrupt`.
    pub async fn list_offsets(
        &self,
        topic: TopicId,
        partition: i32,
        spec: OffsetSpec,
    ) -> Result<ListedOffset> {
        let partition = self.partition(topic, partition)?;
        partition.ensure_loaded(&self.0.store).await?;
        match spec {
            OffsetSpec::Earliest => {
                let state = partition.state();
                Ok(at(&state, state.log_start, -1))
            }
            OffsetSpec::Latest => {
                let state = partition.state();
                Ok(at(&state, state.high_watermark, -1))
            }
            OffsetSpec::Timestamp(timestamp) => self.first_at_or_after(&partition, timestamp).await,
            OffsetSpec::MaxTimestamp => {
                let largest = self.max_timestamp(&partition).await?;
                if largest < 0 {
                    Ok(NONE)
                } else {
                    self.first_at_or_after(&partition, largest).await
                }
            }
        }
    }

    async fn first_at_or_after(&self, partition: &Arc<Partition>, timestamp: i64) -> Result<ListedOffset> {
        let (segments, runs, log_start) = self.layout(partition).await?;
        for segment in segments {
            if reader::max_timestamp(&self.0.cache, &segment).await? < timestamp {
                continue;
            }
            if let Some(batch) =
                reader::first_at_or_after(&self.0.cache, &segment, timestamp, log_start).await?
                && let Some(found) = record_in(partition, &batch, timestamp, log_start)?
            {
                return Ok(found);
            }
        }
        for run in runs.iter().filter(|run| run.max_timestamp >= timestamp) {
            let bytes = reader::join(run_bytes(&self.0.cache, run).await?);
            for batch in Batches::strict(&bytes) {
                let (header, range) = batch.map_err(|e| {
                    Error::new(
                        ErrorKind::Corrupt,
                        format!("log object {} is damaged", run.object.key),
                    )
                    .with_source(e)
                })?;
                if header.max_timestamp >= timestamp
                    && let Some(found) = record_in(partition, &bytes.slice(range), timestamp, log_start)?
                {
                    return Ok(found);
                }
            }
        }
        Ok(NONE)
    }

    async fn max_timestamp(&self, partition: &Arc<Partition>) -> Result<i64> {
        let (segments, runs, _) = self.layout(partition).await?;
        let mut largest = runs.iter().map(|run| run.max_timestamp).max().unwrap_or(-1);
        for segment in segments {
            largest = largest.max(reader::max_timestamp(&self.0.cache, &segment).await?);
        }
        Ok(largest)
    }

    /// The partition's segments and the runs after them.
    async fn layout(&self, partition: &Arc<Partition>) -> Result<(Vec<Arc<Segment>>, Vec<LogRun>, i64)> {
        let (runs, log_start, segmented_end) = {
            let state = partition.state();
            (
                state.tail.iter().cloned().collect(),
                state.log_start,
                state.segmented_end,
            )
        };
        let segments = if segmented_end > log_start {
            let all = partition.segments.all(&self.0.store).await?;
            all.into_iter()
                .filter(|segment| segment.base < segmented_end)
                .collect()
        } else {
            Vec::new()
        };
        Ok((segments, runs, log_start))
    }
}

const NONE: ListedOffset = ListedOffset {
    offset: -1,
    timestamp: -1,
    leader_epoch: -1,
};

fn at(state: &PartitionState, offset: i64, timestamp: i64) -> ListedOffset {
    let epoch = if offset == state.high_watermark {
        Some(state.leader_epoch)
    } else {
        state.epochs.at(offset)
    };
    ListedOffset {
        offset,
        timestamp,
        leader_epoch: epoch.unwrap_or(-1),
    }
}

fn record_in(
    partition: &Partition,
    batch: &Bytes,
    timestamp: i64,
    from: i64,
) -> Result<Option<ListedOffset>> {
    let found = records::first_at_or_after(batch, timestamp, MAX_BATCH_BYTES).map_err(|e| {
        Error::new(
            ErrorKind::Corrupt,
            format!("partition {partition}: a batch cannot be read"),
        )
        .with_source(e)
    })?;
    Ok(found
        .filter(|&(offset, _)| offset >= from)
        .map(|(offset, timestamp)| at(&partition.state(), offset, timestamp)))
}
