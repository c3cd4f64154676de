//! Builds a record batch of version 2 from records.

use bytes::Bytes;

use super::{RecordError, RecordHeader};
use crate::format::batch::{
    self, BatchHeader, HEADER_LEN, LOG_OVERHEAD, MAGIC, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
};
use crate::format::codec::{self, Compression};
use crate::format::varint::{encode_varint, encode_varlong};

/// The leader epoch of a batch that no broker has seen.
const NO_LEADER_EPOCH: i32 = -1;

/// Collects records, then writes one batch. The base offset is 0 and the leader epoch -1, as producers send them,
/// unless set otherwise.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    header: BatchHeader,
    compression: Compression,
    level: Option<i32>,
    log_append_time: Option<i64>,
    records: Vec<u8>,
    /// The record that is being written, before its length is known.
    record: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty batch: not compressed, the producer's timestamps, no producer id.
    #[must_use]
    pub fn new() -> Self {
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            partition_leader_epoch: NO_LEADER_EPOCH,
            magic: MAGIC,
            crc: 0,
            attributes: 0,
            last_offset_delta: -1,
            base_timestamp: 0,
            max_timestamp: -1,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            record_count: 0,
        };
        Self {
            header,
            compression: Compression::None,
            level: None,
            log_append_time: None,
            records: Vec::new(),
            record: Vec::new(),
        }
    }

    /// Compresses the records, at the codec's usual level when `level` is none.
    #[must_use]
    pub fn compression(mut self, codec: Compression, level: Option<i32>) -> Self {
        (self.compression, self.level) = (codec, level);
        self
    }

    /// Offset of the first record and leader epoch, as a broker writes them.
    #[must_use]
    pub fn position(mut self, base_offset: i64, leader_epoch: i32) -> Self {
        (self.header.base_offset, self.header.partition_leader_epoch) = (base_offset, leader_epoch);
        self
    }

    /// An idempotent producer's id and epoch, and the sequence number of the first record.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        (
            self.header.producer_id,
            self.header.producer_epoch,
            self.header.base_sequence,
        ) = (id, epoch, base_sequence);
        self
    }

    /// Marks the batch as part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes |= batch::TRANSACTIONAL_FLAG;
        self
    }

    /// Marks the batch as one of transaction markers.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes |= batch::CONTROL_FLAG;
        self
    }

    /// Gives all records the broker's time, in milliseconds since 1970.
    #[must_use]
    pub fn log_append_time(mut self, now_ms: i64) -> Self {
        self.log_append_time = Some(now_ms);
        self
    }

    /// Adds a record with the producer's time, in milliseconds since 1970.
    ///
    /// # Errors
    /// The record or the batch would be larger than 2 GiB. Nothing is added then.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> Result<(), RecordError> {
        let first = self.header.record_count == 0;
        let base_timestamp = if first {
            timestamp
        } else {
            self.header.base_timestamp
        };
        let delta = timestamp
            .checked_sub(base_timestamp)
            .ok_or(RecordError::TooLarge {
                what: "the distance between timestamps",
            })?;
        let offset_delta = self.header.record_count;
        let record_count = offset_delta.checked_add(1).ok_or(RecordError::TooLarge {
            what: "the number of records",
        })?;

        self.record.clear();
        self.record.push(0);
        encode_varlong(delta, &mut self.record);
        encode_varint(offset_delta, &mut self.record);
        put_nullable(&mut self.record, key)?;
        put_nullable(&mut self.record, value)?;
        encode_varint(length("the number of headers", headers.len())?, &mut self.record);
        for header in headers {
            put_nullable(&mut self.record, Some(&header.key))?;
            put_nullable(&mut self.record, header.value.as_deref())?;
        }
        let len = length("the record", self.record.len())?;
        // Ten bytes are more than the record's own length takes.
        length(
            "the batch",
            HEADER_LEN + self.records.len() + self.record.len() + 10,
        )?;
        encode_varint(len, &mut self.records);
        self.records.extend_from_slice(&self.record);
        self.header.record_count = record_count;
        self.header.last_offset_delta = offset_delta;
        self.header.base_timestamp = base_timestamp;
        self.header.max_timestamp = if first {
            timestamp
        } else {
            self.header.max_timestamp.max(timestamp)
        };
        Ok(())
    }

    /// Number of records so far.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Bytes of the batch so far, before compression.
    #[must_use]
    pub fn uncompressed_len(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// The batch's bytes.
    ///
    /// # Errors
    /// There are no records, the codec fails, or the batch is larger than 2 GiB.
    pub fn build(self) -> Result<Bytes, RecordError> {
        let mut header = self.header;
        if header.record_count == 0 {
            return Err(RecordError::Empty);
        }
        header.attributes |= i16::from(self.compression.id());
        if let Some(now_ms) = self.log_append_time {
            header.attributes |= batch::LOG_APPEND_TIME_FLAG;
            header.max_timestamp = now_ms;
        }
        let records = match self.compression {
            Compression::None => self.records,
            codec => codec::compress(codec, self.level, &self.records)?,
        };
        header.batch_length = length("the batch", HEADER_LEN - LOG_OVERHEAD + records.len())?;
        let mut out = Vec::with_capacity(HEADER_LEN + records.len());
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(&records);
        batch::rewrite_header(&mut out, &mut header)?;
        Ok(out.into())
    }
}

fn length(what: &'static str, len: usize) -> Result<i32, RecordError> {
    i32::try_from(len).map_err(|_| RecordError::TooLarge { what })
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> Result<(), RecordError> {
    match bytes {
        None => encode_varint(-1, out),
        Some(bytes) => {
            encode_varint(length("a key, value or header", bytes.len())?, out);
            out.extend_from_slice(bytes);
        }
    }
    Ok(())
}
