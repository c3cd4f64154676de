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
    /// Whole batches from the one that holds `offset` on: up to `max_bytes`, but the first one whatever its size (KIP-74).
    pub(crate) async fn read(&self, cache: &BlockCache, offset: i64, max_bytes: usize) -> Result<Fetched> {
        let mut replans = 0;
        loop {
            let (plan, mut fetched) = self.plan(offset, max_bytes)?;
            let outcome = match plan {
                ReadPlan::Empty => return Ok(fetched),
                ReadPlan::Tail(runs) => read_tail(cache, &runs, offset, max_bytes).await,
                ReadPlan::Segments => self.read_segment(cache, offset, max_bytes).await,
            };
            match outcome {
                Ok(records) => {
                    fetched.records = records;
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

    /// The same when nothing but memory is needed for it, without a future; `None` otherwise.
    pub(crate) fn read_resident(&self, offset: i64, max_bytes: usize) -> Option<Result<Fetched>> {
        if !self.is_loaded() {
            return None;
        }
        let (plan, mut fetched) = match self.plan(offset, max_bytes) {
            Ok(planned) => planned,
            Err(error) => return Some(Err(error)),
        };
        let runs = match plan {
            ReadPlan::Empty => return Some(Ok(fetched)),
            ReadPlan::Tail(runs) => runs,
            ReadPlan::Segments => return None,
        };
        let mut read = TailRead::new(offset, max_bytes);
        for run in &runs {
            match read.add(run, run.resident()?) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        fetched.records = read.records;
        Some(Ok(fetched))
    }

    fn plan(&self, offset: i64, max_bytes: usize) -> Result<(ReadPlan, Fetched)> {
        let state = self.state();
        let fetched = Fetched {
            high_watermark: state.high_watermark,
            log_start_offset: state.log_start,
            records: Vec::new(),
        };
        Ok((state.plan_read(offset, max_bytes as u64)?, fetched))
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
    let mut read = TailRead::new(offset, max_bytes);
    for run in runs {
        if !read.add(run, reader::join(run_bytes(cache, run).await?))? {
            break;
        }
    }
    Ok(read.records)
}

/// Collects batches out of consecutive runs.
struct TailRead {
    offset: i64,
    left: usize,
    records: Vec<Bytes>,
}

impl TailRead {
    fn new(offset: i64, max_bytes: usize) -> TailRead {
        TailRead {
            offset,
            left: max_bytes,
            records: Vec::new(),
        }
    }

    /// Takes from the bytes of `run` what is wanted and fits. False when there is no room for the next run.
    fn add(&mut self, run: &LogRun, mut bytes: Bytes) -> Result<bool> {
        let damaged = |e: batch::BatchError| {
            Error::new(
                ErrorKind::Corrupt,
                format!("log object {} is damaged", run.object.key),
            )
            .with_source(e)
        };
        if self.records.is_empty() {
            let skip = batch::skip_to_offset(&bytes, self.offset)
                .map_err(damaged)?
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::Corrupt,
                        format!(
                            "log object {} does not hold offset {} where its footer says",
                            run.object.key, self.offset
                        ),
                    )
                })?;
            bytes = bytes.slice(skip..);
        }
        if bytes.len() > self.left {
            let whole = batch::take_whole(&bytes, self.left).map_err(damaged)?;
            // Only the very first batch may be larger than what was asked for.
            if self.records.is_empty() || whole <= self.left {
                self.records.push(bytes.slice(..whole));
            }
            return Ok(false);
        }
        self.left -= bytes.len();
        self.records.push(bytes);
        Ok(true)
    }
}
