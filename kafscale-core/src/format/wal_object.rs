//! The `.kfw` data slot of a write-ahead log: record batches of many partitions, and a footer that says whose they are.

use bytes::Bytes;

use super::batch::{self, BatchHeader, Batches};
use super::error::FormatError;
use super::keys::parse_directory;
use super::reader::Reader;
use super::slot::{SLOT_HEADER_LEN, SlotHeader, SlotKind, SlotMagic};
use super::writer::{put, put_count, put_text16};
use crate::checksum::crc32c;
use crate::ids::TopicId;

/// Bytes after the footer: its position, length and checksum, and the closing magic.
pub const TRAILER_LEN: usize = 20;
/// Bytes of the smallest object: header, a footer without runs, trailer.
pub const MIN_WAL_OBJECT_LEN: usize = SLOT_HEADER_LEN + MIN_FOOTER_LEN + TRAILER_LEN;

const OBJECT: &str = "WAL object";
const FOOTER: &str = "WAL footer";
const END_MAGIC: [u8; 4] = *b"WEND";
const MIN_FOOTER_LEN: usize = SLOT_HEADER_LEN + 4;
/// A run in the footer without its directory and producer batches.
const RUN_LEN: usize = 16 + 2 + 4 + 4 + 8 + 8 + 8 + 8 + 8 + 4 + 4;
const PRODUCER_BATCH_LEN: usize = 8 + 2 + 4 + 4 + 8 + 8 + 8;
/// What a directory is taken to need when room for the footer is reserved.
const USUAL_DIRECTORY_LEN: usize = 64;

/// What recovery needs to know of one batch of an idempotent producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerBatch {
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// Sequence number of the first record.
    pub base_sequence: i32,
    /// Sequence number of the last record.
    pub last_sequence: i32,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The largest timestamp.
    pub max_timestamp: i64,
}

/// The batches of one partition in one object, one after the other, without a hole in the offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalRun {
    /// The topic's id: tells one life of a topic from the next.
    pub topic_id: TopicId,
    /// The topic's directory, so that the bucket explains itself.
    pub directory: String,
    /// The partition.
    pub partition: i32,
    /// The leader epoch of all its batches.
    pub leader_epoch: i32,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Where the batches begin in the object.
    pub position: u64,
    /// Bytes of the batches.
    pub length: u64,
    /// The largest timestamp.
    pub max_timestamp: i64,
    /// Number of records.
    pub record_count: u32,
    /// The batches of idempotent producers, in order.
    pub producer_batches: Vec<ProducerBatch>,
}

impl WalRun {
    /// The run's batches in the whole `object`, which they share; none when the object is shorter.
    #[must_use]
    pub fn slice(&self, object: &Bytes) -> Option<Bytes> {
        let start = usize::try_from(self.position).ok()?;
        let end = start.checked_add(usize::try_from(self.length).ok()?)?;
        (end <= object.len()).then(|| object.slice(start..end))
    }

    /// Takes the next batch, which begins at `position`, into account.
    fn add(&mut self, header: &BatchHeader, len: usize) {
        self.last_offset = header.last_offset();
        self.length += len as u64;
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
        self.record_count = self
            .record_count
            .saturating_add(header.record_count.unsigned_abs());
        if header.is_idempotent() {
            self.producer_batches.push(ProducerBatch {
                producer_id: header.producer_id,
                producer_epoch: header.producer_epoch,
                base_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset: header.base_offset,
                last_offset: header.last_offset(),
                max_timestamp: header.max_timestamp,
            });
        }
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        put(out, self.topic_id.0);
        put_text16(out, FOOTER, "the directory", &self.directory)?;
        put(out, self.partition.to_be_bytes());
        put(out, self.leader_epoch.to_be_bytes());
        put(out, self.base_offset.to_be_bytes());
        put(out, self.last_offset.to_be_bytes());
        put(out, self.position.to_be_bytes());
        put(out, self.length.to_be_bytes());
        put(out, self.max_timestamp.to_be_bytes());
        put(out, self.record_count.to_be_bytes());
        put_count(
            out,
            FOOTER,
            "the number of producer batches",
            self.producer_batches.len(),
        )?;
        for batch in &self.producer_batches {
            put(out, batch.producer_id.to_be_bytes());
            put(out, batch.producer_epoch.to_be_bytes());
            put(out, batch.base_sequence.to_be_bytes());
            put(out, batch.last_sequence.to_be_bytes());
            put(out, batch.base_offset.to_be_bytes());
            put(out, batch.last_offset.to_be_bytes());
            put(out, batch.max_timestamp.to_be_bytes());
        }
        Ok(())
    }

    /// Reads a run whose batches must lie between `from` and `to` in the object.
    fn parse(reader: &mut Reader<'_>, from: u64, to: u64) -> Result<Self, FormatError> {
        let topic_id = TopicId(reader.array("topic id")?);
        let at = reader.at();
        let directory = reader.text16("directory")?;
        parse_directory(directory).map_err(|_| reader.invalid(at, "the directory is not one of a topic"))?;
        let partition = reader.natural_i32("partition", "the partition is negative")?;
        let leader_epoch = reader.i32("leader epoch")?;
        let base_offset = reader.natural_i64("base offset", "the base offset is negative")?;
        let at = reader.at();
        let last_offset = reader.i64("last offset")?;
        if last_offset < base_offset || last_offset == i64::MAX {
            return Err(reader.invalid(at, "the last offset is not possible"));
        }
        let at = reader.at();
        let (position, length) = (reader.u64("position")?, reader.u64("length")?);
        if position < from
            || length < batch::HEADER_LEN as u64
            || position.checked_add(length).is_none_or(|end| end > to)
        {
            return Err(reader.invalid(at, "the run's bytes overlap others or lie outside the object"));
        }
        let max_timestamp = reader.i64("max timestamp")?;
        let at = reader.at();
        let record_count = reader.u32("record count")?;
        // Neither is negative, and the last is below i64::MAX.
        if i64::from(record_count) != last_offset - base_offset + 1 {
            return Err(reader.invalid(at, "the record count is not the number of offsets"));
        }
        let count = reader.count("producer batches", PRODUCER_BATCH_LEN)?;
        let mut producer_batches = Vec::with_capacity(count);
        for _ in 0..count {
            let at = reader.at();
            let batch = ProducerBatch {
                producer_id: reader.natural_i64("producer id", "the producer id is negative")?,
                producer_epoch: reader.i16("producer epoch")?,
                base_sequence: reader.i32("base sequence")?,
                last_sequence: reader.i32("last sequence")?,
                base_offset: reader.i64("base offset")?,
                last_offset: reader.i64("last offset")?,
                max_timestamp: reader.i64("max timestamp")?,
            };
            if batch.base_offset < base_offset
                || batch.last_offset < batch.base_offset
                || batch.last_offset > last_offset
            {
                return Err(reader.invalid(at, "a producer's batch lies outside its run"));
            }
            producer_batches.push(batch);
        }
        Ok(Self {
            topic_id,
            directory: directory.to_owned(),
            partition,
            leader_epoch,
            base_offset,
            last_offset,
            position,
            length,
            max_timestamp,
            record_count,
            producer_batches,
        })
    }
}

/// How much goes into an object, so that the room is taken at once. Too little costs a copy, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WalSizeHint {
    /// Bytes of all batches.
    pub payload_bytes: usize,
    /// Number of runs.
    pub runs: usize,
    /// Number of batches.
    pub batches: usize,
}

/// Builds a WAL object in one contiguous buffer, into which each batch is copied once.
#[derive(Debug)]
pub struct WalObjectBuilder {
    header: SlotHeader,
    buffer: Vec<u8>,
    runs: Vec<WalRun>,
    next_run: Option<NextRun>,
}

/// A run that was begun: the entry is made by its first batch.
#[derive(Debug)]
struct NextRun {
    topic_id: TopicId,
    directory: String,
    partition: i32,
    leader_epoch: i32,
}

impl WalObjectBuilder {
    /// Begins an object with `header`, whose magic must be [`SlotMagic::Wal`] and kind [`SlotKind::Data`].
    ///
    /// # Errors
    /// The header is not one of a WAL data slot.
    pub fn new(header: SlotHeader, hint: WalSizeHint) -> Result<Self, FormatError> {
        if header.magic != SlotMagic::Wal || header.kind != SlotKind::Data {
            return Err(misuse("its header is not one of a WAL data slot"));
        }
        let footer = MIN_FOOTER_LEN
            .saturating_add(hint.runs.saturating_mul(RUN_LEN + USUAL_DIRECTORY_LEN))
            .saturating_add(hint.batches.saturating_mul(PRODUCER_BATCH_LEN));
        let capacity = hint
            .payload_bytes
            .saturating_add(footer)
            .saturating_add(SLOT_HEADER_LEN + TRAILER_LEN);
        let mut buffer = Vec::with_capacity(capacity);
        put(&mut buffer, header.encode());
        Ok(Self {
            header,
            buffer,
            runs: Vec::with_capacity(hint.runs),
            next_run: None,
        })
    }

    /// Begins the run of a partition. A run that gets no batch leaves no trace.
    pub fn begin_run(&mut self, topic_id: TopicId, directory: &str, partition: i32, leader_epoch: i32) {
        let directory = directory.to_owned();
        self.next_run = Some(NextRun {
            topic_id,
            directory,
            partition,
            leader_epoch,
        });
    }

    /// Copies one complete batch into the current run and gives it `base_offset` and the run's leader epoch there.
    /// The batch was checked before: its CRC is not read here.
    ///
    /// # Errors
    /// No run was begun, `batch` is not exactly one batch, or its offsets do not follow those before it. Nothing is
    /// added then.
    pub fn push_batch(&mut self, batch: &[u8], base_offset: i64) -> Result<(), FormatError> {
        let at = self.buffer.len();
        let broken = |source| FormatError::Batch {
            object: OBJECT,
            at: at as u64,
            source,
        };
        let header = BatchHeader {
            base_offset,
            ..BatchHeader::parse(batch).map_err(broken)?
        };
        if header.total_len() != batch.len() {
            return Err(misuse("what is pushed is not exactly one batch"));
        }
        if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
            return Err(misuse("the batch does not have as many records as offsets"));
        }
        if base_offset < 0 || header.last_offset() == i64::MAX {
            return Err(misuse("the batch's offsets are not possible"));
        }
        if self.next_run.is_none()
            && self
                .runs
                .last()
                .is_some_and(|run| run.last_offset + 1 != base_offset)
        {
            return Err(misuse("the batch's offsets do not follow those before it"));
        }
        if let Some(next) = self.next_run.take() {
            self.runs.push(WalRun {
                topic_id: next.topic_id,
                directory: next.directory,
                partition: next.partition,
                leader_epoch: next.leader_epoch,
                base_offset,
                last_offset: base_offset,
                position: at as u64,
                length: 0,
                max_timestamp: i64::MIN,
                record_count: 0,
                producer_batches: Vec::new(),
            });
        }
        let Some(run) = self.runs.last_mut() else {
            return Err(misuse("no run was begun"));
        };
        self.buffer.extend_from_slice(batch);
        let copy = self.buffer.get_mut(at..).unwrap_or_default();
        batch::patch(copy, base_offset, run.leader_epoch).map_err(broken)?;
        run.add(&header, batch.len());
        Ok(())
    }

    /// Bytes so far: header and batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether no batch has been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds footer and trailer: the object's bytes and its runs. An object without runs is fine: it carries a trim
    /// point.
    ///
    /// # Errors
    /// Something does not fit into the footer's fields (4 GiB of footer, a directory of 64 KiB).
    pub fn finish(self) -> Result<(Bytes, Vec<WalRun>), FormatError> {
        let Self {
            header,
            mut buffer,
            runs,
            ..
        } = self;
        let footer_at = buffer.len();
        put(&mut buffer, header.encode());
        put_count(&mut buffer, FOOTER, "the number of runs", runs.len())?;
        for run in &runs {
            run.encode(&mut buffer)?;
        }
        let footer_len = buffer.len() - footer_at;
        let crc = crc32c(buffer.get(footer_at..).unwrap_or_default());
        put(&mut buffer, (footer_at as u64).to_be_bytes());
        put_count(&mut buffer, FOOTER, "the length", footer_len)?;
        put(&mut buffer, crc.to_be_bytes());
        put(&mut buffer, END_MAGIC);
        Ok((buffer.into(), runs))
    }
}

fn misuse(reason: &'static str) -> FormatError {
    FormatError::Misuse {
        object: OBJECT,
        reason,
    }
}

/// What a WAL object says about itself: enough for recovery, without the batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalFooter {
    /// The object's slot header, of which the footer holds a copy.
    pub header: SlotHeader,
    /// The runs in the order of their bytes.
    pub runs: Vec<WalRun>,
}

/// What [`WalFooter::parse_tail`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseTail {
    /// The footer.
    Footer(WalFooter),
    /// The tail is too short: the object is needed from this byte on.
    NeedMore {
        /// Counted from the front of the object.
        from: u64,
    },
}

impl WalFooter {
    /// Reads the footer from the last bytes of an object of `object_len` bytes, as many as one cares to fetch first.
    ///
    /// # Errors
    /// The object is too short, or trailer or footer are broken.
    pub fn parse_tail(tail: &[u8], object_len: u64) -> Result<ParseTail, FormatError> {
        if object_len < MIN_WAL_OBJECT_LEN as u64 {
            let needed = MIN_WAL_OBJECT_LEN as u64;
            return Err(FormatError::Truncated {
                object: OBJECT,
                field: "the object",
                at: 0,
                needed,
                left: object_len,
            });
        }
        let Some(tail_at) = object_len.checked_sub(tail.len() as u64) else {
            return Err(misuse("the tail is longer than the object"));
        };
        let trailer_at = object_len - TRAILER_LEN as u64;
        let Some((before, trailer)) = tail.split_last_chunk::<TRAILER_LEN>() else {
            return Ok(ParseTail::NeedMore { from: trailer_at });
        };
        let mut reader = Reader::new(OBJECT, trailer, trailer_at);
        let footer_at = reader.u64("footer position")?;
        let footer_len = u64::from(reader.u32("footer length")?);
        let crc_at = reader.at();
        let stored = reader.u32("footer checksum")?;
        reader.magic(END_MAGIC)?;
        if footer_at < SLOT_HEADER_LEN as u64
            || footer_len < MIN_FOOTER_LEN as u64
            || footer_at.checked_add(footer_len) != Some(trailer_at)
        {
            return Err(reader.invalid(trailer_at, "the footer does not lie between batches and trailer"));
        }
        let Some(skip) = footer_at.checked_sub(tail_at) else {
            return Ok(ParseTail::NeedMore { from: footer_at });
        };
        let footer = usize::try_from(skip)
            .ok()
            .and_then(|skip| before.get(skip..))
            .unwrap_or_default();
        let computed = crc32c(footer);
        if stored != computed {
            return Err(FormatError::Checksum {
                object: OBJECT,
                at: crc_at,
                stored,
                computed,
            });
        }
        Self::parse_footer(footer, footer_at).map(ParseTail::Footer)
    }

    /// Reads the footer of a whole object, and checks that the object begins with the header that the footer repeats.
    ///
    /// # Errors
    /// Header, trailer or footer are broken or disagree.
    pub fn parse(object: &[u8]) -> Result<Self, FormatError> {
        match Self::parse_tail(object, object.len() as u64)? {
            ParseTail::Footer(footer) if SlotHeader::parse(object)? == footer.header => Ok(footer),
            ParseTail::Footer(_) => Err(FormatError::Value {
                object: OBJECT,
                at: 0,
                reason: "header and footer belong to different slots",
            }),
            ParseTail::NeedMore { from } => Err(FormatError::Value {
                object: OBJECT,
                at: from,
                reason: "the footer lies outside the object",
            }),
        }
    }

    fn parse_footer(footer: &[u8], footer_at: u64) -> Result<Self, FormatError> {
        let header = SlotHeader::parse_at(footer, footer_at)?;
        let mut reader = Reader::new(FOOTER, footer, footer_at);
        if header.magic != SlotMagic::Wal || header.kind != SlotKind::Data {
            return Err(reader.invalid(footer_at, "the header in it is not one of a WAL data slot"));
        }
        reader.slice("slot header", SLOT_HEADER_LEN)?;
        let count = reader.count("runs", RUN_LEN)?;
        let mut runs = Vec::with_capacity(count);
        let mut from = SLOT_HEADER_LEN as u64;
        for _ in 0..count {
            let run = WalRun::parse(&mut reader, from, footer_at)?;
            from = run.position + run.length;
            runs.push(run);
        }
        reader.end()?;
        Ok(Self { header, runs })
    }

    /// Walks every run of the whole `object` and checks each batch's CRC, and that the batches are those that the
    /// footer tells of.
    ///
    /// # Errors
    /// Whatever is wrong first, and where.
    pub fn verify_payload(&self, object: &[u8]) -> Result<(), FormatError> {
        if SlotHeader::parse(object)? != self.header {
            let reason = "header and footer belong to different slots";
            return Err(FormatError::Value {
                object: OBJECT,
                at: 0,
                reason,
            });
        }
        for run in &self.runs {
            verify_run(run, object)?;
        }
        Ok(())
    }
}

fn verify_run(run: &WalRun, object: &[u8]) -> Result<(), FormatError> {
    let truncated = FormatError::Truncated {
        object: OBJECT,
        field: "the run's batches",
        at: run.position,
        needed: run.length,
        left: (object.len() as u64).saturating_sub(run.position),
    };
    let range = usize::try_from(run.position)
        .ok()
        .zip(usize::try_from(run.length).ok());
    let bytes = range
        .and_then(|(start, len)| object.get(start..start.checked_add(len)?))
        .ok_or(truncated)?;
    let mut seen = WalRun {
        directory: run.directory.clone(),
        length: 0,
        last_offset: run.base_offset - 1,
        max_timestamp: i64::MIN,
        record_count: 0,
        producer_batches: Vec::new(),
        ..*run
    };
    let mut batches = Batches::strict(bytes);
    while let Some(batch) = batches.next() {
        let broken = |at: usize, source| FormatError::Batch {
            object: OBJECT,
            at: run.position + at as u64,
            source,
        };
        let (header, place) = batch.map_err(|source| broken(batches.position(), source))?;
        let invalid = |reason| {
            Err(FormatError::Value {
                object: OBJECT,
                at: run.position + place.start as u64,
                reason,
            })
        };
        let batch = bytes.get(place.clone()).unwrap_or_default();
        batch::check_crc(&header, batch).map_err(|source| broken(place.start, source))?;
        if header.base_offset != seen.last_offset + 1 || header.last_offset() > run.last_offset {
            return invalid("the batch's offsets are not those that the footer tells of");
        }
        if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
            return invalid("the batch does not have as many records as offsets");
        }
        if header.partition_leader_epoch != run.leader_epoch {
            return invalid("the batch's leader epoch is not the run's");
        }
        seen.add(&header, batch.len());
    }
    if seen != *run {
        let reason = "the batches are not those that the footer tells of";
        return Err(FormatError::Value {
            object: OBJECT,
            at: run.position,
            reason,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
