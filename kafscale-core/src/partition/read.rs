//! Reading: from the tail in memory, from log objects once that is evicted, or from segments.

use bytes::Bytes;

use super::Partition;
use super::state::ReadPlan;
use crate::cache::BlockCache;
use crate::engine::Fetched;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch;
use crate::segment::reader;
use crate::store::Purpose;
use crate::wal::object::LogRun;

/// How often a read is planned again because what it was to read moved from the log into a segment meanwhile.
const REPLANS: usize = 3;

impl Partition {
    /// Whole batches from the one that holds `offset` on. `max_bytes` is kept, but for the first batch if
    /// `at_least_one` is set (KIP-74).
    pub(crate) async fn read(
        &self,
        cache: &BlockCache,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Fetched> {
        let mut replans = 0;
        loop {
            let (plan, mut fetched) = {
                let state = self.state();
                let fetched = Fetched {
                    high_watermark: state.high_watermark,
                    log_start_offset: state.log_start,
                    records: Vec::new(),
                };
                (state.plan_read(offset, max_bytes as u64)?, fetched)
            };
            let outcome = match plan {
                ReadPlan::Empty => return Ok(fetched),
                ReadPlan::Tail(runs) => read_tail(cache, &runs, offset, max_bytes).await,
                ReadPlan::Segments => self.read_segment(cache, offset, max_bytes).await,
            };
            match outcome {
                Ok(records) => {
                    let bytes: usize = records.iter().map(Bytes::len).sum();
                    if at_least_one || bytes <= max_bytes {
                        fetched.records = records;
                    }
                    return Ok(fetched);
                }
                // The object was trimmed after its runs were cut: the records are in a segment now.
                Err(error)
                    if error.kind() == ErrorKind::Corrupt && replans < REPLANS && self.moved(offset) =>
                {
                    replans += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn moved(&self, offset: i64) -> bool {
        offset < self.state().segmented_end
    }

    async fn read_segment(&self, cache: &BlockCache, offset: i64, max_bytes: usize) -> Result<Vec<Bytes>> {
        let Some((segment, _)) = self.segments.find(cache.store(), offset).await? else {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "partition {self}: no segment in the bucket holds offset {offset}, which is below the segmented end"
                ),
            ));
        };
        reader::read(cache, &segment, offset, max_bytes, Purpose::CatchUp).await
    }
}

/// Bytes of a run, from memory or from its log object.
pub(crate) async fn run_bytes(cache: &BlockCache, run: &LogRun) -> Result<Vec<Bytes>> {
    if let Some(bytes) = run.resident() {
        return Ok(vec![bytes]);
    }
    let end = run.position + run.length;
    let mut position = run.position;
    let mut pieces = Vec::new();
    while position < end {
        let piece = cache
            .at(&run.object.key, run.object.size, position, Purpose::Tail)
            .await?;
        let take = piece
            .len()
            .min(usize::try_from(end - position).unwrap_or(usize::MAX));
        position += take as u64;
        pieces.push(piece.slice(..take));
    }
    Ok(pieces)
}

async fn read_tail(cache: &BlockCache, runs: &[LogRun], offset: i64, max_bytes: usize) -> Result<Vec<Bytes>> {
    let mut records = Vec::new();
    let mut taken = 0;
    for run in runs {
        let mut bytes = reader::join(run_bytes(cache, run).await?);
        let damaged = |e: batch::BatchError| {
            Error::new(
                ErrorKind::Corrupt,
                format!("log object {} is damaged", run.object.key),
            )
            .with_source(e)
        };
        if records.is_empty() {
            let skip = batch::skip_to_offset(&bytes, offset)
                .map_err(damaged)?
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::Corrupt,
                        format!(
                            "log object {} does not hold offset {offset} where its footer says",
                            run.object.key
                        ),
                    )
                })?;
            bytes = bytes.slice(skip..);
        }
        let left = max_bytes.saturating_sub(taken);
        if bytes.len() > left {
            let whole = batch::take_whole(&bytes, left).map_err(damaged)?;
            // Only the very first batch may be larger than what was asked for.
            if records.is_empty() || whole <= left {
                records.push(bytes.slice(..whole));
            }
            break;
        }
        taken += bytes.len();
        records.push(bytes);
    }
    Ok(records)
}
