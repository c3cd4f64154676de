//! The `.index` beside a segment: every hundredth message's place, as the Go implementation writes and reads it.

use super::error::FormatError;
use super::reader::Reader;
use super::segment;
use super::writer::{put, put_count};

/// Bytes of the index header.
pub const INDEX_HEADER_LEN: usize = 16;
/// Bytes of an entry.
pub const INDEX_ENTRY_LEN: usize = 12;
/// Messages between two entries, unless set otherwise.
pub const DEFAULT_INDEX_INTERVAL: i32 = 100;

const OBJECT: &str = "segment index";
const MAGIC: [u8; 4] = *b"IDX\0";
const VERSION: u16 = 1;

/// The place of one batch in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// The batch's base offset.
    pub offset: i64,
    /// Where the batch begins, counted from the front of the segment file: 32 or more. 32 bits signed, so that a
    /// segment stays below 2 GiB.
    pub position: i32,
}

/// A parsed index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Messages between two entries.
    pub interval: i32,
    /// Ascending by offset and position.
    pub entries: Vec<IndexEntry>,
}

impl Index {
    /// Reads a whole index object.
    ///
    /// # Errors
    /// Wrong magic, version or counts, entries that do not ascend or point into the segment's header, bytes missing or
    /// too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(OBJECT, bytes, 0);
        reader.magic(MAGIC)?;
        reader.version(VERSION)?;
        let at = reader.at();
        let count = reader.natural_i32("entry count", "the entry count is negative")?;
        let interval_at = reader.at();
        let interval = reader.i32("interval")?;
        if interval < 1 {
            return Err(reader.invalid(interval_at, "the interval is not positive"));
        }
        reader.reserved::<2>()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > reader.left() / INDEX_ENTRY_LEN {
            let left = reader.left() as u64;
            return Err(FormatError::Count {
                object: OBJECT,
                field: "entries",
                at,
                count: count as u64,
                left,
            });
        }
        let mut entries = Vec::<IndexEntry>::with_capacity(count);
        for _ in 0..count {
            let at = reader.at();
            let entry = IndexEntry {
                offset: reader.natural_i64("offset", "an offset is negative")?,
                position: reader.i32("position")?,
            };
            if i64::from(entry.position) < segment::HEADER_LEN as i64 {
                return Err(reader.invalid(at + 8, "a position lies in the segment's header"));
            }
            if let Some(last) = entries.last()
                && (entry.offset <= last.offset || entry.position <= last.position)
            {
                return Err(reader.invalid(at, "an entry does not come after the one before it"));
            }
            entries.push(entry);
        }
        reader.end()?;
        Ok(Self { interval, entries })
    }

    /// The index's bytes.
    ///
    /// # Errors
    /// More entries than the format can count (2^31 and more).
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = Vec::with_capacity(INDEX_HEADER_LEN + self.entries.len() * INDEX_ENTRY_LEN);
        put(&mut out, MAGIC);
        put(&mut out, VERSION.to_be_bytes());
        // Signed in the format; positions end at 2 GiB, long before so many batches fit.
        put_count(&mut out, OBJECT, "number of entries", self.entries.len())?;
        put(&mut out, self.interval.to_be_bytes());
        put(&mut out, [0; 2]);
        for entry in &self.entries {
            put(&mut out, entry.offset.to_be_bytes());
            put(&mut out, entry.position.to_be_bytes());
        }
        Ok(out)
    }

    /// Where in a segment of `segment_len` bytes to begin reading for `offset`: at a batch that begins at or before it.
    /// Entries beyond the segment's end do not count: the index may have been written for a longer segment that lost
    /// the race for the name.
    #[must_use]
    pub fn position_for(&self, offset: i64, segment_len: u64) -> u64 {
        let body_end = segment_len.saturating_sub(segment::FOOTER_LEN as u64);
        let before = self.entries.partition_point(|entry| entry.offset <= offset);
        self.entries
            .iter()
            .take(before)
            .rev()
            .filter_map(|entry| u64::try_from(entry.position).ok())
            .find(|position| *position < body_end)
            .unwrap_or(segment::HEADER_LEN as u64)
    }

    /// Where the first indexed batch after `offset` begins, or the end of the segment's body when none is known: what
    /// lies between [`Self::position_for`] and here holds the batch with `offset`.
    #[must_use]
    pub fn end_for(&self, offset: i64, segment_len: u64) -> u64 {
        let body_end = segment_len
            .saturating_sub(segment::FOOTER_LEN as u64)
            .max(segment::HEADER_LEN as u64);
        let before = self.entries.partition_point(|entry| entry.offset <= offset);
        self.entries
            .get(before)
            .and_then(|entry| u64::try_from(entry.position).ok())
            .map_or(body_end, |position| position.min(body_end))
    }
}

/// Collects the entries while a segment is written: the first batch, then every batch that has at least `interval`
/// messages between the last entry's batch (which counts) and itself.
#[derive(Debug, Clone)]
pub struct IndexBuilder {
    interval: i32,
    since_last: i64,
    entries: Vec<IndexEntry>,
}

impl IndexBuilder {
    /// An interval below 1 counts as 1.
    #[must_use]
    pub fn new(interval: i32) -> Self {
        Self {
            interval: interval.max(1),
            since_last: 0,
            entries: Vec::new(),
        }
    }

    /// Tells the builder of the next batch: its base offset, its place, and its number of messages.
    pub fn add(&mut self, offset: i64, position: i32, messages: i32) {
        if self.entries.is_empty() || self.since_last >= i64::from(self.interval) {
            self.entries.push(IndexEntry { offset, position });
            self.since_last = 0;
        }
        self.since_last += i64::from(messages);
    }

    /// The index.
    #[must_use]
    pub fn finish(self) -> Index {
        Index {
            interval: self.interval,
            entries: self.entries,
        }
    }
}

#[cfg(test)]
mod tests;
