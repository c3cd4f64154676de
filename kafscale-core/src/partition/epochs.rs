//! Which leader epoch wrote which offsets (KIP-101, KIP-320). Pure state.

/// Pairs of leader epoch and the first offset written in it; both only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    /// Takes back a history that was stored; pairs that do not grow are left out.
    pub(crate) fn restore(pairs: impl IntoIterator<Item = (i32, i64)>) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, start) in pairs {
            epochs.begin(epoch, start);
        }
        epochs
    }

    /// Notes that offsets from `start` on are written in `epoch`. Nothing changes when the epoch is not newer.
    pub(crate) fn begin(&mut self, epoch: i32, start: i64) {
        match self.0.last() {
            Some(&(last, _)) if epoch <= last => {}
            Some(&(_, last_start)) if start < last_start => {}
            // An epoch in which nothing was written leaves no trace.
            Some(&(_, last_start)) if start == last_start => {
                self.0.pop();
                self.0.push((epoch, start));
            }
            _ => self.0.push((epoch, start)),
        }
    }

    /// The epoch of the record at `offset`, if known.
    pub(crate) fn at(&self, offset: i64) -> Option<i32> {
        let after = self.0.partition_point(|&(_, start)| start <= offset);
        after
            .checked_sub(1)
            .and_then(|i| self.0.get(i))
            .map(|&(epoch, _)| epoch)
    }

    /// The largest epoch that is at most `epoch`, and the offset after its last record, as OffsetForLeaderEpoch answers;
    /// `end` is the log's end. `None` when nothing so old is known.
    pub(crate) fn end_of(&self, epoch: i32, end: i64) -> Option<(i32, i64)> {
        let after = self.0.partition_point(|&(e, _)| e <= epoch);
        let (found, _) = *self.0.get(after.checked_sub(1)?)?;
        let end = self.0.get(after).map_or(end, |&(_, start)| start);
        Some((found, end))
    }

    /// Forgets epochs that end at or below `log_start`.
    pub(crate) fn trim(&mut self, log_start: i64) {
        let keep = self
            .0
            .partition_point(|&(_, start)| start <= log_start)
            .saturating_sub(1);
        self.0.drain(..keep);
    }

    /// All pairs, oldest first.
    pub(crate) fn pairs(&self) -> &[(i32, i64)] {
        &self.0
    }
}

#[cfg(test)]
mod tests;
