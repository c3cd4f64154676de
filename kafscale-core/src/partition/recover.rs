//! Puts together what a starting engine finds of a partition: its record in the metadata, state objects, and runs of
//! sealed logs. Pure.

use super::epochs::Epochs;
use super::producers::{Producer, Producers, SeenBatch};
use super::state::PartitionState;
use crate::segment::list::SegmentExtent;
use crate::wal::object::LogRun;

/// A run of a sealed log, with what its log says of it.
#[derive(Clone, Debug)]
pub(crate) struct FoundRun {
    pub(crate) run: LogRun,
    pub(crate) leader_epoch: i32,
    /// Producer id, producer epoch, batch.
    pub(crate) producers: Vec<(i64, i16, SeenBatch)>,
}

/// What a state object says of the partition.
#[derive(Clone, Debug)]
pub(crate) struct FoundState {
    pub(crate) next_offset: i64,
    pub(crate) log_start: i64,
    pub(crate) epochs: Vec<(i32, i64)>,
    pub(crate) producers: Vec<(i64, Producer)>,
}

/// What the metadata says of the partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundRecord {
    pub(crate) log_start: i64,
    pub(crate) segmented_end: i64,
    pub(crate) epochs: Vec<(i32, i64)>,
}

/// All that is found of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) record: Option<FoundRecord>,
    /// Of the newest session that knows the partition.
    pub(crate) state: Option<FoundState>,
    /// Of all sealed logs, oldest session first.
    pub(crate) runs: Vec<FoundRun>,
    /// The metadata may be older than the bucket.
    pub(crate) distrust_record: bool,
    /// When it was found, unix milliseconds.
    pub(crate) now_ms: i64,
}

impl Found {
    /// Whether the segments in the bucket have to be listed before the partition can be used: an absent record where
    /// objects exist is metadata older than the bucket, not offset 0.
    pub(crate) fn needs_listing(&self) -> bool {
        self.distrust_record || self.record.is_none() || self.gap(self.recorded_end()).is_some()
    }

    fn recorded_end(&self) -> i64 {
        self.record.as_ref().map_or(0, |record| record.segmented_end)
    }

    /// Where records are missing if segments end at `segmented_end`, if anywhere.
    fn gap(&self, segmented_end: i64) -> Option<(i64, i64)> {
        let mut end = segmented_end;
        for run in self.needed(segmented_end) {
            if run.run.base_offset > end {
                return Some((end, run.run.base_offset));
            }
            end = end.max(run.run.last_offset + 1);
        }
        let known = self.state.as_ref().map_or(end, |state| state.next_offset);
        (known > end).then_some((end, known))
    }

    /// Runs that are not in segments, in offset order.
    fn needed(&self, segmented_end: i64) -> Vec<&FoundRun> {
        let mut runs: Vec<&FoundRun> = self
            .runs
            .iter()
            .filter(|found| found.run.last_offset >= segmented_end)
            .collect();
        runs.sort_by_key(|found| found.run.base_offset);
        runs
    }

    /// The partition as it is, and the runs that it does not need. The error says which records are missing.
    pub(crate) fn assemble(
        self,
        listed: Option<SegmentExtent>,
        leader_epoch: i32,
    ) -> Result<(PartitionState, Vec<LogRun>), String> {
        let segmented_end = self.recorded_end().max(listed.map_or(0, |extent| extent.end));
        if let Some((from, to)) = self.gap(segmented_end) {
            return Err(format!(
                "records {from} to {} are neither in a segment nor in a log object; restore the missing objects of the \
                 bucket (an older version, if it keeps versions) and start again",
                to - 1
            ));
        }
        let recorded = self.record.clone().unwrap_or_default();
        let mut log_start = recorded.log_start;
        let mut epochs = Epochs::restore(recorded.epochs);
        let mut producers = Producers::default();
        let mut covered = 0;
        if let Some(found) = &self.state {
            log_start = log_start.max(found.log_start);
            let mut all: Vec<(i32, i64)> = epochs.pairs().iter().chain(&found.epochs).copied().collect();
            all.sort_unstable();
            epochs = Epochs::restore(all);
            producers = Producers::restore(found.producers.iter().cloned());
            covered = found.next_offset;
        }
        if let Some(extent) = listed {
            log_start = log_start.max(extent.start);
        }

        let mut state = PartitionState::new(segmented_end, leader_epoch);
        let mut ordered: Vec<&FoundRun> = self.runs.iter().collect();
        ordered.sort_by_key(|found| found.run.base_offset);
        let mut unneeded = Vec::new();
        for FoundRun {
            run,
            leader_epoch,
            producers: batches,
        } in ordered
        {
            // A run that two logs hold counts once; which copy does not matter, both were committed with these offsets.
            if run.last_offset < state.high_watermark {
                unneeded.push(run.clone());
            } else {
                state.high_watermark = run.last_offset + 1;
                state.tail.push(run.clone());
            }
            if run.base_offset >= covered {
                epochs.begin(*leader_epoch, run.base_offset);
                for &(id, epoch, batch) in batches {
                    producers.insert(id, epoch, batch, i64::MAX, self.now_ms);
                }
            }
        }
        epochs.trim(log_start);
        state.log_start = log_start.min(state.high_watermark);
        state.next_offset = state.high_watermark;
        state.epochs = epochs;
        state.producers = producers;
        Ok((state, unneeded))
    }
}

#[cfg(test)]
mod tests;
