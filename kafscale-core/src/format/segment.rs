//! The `.kfs` segment: a partition's record batches between a header and a footer, as the Go implementation writes it.

use bytes::Bytes;

use super::batch::{BatchHeader, Batches};
use super::error::FormatError;
use super::index::{Index, IndexBuilder};
use super::reader::Reader;
use super::writer::put;
use crate::checksum::{crc32c, crc32c_append};

/// Bytes of the segment header.
pub const HEADER_LEN: usize = 32;
/// Bytes of the segment footer.
pub const FOOTER_LEN: usize = 16;
/// The largest segment: positions in the index are 32 bits signed.
pub const MAX_SEGMENT_LEN: u64 = i32::MAX as u64;

const OBJECT: &str = "segment";
const MAGIC: [u8; 4] = *b"KAFS";
const END_MAGIC: [u8; 4] = *b"END!";
const VERSION: u16 = 1;

/// The first 32 bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Number of records in all batches.
    pub message_count: i32,
    /// When the segment was cut, milliseconds since 1970.
    pub created_ms: i64,
}

impl SegmentHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        put(&mut out, MAGIC);
        put(&mut out, VERSION.to_be_bytes());
        put(&mut out, [0; 2]);
        put(&mut out, self.base_offset.to_be_bytes());
        put(&mut out, self.message_count.to_be_bytes());
        put(&mut out, self.created_ms.to_be_bytes());
        put(&mut out, [0; 4]);
        out
    }

    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// Too few bytes, wrong magic or version, flags that are not defined, a negative offset or count.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(OBJECT, bytes, 0);
        reader.magic(MAGIC)?;
        reader.version(VERSION)?;
        reader.reserved::<2>()?;
        let header = Self {
            base_offset: reader.natural_i64("base offset", "the base offset is negative")?,
            message_count: reader.natural_i32("message count", "the message count is negative")?,
            created_ms: reader.i64("creation time")?,
        };
        reader.reserved::<4>()?;
        Ok(header)
    }
}

/// The last 16 bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFooter {
    /// CRC-32C of the body: everything between header and footer.
    pub body_crc: u32,
    /// Offset of the last record.
    pub last_offset: i64,
}

impl SegmentFooter {
    /// The footer's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_LEN);
        put(&mut out, self.body_crc.to_be_bytes());
        put(&mut out, self.last_offset.to_be_bytes());
        put(&mut out, END_MAGIC);
        out
    }

    /// Reads the footer at the end of `tail`: the last bytes of a segment, 16 or more. Errors count from the front of
    /// `tail`.
    ///
    /// # Errors
    /// Too few bytes, wrong magic, or a negative offset.
    pub fn parse(tail: &[u8]) -> Result<Self, FormatError> {
        let from = tail.len().saturating_sub(FOOTER_LEN);
        let mut reader = Reader::new(OBJECT, tail.get(from..).unwrap_or_default(), from as u64);
        let footer = Self {
            body_crc: reader.u32("footer")?,
            last_offset: reader.natural_i64("last offset", "the last offset is negative")?,
        };
        reader.magic(END_MAGIC)?;
        Ok(footer)
    }
}

/// A segment ready to be written.
#[derive(Debug, Clone)]
pub struct BuiltSegment {
    /// The segment's header.
    pub header: SegmentHeader,
    /// The segment's footer.
    pub footer: SegmentFooter,
    /// The segment's bytes in pieces: header, the body's chunks as they were handed in (not copied), footer.
    pub payload: Vec<Bytes>,
    /// Bytes of all pieces together.
    pub len: u64,
    /// Bytes of the `.index`.
    pub index: Bytes,
    /// The largest timestamp of all batches.
    pub max_timestamp: i64,
}

/// Builds a segment from `chunks`, each of which holds whole batches with their final offsets, and its index with an
/// entry every `index_interval` messages. The chunks are read once, for the body's CRC; the batches' own CRCs are taken
/// as checked.
///
/// # Errors
/// No batches, broken ones, offsets that do not ascend, or more bytes or messages than a segment can hold.
pub fn build_segment(
    chunks: &[Bytes],
    created_ms: i64,
    index_interval: i32,
) -> Result<BuiltSegment, FormatError> {
    let body_len: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let len = body_len + (HEADER_LEN + FOOTER_LEN) as u64;
    if len > MAX_SEGMENT_LEN {
        return Err(FormatError::TooLarge {
            object: OBJECT,
            field: "the size",
            size: len,
            limit: MAX_SEGMENT_LEN,
        });
    }
    let mut walk = BodyWalk::new();
    let mut index = IndexBuilder::new(index_interval);
    let mut body_crc = 0;
    for chunk in chunks {
        body_crc = crc32c_append(body_crc, chunk);
        walk.chunk(chunk, |header, position| {
            // The whole segment fits into the positions, and so does each batch.
            index.add(
                header.base_offset,
                i32::try_from(position).unwrap_or(i32::MAX),
                header.record_count,
            );
        })?;
    }
    let summary = walk.finish()?;
    let header = SegmentHeader {
        base_offset: summary.base_offset,
        message_count: summary.message_count,
        created_ms,
    };
    let footer = SegmentFooter {
        body_crc,
        last_offset: summary.last_offset,
    };
    let mut payload = Vec::with_capacity(chunks.len() + 2);
    payload.push(header.encode().into());
    payload.extend(chunks.iter().cloned());
    payload.push(footer.encode().into());
    let index = index.finish().encode()?.into();
    Ok(BuiltSegment {
        header,
        footer,
        payload,
        len,
        index,
        max_timestamp: summary.max_timestamp,
    })
}

/// What a whole segment says and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSegment {
    /// The segment's header.
    pub header: SegmentHeader,
    /// The segment's footer.
    pub footer: SegmentFooter,
    /// Number of batches.
    pub batches: usize,
    /// The largest timestamp of all batches.
    pub max_timestamp: i64,
}

/// Checks a whole segment: header, footer, the body's CRC, and that the batches in it agree with header and footer.
/// The batches' own CRCs are not checked again: the body's covers the same bytes.
///
/// # Errors
/// Whatever is wrong first, and where.
pub fn verify(segment: &[u8]) -> Result<VerifiedSegment, FormatError> {
    let header = SegmentHeader::parse(segment)?;
    let footer = SegmentFooter::parse(segment)?;
    let body = body(segment)?;
    let computed = crc32c(body);
    let footer_at = (HEADER_LEN + body.len()) as u64;
    if computed != footer.body_crc {
        return Err(FormatError::Checksum {
            object: OBJECT,
            at: footer_at,
            stored: footer.body_crc,
            computed,
        });
    }
    let mut walk = BodyWalk::new();
    walk.chunk(body, |_, _| {})?;
    let summary = walk.finish()?;
    let invalid = |at, reason| {
        Err(FormatError::Value {
            object: OBJECT,
            at,
            reason,
        })
    };
    if summary.base_offset != header.base_offset {
        return invalid(8, "the base offset is not the first batch's");
    }
    if summary.message_count != header.message_count {
        return invalid(
            16,
            "the message count is not the sum of the batches' record counts",
        );
    }
    if summary.last_offset != footer.last_offset {
        return invalid(footer_at + 4, "the last offset is not the last batch's");
    }
    Ok(VerifiedSegment {
        header,
        footer,
        batches: summary.batches,
        max_timestamp: summary.max_timestamp,
    })
}

/// The body of a whole segment: its batches.
///
/// # Errors
/// The segment is too short for header and footer.
pub fn body(segment: &[u8]) -> Result<&[u8], FormatError> {
    let end = segment.len().saturating_sub(FOOTER_LEN);
    segment.get(HEADER_LEN..end).ok_or(FormatError::Truncated {
        object: OBJECT,
        field: "header and footer",
        at: 0,
        needed: (HEADER_LEN + FOOTER_LEN) as u64,
        left: segment.len() as u64,
    })
}

/// Makes the index of a whole segment anew, for a segment whose own is lost or was written for other bytes.
///
/// # Errors
/// As [`verify`], short of the checksum.
pub fn rebuild_index(segment: &[u8], index_interval: i32) -> Result<Index, FormatError> {
    let mut index = IndexBuilder::new(index_interval);
    let mut walk = BodyWalk::new();
    walk.chunk(body(segment)?, |header, position| {
        index.add(
            header.base_offset,
            i32::try_from(position).unwrap_or(i32::MAX),
            header.record_count,
        );
    })?;
    walk.finish()?;
    Ok(index.finish())
}

/// Sums up the batches of a body while walking it.
struct BodyWalk {
    position: u64,
    base_offset: Option<i64>,
    last_offset: i64,
    message_count: i64,
    max_timestamp: i64,
    batches: usize,
}

struct BodySummary {
    base_offset: i64,
    last_offset: i64,
    message_count: i32,
    max_timestamp: i64,
    batches: usize,
}

impl BodyWalk {
    fn new() -> Self {
        Self {
            position: HEADER_LEN as u64,
            base_offset: None,
            last_offset: -1,
            message_count: 0,
            max_timestamp: -1,
            batches: 0,
        }
    }

    fn chunk(&mut self, chunk: &[u8], mut seen: impl FnMut(&BatchHeader, u64)) -> Result<(), FormatError> {
        let start = self.position;
        let mut batches = Batches::strict(chunk);
        while let Some(batch) = batches.next() {
            let at = start + batches.position() as u64;
            let (header, place) = batch.map_err(|source| FormatError::Batch {
                object: OBJECT,
                at,
                source,
            })?;
            let at = start + place.start as u64;
            let invalid = |reason| {
                Err(FormatError::Value {
                    object: OBJECT,
                    at,
                    reason,
                })
            };
            if header.base_offset <= self.last_offset {
                return invalid("the batch's offsets do not come after those before it");
            }
            if header.last_offset_delta < 0 || header.last_offset() == i64::MAX {
                return invalid("the batch's last offset delta is not possible");
            }
            if header.record_count < 0 {
                return invalid("the batch's record count is negative");
            }
            seen(&header, at);
            self.base_offset.get_or_insert(header.base_offset);
            self.last_offset = header.last_offset();
            self.message_count += i64::from(header.record_count);
            self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
            self.batches += 1;
        }
        self.position = start + chunk.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<BodySummary, FormatError> {
        let Some(base_offset) = self.base_offset else {
            return Err(FormatError::Misuse {
                object: OBJECT,
                reason: "it has no batches",
            });
        };
        let message_count = i32::try_from(self.message_count).map_err(|_| FormatError::TooLarge {
            object: OBJECT,
            field: "the message count",
            size: self.message_count.unsigned_abs(),
            limit: i32::MAX as u64,
        })?;
        Ok(BodySummary {
            base_offset,
            last_offset: self.last_offset,
            message_count,
            max_timestamp: self.max_timestamp,
            batches: self.batches,
        })
    }
}

#[cfg(test)]
mod tests;
