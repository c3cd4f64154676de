//! The `.kfp` state object: what must outlive a write-ahead log's trimmed slots, for every partition of its session.

use bytes::Bytes;

use super::error::FormatError;
use super::keys::SessionId;
use super::reader::Reader;
use super::writer::{put, put_count, put_crc};
use crate::ids::TopicId;

/// How many batches of a producer are remembered (KIP-98, KIP-360): as many as a producer may have in flight.
pub const MAX_PRODUCER_BATCHES: usize = 5;

const OBJECT: &str = "state object";
const MAGIC: [u8; 4] = *b"KSTA";
const VERSION: u16 = 1;
/// Magic to count, and the checksum.
const FIXED_LEN: usize = 4 + 2 + 2 + 4 + 8 + 4 + 8 + 8 + 4 + 4;
const PARTITION_LEN: usize = 16 + 4 + 8 + 8 + 4 + 4;
const EPOCH_LEN: usize = 4 + 8;
const PRODUCER_LEN: usize = 8 + 2 + 8 + 1;
const BATCH_LEN: usize = 4 + 4 + 8 + 8 + 8;

/// The state of all partitions of one session, at the moment before its slots below `slot` may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateObject {
    /// The session whose log is trimmed.
    pub session: SessionId,
    /// The trim point that this object precedes.
    pub slot: u64,
    /// The writer's clock, milliseconds since 1970.
    pub created_ms: i64,
    /// One entry for each partition.
    pub partitions: Vec<PartitionState>,
}

/// One partition's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: i32,
    /// The offset that the next record gets.
    pub next_offset: i64,
    /// The first offset that can be read.
    pub log_start: i64,
    /// Where each leader epoch began, in ascending order.
    pub epochs: Vec<EpochStart>,
    /// The idempotent producers.
    pub producers: Vec<ProducerState>,
}

/// Where a leader epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// The leader epoch.
    pub epoch: i32,
    /// Offset of the first record appended in it.
    pub start_offset: i64,
}

/// One producer's last batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The largest timestamp seen, by which a producer is forgotten.
    pub last_timestamp: i64,
    /// Its last batches, oldest first, at most [`MAX_PRODUCER_BATCHES`].
    pub batches: Vec<StoredBatch>,
}

/// One batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBatch {
    /// Sequence number of the first record.
    pub base_sequence: i32,
    /// Sequence number of the last record.
    pub last_sequence: i32,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The batch's largest timestamp.
    pub timestamp: i64,
}

impl StateObject {
    /// The object's bytes.
    ///
    /// # Errors
    /// A producer has more than [`MAX_PRODUCER_BATCHES`] batches, or there are 2^32 of anything.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        let size: usize = self.partitions.iter().map(PartitionState::encoded_len).sum();
        let mut out = Vec::with_capacity(FIXED_LEN + size);
        put(&mut out, MAGIC);
        put(&mut out, VERSION.to_be_bytes());
        put(&mut out, [0; 2]);
        put(&mut out, self.session.broker.to_be_bytes());
        put(&mut out, self.session.epoch.to_be_bytes());
        put(&mut out, self.session.nonce.to_be_bytes());
        put(&mut out, self.slot.to_be_bytes());
        put(&mut out, self.created_ms.to_be_bytes());
        put_count(
            &mut out,
            OBJECT,
            "the number of partitions",
            self.partitions.len(),
        )?;
        for partition in &self.partitions {
            partition.encode(&mut out)?;
        }
        put_crc(&mut out);
        Ok(out.into())
    }

    /// Reads a whole state object.
    ///
    /// # Errors
    /// Broken, cut off, followed by other bytes, or values that contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::with_trailing_crc(OBJECT, bytes)?;
        reader.magic(MAGIC)?;
        reader.version(VERSION)?;
        reader.reserved::<2>()?;
        let session = SessionId {
            broker: reader.natural_i32("broker", "the broker's id is negative")?,
            epoch: reader.u64("session epoch")?,
            nonce: reader.u32("session nonce")?,
        };
        let slot = reader.u64("slot")?;
        let created_ms = reader.i64("creation time")?;
        let count = reader.count("partitions", PARTITION_LEN)?;
        let mut partitions = Vec::with_capacity(count);
        for _ in 0..count {
            partitions.push(PartitionState::parse(&mut reader)?);
        }
        reader.end()?;
        Ok(Self {
            session,
            slot,
            created_ms,
            partitions,
        })
    }
}

impl PartitionState {
    fn encoded_len(&self) -> usize {
        let batches: usize = self.producers.iter().map(|producer| producer.batches.len()).sum();
        PARTITION_LEN
            + self.epochs.len() * EPOCH_LEN
            + self.producers.len() * PRODUCER_LEN
            + batches * BATCH_LEN
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        put(out, self.topic_id.0);
        put(out, self.partition.to_be_bytes());
        put(out, self.next_offset.to_be_bytes());
        put(out, self.log_start.to_be_bytes());
        put_count(out, OBJECT, "the number of epochs", self.epochs.len())?;
        for epoch in &self.epochs {
            put(out, epoch.epoch.to_be_bytes());
            put(out, epoch.start_offset.to_be_bytes());
        }
        put_count(out, OBJECT, "the number of producers", self.producers.len())?;
        for producer in &self.producers {
            producer.encode(out)?;
        }
        Ok(())
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let topic_id = TopicId(reader.array("topic id")?);
        let partition = reader.natural_i32("partition", "the partition is negative")?;
        let next_offset = reader.natural_i64("next offset", "the next offset is negative")?;
        let at = reader.at();
        let log_start = reader.natural_i64("log start", "the log start is negative")?;
        if log_start > next_offset {
            return Err(reader.invalid(at, "the log start lies after the next offset"));
        }
        let count = reader.count("epochs", EPOCH_LEN)?;
        let mut epochs = Vec::<EpochStart>::with_capacity(count);
        for _ in 0..count {
            let at = reader.at();
            let entry = EpochStart {
                epoch: reader.i32("epoch")?,
                start_offset: reader.natural_i64("start offset", "an epoch's start offset is negative")?,
            };
            if epochs
                .last()
                .is_some_and(|last| entry.epoch <= last.epoch || entry.start_offset < last.start_offset)
            {
                return Err(reader.invalid(at, "an epoch does not come after the one before it"));
            }
            epochs.push(entry);
        }
        let count = reader.count("producers", PRODUCER_LEN)?;
        let mut producers = Vec::with_capacity(count);
        for _ in 0..count {
            producers.push(ProducerState::parse(reader)?);
        }
        Ok(Self {
            topic_id,
            partition,
            next_offset,
            log_start,
            epochs,
            producers,
        })
    }
}

impl ProducerState {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let count = u8::try_from(self.batches.len())
            .ok()
            .filter(|_| self.batches.len() <= MAX_PRODUCER_BATCHES);
        let count = count.ok_or(FormatError::TooLarge {
            object: OBJECT,
            field: "the number of a producer's batches",
            size: self.batches.len() as u64,
            limit: MAX_PRODUCER_BATCHES as u64,
        })?;
        put(out, self.producer_id.to_be_bytes());
        put(out, self.producer_epoch.to_be_bytes());
        put(out, self.last_timestamp.to_be_bytes());
        put(out, [count]);
        for batch in &self.batches {
            put(out, batch.base_sequence.to_be_bytes());
            put(out, batch.last_sequence.to_be_bytes());
            put(out, batch.base_offset.to_be_bytes());
            put(out, batch.last_offset.to_be_bytes());
            put(out, batch.timestamp.to_be_bytes());
        }
        Ok(())
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let producer_id = reader.natural_i64("producer id", "the producer id is negative")?;
        let producer_epoch = reader.i16("producer epoch")?;
        let last_timestamp = reader.i64("last timestamp")?;
        let at = reader.at();
        let count = usize::from(reader.u8("number of batches")?);
        if count > MAX_PRODUCER_BATCHES {
            return Err(reader.invalid(at, "a producer has more than five batches"));
        }
        let mut batches = Vec::with_capacity(count);
        for _ in 0..count {
            let at = reader.at();
            let batch = StoredBatch {
                base_sequence: reader.i32("base sequence")?,
                last_sequence: reader.i32("last sequence")?,
                base_offset: reader.i64("base offset")?,
                last_offset: reader.i64("last offset")?,
                timestamp: reader.i64("timestamp")?,
            };
            if batch.base_offset < 0 || batch.last_offset < batch.base_offset {
                return Err(reader.invalid(at, "a batch's offsets are not possible"));
            }
            batches.push(batch);
        }
        Ok(Self {
            producer_id,
            producer_epoch,
            last_timestamp,
            batches,
        })
    }
}

#[cfg(test)]
mod tests;
