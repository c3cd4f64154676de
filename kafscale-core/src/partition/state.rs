//! One partition's log as a state machine: offsets, sequences, what is durable, who waits for what. Pure: no I/O, and the
//! time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use super::epochs::Epochs;
use super::producers::{Producers, SequenceError, Sequenced};
use super::tail::Tail;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::BatchHeader;
use crate::wal::object::LogRun;

/// Where the batches of one append went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Offset of the first record, be it new or found again.
    pub(crate) base_offset: i64,
    /// Offset of the last one: the append is durable when the high watermark is above it.
    pub(crate) last_offset: i64,
    /// Per batch, its base offset if it is new, `None` if it was taken before.
    pub(crate) new: Vec<Option<i64>>,
}

#[derive(Debug)]
struct Ack {
    last_offset: i64,
    reply: oneshot::Sender<Result<()>>,
}

/// What a commit sets free; to be used after the partition's lock was given back.
#[derive(Debug, Default)]
pub(crate) struct Released {
    acks: Vec<oneshot::Sender<Result<()>>>,
    readers: Vec<Arc<Notify>>,
    /// A run that nobody will read, because its partition is gone.
    unneeded: Option<LogRun>,
}

impl Released {
    /// Tells producers that their records are durable, and readers that there is something new.
    pub(crate) fn wake(self) {
        if let Some(run) = self.unneeded {
            run.object.release_run();
        }
        for ack in self.acks {
            // A producer that no longer waits needs no answer.
            let _ = ack.send(Ok(()));
        }
        for reader in self.readers {
            reader.notify_one();
        }
    }
}

/// What a read finds.
#[derive(Debug)]
pub(crate) enum ReadPlan {
    /// Nothing there yet.
    Empty,
    /// These runs hold it.
    Tail(Vec<LogRun>),
    /// It is in segments.
    Segments,
}

/// One partition's log.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) log_start: i64,
    pub(crate) next_offset: i64,
    pub(crate) high_watermark: i64,
    pub(crate) segmented_end: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) epochs: Epochs,
    pub(crate) producers: Producers,
    pub(crate) tail: Tail,
    acks: VecDeque<Ack>,
    readers: Vec<(u64, Arc<Notify>)>,
    /// Why nothing more is taken, if so.
    stopped: Option<(ErrorKind, Arc<str>)>,
    /// Why nothing is taken until it is known whether the partition still exists, if so.
    suspended: Option<Arc<str>>,
}

impl PartitionState {
    /// A partition that begins and ends at `offset`.
    pub(crate) fn new(offset: i64, leader_epoch: i32) -> PartitionState {
        PartitionState {
            log_start: offset,
            next_offset: offset,
            high_watermark: offset,
            segmented_end: offset,
            leader_epoch,
            epochs: Epochs::default(),
            producers: Producers::default(),
            tail: Tail::default(),
            acks: VecDeque::new(),
            readers: Vec::new(),
            stopped: None,
            suspended: None,
        }
    }

    /// Gives offsets to the batches of one append, all or none.
    pub(crate) fn take(&mut self, batches: &[BatchHeader], now_ms: i64) -> Result<Taken> {
        self.check_running()?;
        if let Some(reason) = &self.suspended {
            return Err(Error::new(ErrorKind::Timeout, &**reason));
        }
        let mut offset = self.next_offset;
        let mut new = Vec::with_capacity(batches.len());
        let (mut first, mut last) = (None, -1);
        // Several batches in one append are checked against each other, and none is taken if one is refused.
        let mut rollback = (batches.len() > 1).then(|| self.producers.clone());
        for header in batches {
            let sequenced = match self.producers.check(header) {
                Ok(sequenced) => sequenced,
                Err(refused) => {
                    if let Some(before) = rollback.take() {
                        self.producers = before;
                    }
                    return Err(sequence_error(refused));
                }
            };
            let (base, end) = match sequenced {
                Sequenced::New => {
                    let base = offset;
                    offset += i64::from(header.last_offset_delta) + 1;
                    self.producers.record(header, base, self.high_watermark, now_ms);
                    new.push(Some(base));
                    (base, offset - 1)
                }
                Sequenced::Duplicate {
                    base_offset,
                    last_offset,
                } => {
                    new.push(None);
                    (base_offset, last_offset)
                }
            };
            first.get_or_insert(base);
            last = last.max(end);
        }
        if offset > self.next_offset {
            self.epochs.begin(self.leader_epoch, self.next_offset);
        }
        self.next_offset = offset;
        Ok(Taken {
            base_offset: first.unwrap_or(offset),
            last_offset: last,
            new,
        })
    }

    /// The answer of an append that ends at `last_offset`, for when it is durable. `None` when it is already.
    pub(crate) fn await_durable(&mut self, last_offset: i64) -> Option<oneshot::Receiver<Result<()>>> {
        if last_offset < self.high_watermark {
            return None;
        }
        let (reply, receiver) = oneshot::channel();
        // Nearly always the newest; a repeated batch joins the wait of its first sending.
        let at = self
            .acks
            .iter()
            .rposition(|ack| ack.last_offset <= last_offset)
            .map_or(0, |i| i + 1);
        self.acks.insert(at, Ack { last_offset, reply });
        Some(receiver)
    }

    /// The run is durable, and all before it: it can be read from now on.
    pub(crate) fn commit(&mut self, run: LogRun) -> Released {
        debug_assert_eq!(
            run.base_offset, self.high_watermark,
            "runs are committed without a hole"
        );
        self.high_watermark = run.last_offset + 1;
        let mut released = Released::default();
        if run.last_offset < self.segmented_end {
            released.unneeded = Some(run);
        } else {
            self.tail.push(run);
        }
        while self
            .acks
            .front()
            .is_some_and(|ack| ack.last_offset < self.high_watermark)
        {
            released.acks.extend(self.acks.pop_front().map(|ack| ack.reply));
        }
        released
            .readers
            .extend(self.readers.drain(..).map(|(_, reader)| reader));
        released
    }

    /// Where `offset` is to be read.
    pub(crate) fn plan_read(&self, offset: i64, max_bytes: u64) -> Result<ReadPlan> {
        if let Some((kind @ (ErrorKind::NotFound | ErrorKind::Corrupt), reason)) = &self.stopped {
            return Err(Error::new(*kind, &**reason));
        }
        if offset < self.log_start || offset > self.high_watermark {
            return Err(Error::new(
                ErrorKind::OffsetOutOfRange,
                format!(
                    "offset {offset} is outside {} to {}",
                    self.log_start, self.high_watermark
                ),
            ));
        }
        if offset == self.high_watermark {
            return Ok(ReadPlan::Empty);
        }
        if offset < self.segmented_end {
            return Ok(ReadPlan::Segments);
        }
        Ok(ReadPlan::Tail(self.tail.read(offset, max_bytes)))
    }

    /// Tells `reader` once when there is something new after now. Registered readers are called by `id`.
    pub(crate) fn register_reader(&mut self, id: u64, reader: Arc<Notify>) {
        self.readers.push((id, reader));
    }

    /// This state replaces `before`: readers that wait there wait here from now on, and what happened there meanwhile
    /// holds here. Gives back the runs that are not needed because of that.
    pub(crate) fn take_place_of(&mut self, before: &mut PartitionState) -> Vec<LogRun> {
        self.readers.append(&mut before.readers);
        self.stopped = before.stopped.take();
        self.suspended = before.suspended.take();
        self.segmented(before.segmented_end)
    }

    /// Takes a reader out again.
    pub(crate) fn unregister_reader(&mut self, id: u64) {
        self.readers.retain(|&(other, _)| other != id);
    }

    /// The segmented end moved on: gives back the runs that are no longer needed.
    pub(crate) fn segmented(&mut self, end: i64) -> Vec<LogRun> {
        self.segmented_end = self.segmented_end.max(end);
        self.tail.drop_below(self.segmented_end)
    }

    /// Takes nothing more, for `reason`: everybody who waits learns it now.
    pub(crate) fn stop(&mut self, kind: ErrorKind, reason: Arc<str>) -> Vec<Arc<Notify>> {
        for ack in self.acks.drain(..) {
            // A producer that no longer waits needs no answer.
            let _ = ack.reply.send(Err(Error::new(kind, &*reason)));
        }
        self.stopped = Some((kind, reason));
        self.readers.drain(..).map(|(_, reader)| reader).collect()
    }

    /// The partition is gone: nothing of it is needed, now or later. Gives back the runs that it held.
    pub(crate) fn retire(&mut self) -> Vec<LogRun> {
        self.segmented(i64::MAX)
    }

    /// Takes nothing, for `reason`, until it is resumed. What was taken before goes on.
    pub(crate) fn suspend(&mut self, reason: Arc<str>) {
        self.suspended = Some(reason);
    }

    /// Takes appends again.
    pub(crate) fn resume(&mut self) {
        self.suspended = None;
    }

    /// Whether it has stopped because of damage in the bucket.
    pub(crate) fn is_damaged(&self) -> bool {
        matches!(self.stopped, Some((ErrorKind::Corrupt, _)))
    }

    /// The error of a partition that takes nothing more.
    pub(crate) fn check_running(&self) -> Result<()> {
        match &self.stopped {
            Some((kind, reason)) => Err(Error::new(*kind, &**reason)),
            None => Ok(()),
        }
    }
}

fn sequence_error(refused: SequenceError) -> Error {
    let kind = match refused {
        SequenceError::StaleEpoch { .. } => ErrorKind::InvalidProducerEpoch,
        SequenceError::Gap { .. } => ErrorKind::OutOfOrderSequence,
        SequenceError::TooOld { .. } => ErrorKind::DuplicateSequence,
    };
    Error::new(kind, refused.to_string())
}

#[cfg(test)]
mod tests;
