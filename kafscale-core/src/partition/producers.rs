//! What a partition knows of its idempotent producers (KIP-98, KIP-360): enough to tell a new batch from a retry and from
//! a gap. Pure state.

use std::collections::{HashMap, VecDeque};

use crate::format::batch::{BatchHeader, add_sequence};

/// Batches per producer that are recognised when they come again: Kafka allows five requests in flight.
pub(crate) const REMEMBERED_BATCHES: usize = 5;

/// One batch of an idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeenBatch {
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) timestamp: i64,
}

/// One producer of one epoch: its last batches, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) batches: VecDeque<SeenBatch>,
    /// When its last batch came, unix milliseconds on our clock: records may carry any timestamp.
    pub(crate) seen_ms: i64,
}

/// What a batch is in the light of what its producer sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequenced {
    /// It comes next.
    New,
    /// It was taken before, with these offsets.
    Duplicate { base_offset: i64, last_offset: i64 },
}

/// Why a batch cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SequenceError {
    #[error("producer {producer_id} sent epoch {sent}, but epoch {current} is newer")]
    StaleEpoch {
        producer_id: i64,
        sent: i16,
        current: i16,
    },
    #[error("producer {producer_id} sent sequence {sent}, but {expected} comes next")]
    Gap {
        producer_id: i64,
        sent: i32,
        expected: i32,
    },
    #[error(
        "producer {producer_id} sent sequence {sent} again; it is older than the batches that are remembered"
    )]
    TooOld { producer_id: i64, sent: i32 },
}

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers(HashMap<i64, Producer>);

impl Producers {
    /// Checks a batch against what its producer sent before. A batch that is not idempotent is always new.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Sequenced, SequenceError> {
        if !header.is_idempotent() {
            return Ok(Sequenced::New);
        }
        let producer_id = header.producer_id;
        let sent = header.base_sequence;
        // A producer that is not known any more (its records were deleted, or it was idle for long) goes on where it is.
        let Some(producer) = self.0.get(&producer_id) else {
            return Ok(Sequenced::New);
        };
        if header.producer_epoch < producer.epoch {
            return Err(SequenceError::StaleEpoch {
                producer_id,
                sent: header.producer_epoch,
                current: producer.epoch,
            });
        }
        if header.producer_epoch > producer.epoch {
            return if sent == 0 {
                Ok(Sequenced::New)
            } else {
                Err(SequenceError::Gap {
                    producer_id,
                    sent,
                    expected: 0,
                })
            };
        }
        let last_sequence = header.last_sequence();
        if let Some(seen) = producer
            .batches
            .iter()
            .find(|b| b.base_sequence == sent && b.last_sequence == last_sequence)
        {
            return Ok(Sequenced::Duplicate {
                base_offset: seen.base_offset,
                last_offset: seen.last_offset,
            });
        }
        let Some(last) = producer.batches.back() else {
            return Ok(Sequenced::New);
        };
        let expected = add_sequence(last.last_sequence, 1);
        if sent == expected {
            return Ok(Sequenced::New);
        }
        // Sequences wrap at 2^31: "before" means that the distance back is the shorter one.
        let behind = expected.wrapping_sub(sent) & i32::MAX;
        if behind < i32::MAX / 2 {
            Err(SequenceError::TooOld { producer_id, sent })
        } else {
            Err(SequenceError::Gap {
                producer_id,
                sent,
                expected,
            })
        }
    }

    /// Takes in a batch that [`Producers::check`] found new. Batches that are durable (below `high_watermark`) are kept
    /// to the last five; batches that are not yet durable are all kept, because they may still be lost.
    pub(crate) fn record(
        &mut self,
        header: &BatchHeader,
        base_offset: i64,
        high_watermark: i64,
        now_ms: i64,
    ) {
        if !header.is_idempotent() {
            return;
        }
        self.insert(
            header.producer_id,
            header.producer_epoch,
            SeenBatch {
                base_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset,
                last_offset: base_offset + i64::from(header.last_offset_delta),
                timestamp: header.max_timestamp,
            },
            high_watermark,
            now_ms,
        );
    }

    /// The same for a batch that was read back from a log.
    pub(crate) fn insert(
        &mut self,
        producer_id: i64,
        epoch: i16,
        batch: SeenBatch,
        high_watermark: i64,
        now_ms: i64,
    ) {
        let producer = self.0.entry(producer_id).or_insert_with(|| Producer {
            epoch,
            batches: VecDeque::new(),
            seen_ms: now_ms,
        });
        producer.seen_ms = now_ms;
        if epoch > producer.epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        producer.batches.push_back(batch);
        let durable = producer
            .batches
            .iter()
            .filter(|b| b.last_offset < high_watermark)
            .count();
        for _ in REMEMBERED_BATCHES..durable {
            producer.batches.pop_front();
        }
    }

    /// What is known of batches below `high_watermark`: the last five of each producer. Batches above it may still be
    /// lost, and a producer that was told "duplicate" because of one would never send it again.
    pub(crate) fn durable(&self, high_watermark: i64) -> Vec<(i64, Producer)> {
        let mut all: Vec<(i64, Producer)> = self
            .0
            .iter()
            .filter_map(|(&id, producer)| {
                let batches: Vec<SeenBatch> = producer
                    .batches
                    .iter()
                    .filter(|b| b.last_offset < high_watermark)
                    .copied()
                    .collect();
                let skip = batches.len().saturating_sub(REMEMBERED_BATCHES);
                let batches: VecDeque<SeenBatch> = batches.into_iter().skip(skip).collect();
                (!batches.is_empty()).then_some((
                    id,
                    Producer {
                        epoch: producer.epoch,
                        batches,
                        seen_ms: producer.seen_ms,
                    },
                ))
            })
            .collect();
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }

    /// Replaces all that is known.
    pub(crate) fn restore(producers: impl IntoIterator<Item = (i64, Producer)>) -> Producers {
        Producers(producers.into_iter().collect())
    }

    /// Forgets producers whose last batch came before `before_ms`, unless one of their batches is not durable yet.
    pub(crate) fn expire(&mut self, before_ms: i64, high_watermark: i64) {
        self.0.retain(|_, producer| {
            producer
                .batches
                .back()
                .is_some_and(|b| producer.seen_ms >= before_ms || b.last_offset >= high_watermark)
        });
    }
}

#[cfg(test)]
mod tests;
