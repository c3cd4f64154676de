//! The records inside a batch, one by one, and the search for a timestamp in them.

mod build;

use bytes::Bytes;

use super::batch::{BatchError, BatchHeader, HEADER_LEN, TimestampType};
use super::codec::{self, CodecError, Compression};
use super::varint::{self, VarintError};

pub use build::BatchBuilder;

/// The smallest record: seven fields of one byte.
const MIN_RECORD_LEN: usize = 7;
/// The smallest header of a record: two lengths.
const MIN_HEADER_LEN: usize = 2;

/// Why records could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The batch's header is not right.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The records cannot be decompressed, or compressed.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A number in a record cannot be read. `at` counts from the first byte of the decompressed records.
    #[error("record {index}, byte {at} of the records: {source}")]
    Varint {
        /// Which record, from 0.
        index: usize,
        /// Where the number begins.
        at: usize,
        /// What is wrong with it.
        source: VarintError,
    },
    /// A field of a record is not possible. `at` counts from the first byte of the decompressed records.
    #[error("record {index}, byte {at} of the records: {reason}")]
    Invalid {
        /// Which record, from 0.
        index: usize,
        /// Where the field begins.
        at: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More than a batch can hold: sizes and counts are 32 bits signed.
    #[error("{what} is too large for a batch")]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
    /// A batch without records.
    #[error("a batch needs at least one record")]
    Empty,
}

/// A header of a record. Headers keep their order, and several may have the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The key; Kafka's clients write UTF-8.
    pub key: Bytes,
    /// The value, or none (null).
    pub value: Option<Bytes>,
}

/// A record. Its bytes share the memory of the batch, or of what was decompressed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970: the producer's, or the batch's max timestamp with LogAppendTime.
    pub timestamp: i64,
    /// The key, or none (null).
    pub key: Option<Bytes>,
    /// The value, or none (null).
    pub value: Option<Bytes>,
    /// The headers in their order.
    pub headers: Vec<RecordHeader>,
}

/// The records of one batch. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Records {
    header: BatchHeader,
    records: Bytes,
    position: usize,
    index: usize,
    count: usize,
    last_delta: Option<i32>,
}

impl Records {
    /// Opens one complete batch: reads its header and decompresses its records into at most `limit` bytes
    /// (`max.decompressed.message.bytes`). The CRC is not checked.
    ///
    /// # Errors
    /// `batch` is not exactly one batch, cannot be decompressed within `limit`, or says that it has more records than
    /// its bytes can hold.
    pub fn open(batch: &Bytes, limit: usize) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(batch)?;
        let needed = header.total_len();
        if needed > batch.len() {
            return Err(BatchError::Truncated {
                needed,
                left: batch.len(),
            }
            .into());
        }
        let compressed = batch.slice(HEADER_LEN..needed);
        if needed < batch.len() {
            let reason = "but bytes follow after the end of the batch";
            return Err(BatchError::BadLength {
                length: header.batch_length,
                reason,
            }
            .into());
        }
        let records = match header.compression()? {
            Compression::None => compressed,
            codec => codec::decompress(codec, &compressed, limit)?,
        };
        let count = usize::try_from(header.record_count)
            .ok()
            .filter(|count| *count <= records.len() / MIN_RECORD_LEN)
            .ok_or(BatchError::InvalidRecord {
                reason: "its records cannot be as many as it says",
            })?;
        Ok(Self {
            header,
            records,
            position: 0,
            index: 0,
            count,
            last_delta: None,
        })
    }

    /// The batch's header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    fn invalid(&self, at: usize, reason: &'static str) -> RecordError {
        RecordError::Invalid {
            index: self.index,
            at,
            reason,
        }
    }

    fn read(&mut self) -> Result<Record, RecordError> {
        let at = self.position;
        let len = self.varint(self.records.len())?;
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| self.position.checked_add(len));
        let end = end
            .filter(|end| *end <= self.records.len())
            .ok_or_else(|| self.invalid(at, "its length reaches beyond the batch"))?;
        // The attributes of a record have no meaning yet.
        self.slice(1, end)?;
        let timestamp_delta = self.varlong(end)?;
        let at = self.position;
        let offset_delta = self.varint(end)?;
        if offset_delta > self.header.last_offset_delta || offset_delta <= self.last_delta.unwrap_or(-1) {
            return Err(self.invalid(
                at,
                "its offset is not between that before it and the batch's last",
            ));
        }
        self.last_delta = Some(offset_delta);
        let key = self.nullable(end)?;
        let value = self.nullable(end)?;
        let headers = self.headers(end)?;
        if self.position != end {
            return Err(self.invalid(self.position, "bytes follow after its last header"));
        }
        let timestamp = match self.header.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.saturating_add(timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let offset = self.header.base_offset.saturating_add(i64::from(offset_delta));
        Ok(Record {
            offset,
            timestamp,
            key,
            value,
            headers,
        })
    }

    fn headers(&mut self, end: usize) -> Result<Vec<RecordHeader>, RecordError> {
        let at = self.position;
        let count = usize::try_from(self.varint(end)?).ok();
        let most = end.saturating_sub(self.position) / MIN_HEADER_LEN;
        let count = count
            .filter(|count| *count <= most)
            .ok_or_else(|| self.invalid(at, "its headers cannot be as many as it says"))?;
        // A header takes more memory than its bytes: room is made as the headers come.
        let mut headers = Vec::new();
        for _ in 0..count {
            let at = self.position;
            let key = self
                .nullable(end)?
                .ok_or_else(|| self.invalid(at, "a header has no key"))?;
            headers.push(RecordHeader {
                key,
                value: self.nullable(end)?,
            });
        }
        Ok(headers)
    }

    /// Bytes after their length; a length of -1 is null.
    fn nullable(&mut self, end: usize) -> Result<Option<Bytes>, RecordError> {
        let at = self.position;
        match self.varint(end)? {
            -1 => Ok(None),
            len => {
                let len = usize::try_from(len).map_err(|_| self.invalid(at, "a length is negative"))?;
                self.slice(len, end).map(Some)
            }
        }
    }

    fn slice(&mut self, len: usize, end: usize) -> Result<Bytes, RecordError> {
        let start = self.position;
        match start.checked_add(len).filter(|stop| *stop <= end) {
            Some(stop) => {
                self.position = stop;
                Ok(self.records.slice(start..stop))
            }
            None => Err(self.invalid(start, "a field reaches beyond the record")),
        }
    }

    fn varint(&mut self, end: usize) -> Result<i32, RecordError> {
        let (number, len) =
            varint::decode_varint(self.ahead(end)).map_err(|source| self.bad_number(source))?;
        self.position += len;
        Ok(number)
    }

    fn varlong(&mut self, end: usize) -> Result<i64, RecordError> {
        let (number, len) =
            varint::decode_varlong(self.ahead(end)).map_err(|source| self.bad_number(source))?;
        self.position += len;
        Ok(number)
    }

    fn ahead(&self, end: usize) -> &[u8] {
        self.records.get(self.position..end).unwrap_or_default()
    }

    fn bad_number(&self, source: VarintError) -> RecordError {
        RecordError::Varint {
            index: self.index,
            at: self.position,
            source,
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            if self.position == self.records.len() {
                return None;
            }
            let error = self.invalid(self.position, "bytes follow after the batch's last record");
            self.position = self.records.len();
            return Some(Err(error));
        }
        let record = self.read();
        self.index += 1;
        if record.is_err() {
            self.index = self.count;
            self.position = self.records.len();
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.count - self.index + 1))
    }
}

/// Offset and timestamp of the first record in `batch` that is not older than `timestamp` (ListOffsets). Decompresses
/// the batch, into at most `limit` bytes, only if its header does not give the answer.
///
/// # Errors
/// As [`Records`].
pub fn first_at_or_after(
    batch: &Bytes,
    timestamp: i64,
    limit: usize,
) -> Result<Option<(i64, i64)>, RecordError> {
    let header = BatchHeader::parse(batch)?;
    if header.max_timestamp < timestamp {
        return Ok(None);
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return Ok(Some((header.base_offset, header.max_timestamp)));
    }
    for record in Records::open(batch, limit)? {
        let record = record?;
        if record.timestamp >= timestamp {
            return Ok(Some((record.offset, record.timestamp)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
