//! Durable objects of a write-ahead log, and the runs of batches inside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::format::keys::SessionId;

/// A durable object of a write-ahead log. Its bytes are in memory until memory is wanted for newer ones.
#[derive(Debug)]
pub(crate) struct LogObject {
    pub(crate) session: SessionId,
    pub(crate) slot: u64,
    pub(crate) key: Arc<str>,
    pub(crate) size: u64,
    /// When it was committed, on the injected monotonic clock, in milliseconds.
    pub(crate) committed_at_ms: u64,
    bytes: RwLock<Option<Bytes>>,
    /// It holds no records: it was written for its header.
    empty: bool,
    runs_left: AtomicUsize,
}

impl LogObject {
    pub(crate) fn new(
        session: SessionId,
        slot: u64,
        key: Arc<str>,
        size: u64,
        bytes: Option<Bytes>,
        runs: usize,
        committed_at_ms: u64,
    ) -> LogObject {
        LogObject {
            session,
            slot,
            key,
            size,
            committed_at_ms,
            bytes: RwLock::new(bytes),
            empty: runs == 0,
            runs_left: AtomicUsize::new(runs),
        }
    }

    /// The object's bytes while they are in memory.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        self.bytes.read().clone()
    }

    /// Whether the bytes are in memory.
    pub(crate) fn is_resident(&self) -> bool {
        self.bytes.read().is_some()
    }

    /// Lets go of the bytes; readers at work keep theirs.
    pub(crate) fn evict(&self) {
        *self.bytes.write() = None;
    }

    /// One run less of this object is needed. True when that was the last.
    pub(crate) fn release_run(&self) -> bool {
        self.runs_left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether it never held records.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether no partition needs this object any more.
    pub(crate) fn is_released(&self) -> bool {
        self.runs_left.load(Ordering::Acquire) == 0
    }
}

/// Consecutive batches of one partition inside one log object.
#[derive(Clone, Debug)]
pub(crate) struct LogRun {
    pub(crate) object: Arc<LogObject>,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) position: u64,
    pub(crate) length: u64,
    pub(crate) max_timestamp: i64,
}

impl LogRun {
    /// The run's bytes while they are in memory.
    pub(crate) fn resident(&self) -> Option<Bytes> {
        let bytes = self.object.bytes()?;
        let start = usize::try_from(self.position).ok()?;
        let end = start.checked_add(usize::try_from(self.length).ok()?)?;
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    }
}

#[cfg(test)]
mod tests;
