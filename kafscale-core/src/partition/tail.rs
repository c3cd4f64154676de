//! The part of a partition that is not in segments yet. Pure state.

use std::collections::VecDeque;

use crate::wal::object::LogRun;

/// The runs of one partition that are not in segments, in offset order and without a hole.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    runs: VecDeque<LogRun>,
    bytes: u64,
}

impl Tail {
    pub(crate) fn push(&mut self, run: LogRun) {
        self.bytes += run.length;
        self.runs.push_back(run);
    }

    /// Bytes that wait to be cut into a segment.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn first(&self) -> Option<&LogRun> {
        self.runs.front()
    }

    /// The runs from the one that holds `offset` on, until `max_bytes` are reached (at least one).
    pub(crate) fn read(&self, offset: i64, max_bytes: u64) -> Vec<LogRun> {
        let first = self.runs.partition_point(|run| run.last_offset < offset);
        let mut bytes = 0;
        let mut runs = Vec::new();
        for run in self.runs.iter().skip(first) {
            if !runs.is_empty() && bytes >= max_bytes {
                break;
            }
            bytes += run.length;
            runs.push(run.clone());
        }
        runs
    }

    /// The oldest runs, `max_bytes` at the most (at least one), for the cutter.
    pub(crate) fn oldest(&self, max_bytes: u64) -> Vec<LogRun> {
        let mut bytes = 0;
        let mut runs = Vec::new();
        for run in &self.runs {
            if !runs.is_empty() && bytes + run.length > max_bytes {
                break;
            }
            bytes += run.length;
            runs.push(run.clone());
        }
        runs
    }

    /// The oldest runs up to the one that holds `offset`; `None` when there is none that does.
    pub(crate) fn covering(&self, offset: i64) -> Option<Vec<LogRun>> {
        let count = self.runs.partition_point(|run| run.last_offset < offset);
        (count < self.runs.len()).then(|| self.runs.iter().take(count + 1).cloned().collect())
    }

    /// Takes out all runs that lie below `offset`. They are given back so that their objects can be released.
    pub(crate) fn drop_below(&mut self, offset: i64) -> Vec<LogRun> {
        let keep = self.runs.partition_point(|run| run.last_offset < offset);
        let dropped: Vec<LogRun> = self.runs.drain(..keep).collect();
        self.bytes -= dropped.iter().map(|run| run.length).sum::<u64>();
        dropped
    }

    /// The runs, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &LogRun> {
        self.runs.iter()
    }
}

#[cfg(test)]
mod tests;
