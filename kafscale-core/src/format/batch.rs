//! The header of a record batch, version 2 (magic 2, KIP-98), and what a broker does with whole batches without
//! looking into their records: check, patch, walk, cut.

use std::ops::Range;

use super::codec::Compression;
use crate::checksum::crc32c;

/// Bytes of a batch header: where the records begin.
pub const HEADER_LEN: usize = 61;
/// Bytes before the part that `batch_length` counts: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// The first byte that the batch's CRC covers (the attributes).
pub const CRC_COVERS_FROM: usize = 21;
/// The only magic that is written and read.
pub const MAGIC: i8 = 2;
/// The producer id of a batch without one.
pub const NO_PRODUCER_ID: i64 = -1;
/// The producer epoch of a batch without one.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The base sequence of a batch without one.
pub const NO_SEQUENCE: i32 = -1;

/// The magic's place: the same in the message sets of versions 0 and 1, so that those can be told apart.
const MAGIC_AT: usize = 16;
/// The smallest `batch_length`: a header without records.
const MIN_BATCH_LENGTH: i32 = (HEADER_LEN - LOG_OVERHEAD) as i32;

const COMPRESSION_MASK: i16 = 0x07;
pub(crate) const LOG_APPEND_TIME_FLAG: i16 = 0x08;
pub(crate) const TRANSACTIONAL_FLAG: i16 = 0x10;
pub(crate) const CONTROL_FLAG: i16 = 0x20;
const DELETE_HORIZON_FLAG: i16 = 0x40;
const KNOWN_ATTRIBUTES: i16 =
    COMPRESSION_MASK | LOG_APPEND_TIME_FLAG | TRANSACTIONAL_FLAG | CONTROL_FLAG | DELETE_HORIZON_FLAG;

/// What is wrong with a batch. Each variant names the Kafka error that tells the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end inside the batch (CORRUPT_MESSAGE).
    #[error("the batch needs {needed} bytes, there are {left}")]
    Truncated {
        /// Bytes that the batch, or its header, takes.
        needed: usize,
        /// Bytes that there are.
        left: usize,
    },
    /// The length field cannot be right (CORRUPT_MESSAGE).
    #[error("the batch length field says {length}, {reason}")]
    BadLength {
        /// The field as it stands.
        length: i32,
        /// What it contradicts.
        reason: &'static str,
    },
    /// The checksum does not match the bytes (CORRUPT_MESSAGE).
    #[error("the batch says CRC-32C {stored:#010x}, its bytes have {computed:#010x}")]
    BadCrc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A message format other than version 2 (UNSUPPORTED_FOR_MESSAGE_FORMAT).
    #[error("message format {magic} is not supported, only 2 is")]
    UnsupportedMagic {
        /// The batch's magic byte.
        magic: i8,
    },
    /// Larger than allowed (MESSAGE_TOO_LARGE).
    #[error("the batch has {size} bytes, {limit} are allowed")]
    TooLarge {
        /// Bytes of the whole batch.
        size: usize,
        /// The limit that it exceeds.
        limit: usize,
    },
    /// The header contradicts itself or says what a producer may not say (INVALID_RECORD).
    #[error("the batch is invalid: {reason}")]
    InvalidRecord {
        /// What is wrong.
        reason: &'static str,
    },
    /// A compression codec that does not exist (UNSUPPORTED_COMPRESSION_TYPE).
    #[error("compression codec {codec} is not known")]
    UnsupportedCompression {
        /// Bits 0 to 2 of the attributes.
        codec: u8,
    },
}

/// Who gave the records of a batch their timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer.
    #[default]
    CreateTime,
    /// The broker: every record has the batch's max timestamp.
    LogAppendTime,
}

/// What [`validate`] allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// The largest batch in bytes, header included (`max.message.bytes`).
    pub max_batch_bytes: usize,
    /// Whether control batches (transaction markers) pass; clients must not write them.
    pub allow_control: bool,
}

/// The 61 bytes before the records of a batch, field by field. Times are milliseconds since 1970, -1 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; given by the broker, outside the CRC.
    pub base_offset: i64,
    /// Bytes of the batch after this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; given by the broker, outside the CRC.
    pub partition_leader_epoch: i32,
    /// Always 2.
    pub magic: i8,
    /// CRC-32C of everything after it.
    pub crc: u32,
    /// Compression, timestamp type, and flags; see the methods.
    pub attributes: i16,
    /// Offset of the last record, counted from `base_offset`.
    pub last_offset_delta: i32,
    /// What the records' timestamps are counted from.
    pub base_timestamp: i64,
    /// The largest timestamp in the batch.
    pub max_timestamp: i64,
    /// Id of an idempotent or transactional producer, or -1.
    pub producer_id: i64,
    /// Epoch of that producer, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

/// A field of the header: its place is checked when the program is built.
#[inline]
fn field<const AT: usize, const N: usize>(header: &[u8; HEADER_LEN]) -> [u8; N] {
    const { assert!(AT + N <= HEADER_LEN) };
    let mut out = [0; N];
    out.copy_from_slice(&header[AT..AT + N]);
    out
}

/// The counterpart of [`field`].
#[inline]
fn set_field<const AT: usize, const N: usize>(header: &mut [u8; HEADER_LEN], value: [u8; N]) {
    const { assert!(AT + N <= HEADER_LEN) };
    header[AT..AT + N].copy_from_slice(&value);
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`; records, CRC and counts are not looked at.
    ///
    /// # Errors
    /// [`BatchError::UnsupportedMagic`], [`BatchError::Truncated`] when not even the header is there, or
    /// [`BatchError::BadLength`] when the batch would end inside its own header.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_AT)
            && magic.cast_signed() != MAGIC
        {
            return Err(BatchError::UnsupportedMagic {
                magic: magic.cast_signed(),
            });
        }
        let Some(raw) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::Truncated {
                needed: HEADER_LEN,
                left: bytes.len(),
            });
        };
        let header = Self {
            base_offset: i64::from_be_bytes(field::<0, 8>(raw)),
            batch_length: i32::from_be_bytes(field::<8, 4>(raw)),
            partition_leader_epoch: i32::from_be_bytes(field::<12, 4>(raw)),
            magic: i8::from_be_bytes(field::<MAGIC_AT, 1>(raw)),
            crc: u32::from_be_bytes(field::<17, 4>(raw)),
            attributes: i16::from_be_bytes(field::<CRC_COVERS_FROM, 2>(raw)),
            last_offset_delta: i32::from_be_bytes(field::<23, 4>(raw)),
            base_timestamp: i64::from_be_bytes(field::<27, 8>(raw)),
            max_timestamp: i64::from_be_bytes(field::<35, 8>(raw)),
            producer_id: i64::from_be_bytes(field::<43, 8>(raw)),
            producer_epoch: i16::from_be_bytes(field::<51, 2>(raw)),
            base_sequence: i32::from_be_bytes(field::<53, 4>(raw)),
            record_count: i32::from_be_bytes(field::<57, 4>(raw)),
        };
        if header.batch_length < MIN_BATCH_LENGTH {
            return Err(BatchError::BadLength {
                length: header.batch_length,
                reason: "less than the header alone takes",
            });
        }
        Ok(header)
    }

    /// The header's 61 bytes, exactly as the fields say.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut raw = [0; HEADER_LEN];
        set_field::<0, 8>(&mut raw, self.base_offset.to_be_bytes());
        set_field::<8, 4>(&mut raw, self.batch_length.to_be_bytes());
        set_field::<12, 4>(&mut raw, self.partition_leader_epoch.to_be_bytes());
        set_field::<MAGIC_AT, 1>(&mut raw, self.magic.to_be_bytes());
        set_field::<17, 4>(&mut raw, self.crc.to_be_bytes());
        set_field::<CRC_COVERS_FROM, 2>(&mut raw, self.attributes.to_be_bytes());
        set_field::<23, 4>(&mut raw, self.last_offset_delta.to_be_bytes());
        set_field::<27, 8>(&mut raw, self.base_timestamp.to_be_bytes());
        set_field::<35, 8>(&mut raw, self.max_timestamp.to_be_bytes());
        set_field::<43, 8>(&mut raw, self.producer_id.to_be_bytes());
        set_field::<51, 2>(&mut raw, self.producer_epoch.to_be_bytes());
        set_field::<53, 4>(&mut raw, self.base_sequence.to_be_bytes());
        set_field::<57, 4>(&mut raw, self.record_count.to_be_bytes());
        raw
    }

    /// Bytes of the whole batch, header included.
    #[inline]
    #[must_use]
    pub fn total_len(&self) -> usize {
        LOG_OVERHEAD + usize::try_from(self.batch_length.max(MIN_BATCH_LENGTH)).unwrap_or(0)
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// [`BatchError::UnsupportedCompression`] for the numbers 5 to 7.
    #[inline]
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let [_, low] = (self.attributes & COMPRESSION_MASK).to_be_bytes();
        Compression::from_id(low).ok_or(BatchError::UnsupportedCompression { codec: low })
    }

    /// Who gave the timestamps.
    #[inline]
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_FLAG == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[inline]
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_FLAG != 0
    }

    /// Whether the batch holds transaction markers instead of records of an application.
    #[inline]
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_FLAG != 0
    }

    /// Whether `base_timestamp` is the time from which tombstones may be removed (KIP-534).
    #[inline]
    #[must_use]
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_FLAG != 0
    }

    /// Whether the batch comes from a producer with an id, so that its sequence numbers count.
    #[inline]
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.producer_id != NO_PRODUCER_ID
    }

    /// Offset of the last record.
    #[inline]
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The first offset after the batch.
    #[inline]
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record, -1 without sequence. After `i32::MAX` comes 0, as Kafka's producers count.
    #[inline]
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            NO_SEQUENCE
        } else {
            add_sequence(self.base_sequence, self.last_offset_delta)
        }
    }
}

/// `sequence + increment` in the counting of Kafka's producers, where 0 follows `i32::MAX`.
#[inline]
#[must_use]
pub fn add_sequence(sequence: i32, increment: i32) -> i32 {
    // The lower 31 bits of the sum: i32::MAX + 1 is 0x8000_0000 and becomes 0.
    sequence.wrapping_add(increment) & i32::MAX
}

/// Writes base offset and leader epoch into the batch at the front of `batch`: both lie outside the CRC.
///
/// # Errors
/// [`BatchError::Truncated`] when fewer than the 16 bytes in question are there.
#[inline]
pub fn patch(batch: &mut [u8], base_offset: i64, leader_epoch: i32) -> Result<(), BatchError> {
    let left = batch.len();
    let truncated = BatchError::Truncated {
        needed: HEADER_LEN,
        left,
    };
    let Some((offset, rest)) = batch.split_first_chunk_mut::<8>() else {
        return Err(truncated);
    };
    let Some((_, rest)) = rest.split_first_chunk_mut::<4>() else {
        return Err(truncated);
    };
    let Some((epoch, _)) = rest.split_first_chunk_mut::<4>() else {
        return Err(truncated);
    };
    *offset = base_offset.to_be_bytes();
    *epoch = leader_epoch.to_be_bytes();
    Ok(())
}

/// Turns one complete batch into one with the broker's time: sets the attribute and the max timestamp and computes
/// the CRC again (`message.timestamp.type=LogAppendTime`). Answers the new header.
///
/// # Errors
/// As [`BatchHeader::parse`], and [`BatchError::Truncated`] or [`BatchError::BadLength`] when `batch` is not exactly
/// one batch.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) -> Result<BatchHeader, BatchError> {
    let mut header = BatchHeader::parse(batch)?;
    exactly_one(&header, batch.len())?;
    header.attributes |= LOG_APPEND_TIME_FLAG;
    header.max_timestamp = now_ms;
    rewrite_header(batch, &mut header)?;
    Ok(header)
}

/// Writes `header` over the front of `batch` with the CRC that the bytes then have.
pub(crate) fn rewrite_header(batch: &mut [u8], header: &mut BatchHeader) -> Result<(), BatchError> {
    let left = batch.len();
    let truncated = BatchError::Truncated {
        needed: HEADER_LEN,
        left,
    };
    let Some(raw) = batch.first_chunk_mut::<HEADER_LEN>() else {
        return Err(truncated);
    };
    *raw = header.encode();
    header.crc = crc32c(batch.get(CRC_COVERS_FROM..).unwrap_or_default());
    let Some(raw) = batch.first_chunk_mut::<HEADER_LEN>() else {
        return Err(truncated);
    };
    *raw = header.encode();
    Ok(())
}

/// Checks one complete batch as a broker checks what a producer sends: format, length, size, CRC, counts, attributes
/// and sequence numbers. The records themselves are not looked at. Reads the payload once, for the CRC.
///
/// # Errors
/// Every variant of [`BatchError`]; the cheap checks come before the CRC, `TooLarge` before both.
pub fn validate(batch: &[u8], limits: BatchLimits) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(batch)?;
    exactly_one(&header, batch.len())?;
    if batch.len() > limits.max_batch_bytes {
        return Err(BatchError::TooLarge {
            size: batch.len(),
            limit: limits.max_batch_bytes,
        });
    }
    check_crc(&header, batch)?;
    header.compression()?;
    check_fields(&header, limits.allow_control).map_err(|reason| BatchError::InvalidRecord { reason })?;
    Ok(header)
}

/// Checks the CRC of one complete batch whose header is `header`.
///
/// # Errors
/// [`BatchError::BadCrc`].
#[inline]
pub fn check_crc(header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
    let computed = crc32c(batch.get(CRC_COVERS_FROM..).unwrap_or_default());
    if computed == header.crc {
        Ok(())
    } else {
        Err(BatchError::BadCrc {
            stored: header.crc,
            computed,
        })
    }
}

fn exactly_one(header: &BatchHeader, len: usize) -> Result<(), BatchError> {
    let needed = header.total_len();
    if needed > len {
        return Err(BatchError::Truncated { needed, left: len });
    }
    if needed < len {
        return Err(BatchError::BadLength {
            length: header.batch_length,
            reason: "but bytes follow after the end of the batch",
        });
    }
    Ok(())
}

fn check_fields(header: &BatchHeader, allow_control: bool) -> Result<(), &'static str> {
    if header.record_count < 1 {
        return Err("it says that it has no records");
    }
    if header.last_offset_delta != header.record_count - 1 {
        return Err("its last offset delta is not its record count less one");
    }
    if header.attributes & !KNOWN_ATTRIBUTES != 0 {
        return Err("it has attribute bits that are not defined");
    }
    if header.is_control() && !allow_control {
        return Err("clients may not write control batches");
    }
    if header.is_idempotent() {
        if header.producer_id < 0 {
            return Err("its producer id is negative");
        }
        if header.producer_epoch < 0 {
            return Err("it has a producer id but no producer epoch");
        }
        // Transaction markers carry the producer's id and epoch and no sequence.
        if header.base_sequence < 0 && !header.is_control() {
            return Err("it has a producer id but no sequence number");
        }
    } else if header.is_transactional() {
        return Err("it is transactional but has no producer id");
    }
    Ok(())
}

/// Walks several whole batches that lie one after the other: header and place of each. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    position: usize,
    strict: bool,
    failed: bool,
}

impl<'a> Batches<'a> {
    /// A batch that is cut off at the end is an error: for what is sent or stored.
    #[must_use]
    pub fn strict(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            strict: true,
            failed: false,
        }
    }

    /// A batch that is cut off at the end is the end: for ranges of a file and fetch responses (KIP-74).
    #[must_use]
    pub fn lenient(bytes: &'a [u8]) -> Self {
        Self {
            strict: false,
            ..Self::strict(bytes)
        }
    }

    /// Bytes walked so far: where the next batch begins, or the one that an error is about.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    fn step(&mut self) -> Result<Option<(BatchHeader, Range<usize>)>, BatchError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let header = match BatchHeader::parse(rest) {
            Err(BatchError::Truncated { .. }) if !self.strict => return Ok(None),
            other => other?,
        };
        let needed = header.total_len();
        if needed > rest.len() {
            let error = BatchError::Truncated {
                needed,
                left: rest.len(),
            };
            return if self.strict { Err(error) } else { Ok(None) };
        }
        let start = self.position;
        self.position += needed;
        Ok(Some((header, start..self.position)))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<(BatchHeader, Range<usize>), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

/// Where the first whole batch begins that reaches `offset` or goes beyond it; none when all whole batches end
/// before it. `bytes` must begin with a batch; a batch cut off at the end does not count.
///
/// # Errors
/// What lies there is not a batch of version 2.
pub fn skip_to_offset(bytes: &[u8], offset: i64) -> Result<Option<usize>, BatchError> {
    for batch in Batches::lenient(bytes) {
        let (header, place) = batch?;
        if header.last_offset() >= offset {
            return Ok(Some(place.start));
        }
    }
    Ok(None)
}

/// How many bytes of whole batches at the front of `bytes` fit into `max_bytes`: at least one batch if there is a
/// whole one, however large (KIP-74); 0 when there is none.
///
/// # Errors
/// What lies there is not a batch of version 2.
pub fn take_whole(bytes: &[u8], max_bytes: usize) -> Result<usize, BatchError> {
    let mut taken = 0;
    for batch in Batches::lenient(bytes) {
        let (_, place) = batch?;
        if taken != 0 && place.end > max_bytes {
            break;
        }
        taken = place.end;
        if taken >= max_bytes {
            break;
        }
    }
    Ok(taken)
}

#[cfg(test)]
pub(super) mod tests;
