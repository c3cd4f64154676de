//! What is counted while the load runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::histogram::Histogram;

/// Counts of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stats {
    /// Records acknowledged while the measurement ran (with acks=0: sent).
    pub(crate) acked: u64,
    /// Produce requests answered while the measurement ran.
    pub(crate) requests: u64,
    /// Bytes of batches as they were sent, of those records.
    pub(crate) wire_bytes: u64,
    /// Records consumed while the measurement ran.
    pub(crate) consumed: u64,
    /// Records of this run acknowledged at any time, warm-up included.
    pub(crate) all_acked: u64,
    /// Records of this run consumed at any time.
    pub(crate) all_consumed: u64,
    /// From when a record was due to its acknowledgement, in nanoseconds.
    pub(crate) ack: Histogram,
    /// From when a record was due to the consumer that has it, in nanoseconds.
    pub(crate) end_to_end: Histogram,
    /// Records that were due and never sent.
    pub(crate) behind: u64,
    /// Records that failed.
    pub(crate) failed: u64,
    /// What went wrong, and for how many records or requests.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// The counts, shared by all who count.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    stats: Mutex<Stats>,
    /// Kept apart, for the progress.
    written: AtomicU64,
}

impl Shared {
    /// Counts something.
    pub(crate) fn count(&self, count: impl FnOnce(&mut Stats)) {
        count(&mut self.stats.lock());
    }

    /// Counts an error that `records` records, or one request, met.
    pub(crate) fn error(&self, what: impl Into<String>, records: u64) {
        self.count(|stats| *stats.errors.entry(what.into()).or_default() += records);
    }

    /// More records were acknowledged, or sent with acks=0.
    pub(crate) fn wrote(&self, records: u64) {
        self.written.fetch_add(records, Ordering::Relaxed);
    }

    /// Records acknowledged so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Everything that was counted.
    pub(crate) fn take(&self) -> Stats {
        std::mem::take(&mut *self.stats.lock())
    }
}
