//! The header that every slot object begins with, and the seal that ends a slot log.

use std::fmt;

use bytes::Bytes;

use super::error::FormatError;
use super::reader::Reader;
use super::writer::{put, put_crc, put_text16};
use crate::checksum::crc32c;

/// Bytes of a slot header.
pub const SLOT_HEADER_LEN: usize = 72;
/// The version of slot objects that is written and read.
pub const SLOT_VERSION: u16 = 1;
/// Bytes of a seal without successor: header, length of the text, checksum.
pub const MIN_SEAL_LEN: usize = SLOT_HEADER_LEN + 6;

/// What the header's checksum covers: all bytes before it.
const CRC_AT: usize = 64;
const OBJECT: &str = "slot header";
const SEAL: &str = "seal";

/// Whose slot log an object belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotMagic {
    /// The write-ahead log of a broker session: `KWAL`.
    Wal,
    /// The embedded metadata log of a process session: `KMET`.
    Meta,
}

impl SlotMagic {
    /// The four bytes at the front of the object.
    #[must_use]
    pub fn bytes(self) -> [u8; 4] {
        match self {
            Self::Wal => *b"KWAL",
            Self::Meta => *b"KMET",
        }
    }
}

/// What a slot object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotKind {
    /// Data of the log's owner.
    Data,
    /// The end of the log, put there by whoever takes over or by the owner at its end.
    Seal,
}

/// Names one attempt to create one slot object, through all retries: tells an own object from another's when the
/// store says that the slot exists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub [u8; 16]);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first 72 bytes of every slot object. In a seal, attempt, writer, nonce and epoch are those of the sealer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotHeader {
    /// Which kind of log.
    pub magic: SlotMagic,
    /// Data or seal.
    pub kind: SlotKind,
    /// Names the attempt to create this object.
    pub attempt: AttemptId,
    /// Id of the broker that wrote it.
    pub writer: i32,
    /// The random part of the writer's session id.
    pub nonce: u32,
    /// The epoch of the writer's session.
    pub epoch: u64,
    /// The object's place in the log.
    pub slot: u64,
    /// All slots below it are no longer needed and may be gone. In a seal: the trim point that the sealer saw.
    pub trim: u64,
    /// The writer's clock, milliseconds since 1970.
    pub created_ms: i64,
}

impl SlotHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SLOT_HEADER_LEN] {
        let mut out = Vec::with_capacity(SLOT_HEADER_LEN);
        put(&mut out, self.magic.bytes());
        put(&mut out, SLOT_VERSION.to_be_bytes());
        let kind = match self.kind {
            SlotKind::Data => 0,
            SlotKind::Seal => 1,
        };
        put(&mut out, [kind, 0]);
        put(&mut out, self.attempt.0);
        put(&mut out, self.writer.to_be_bytes());
        put(&mut out, self.nonce.to_be_bytes());
        put(&mut out, self.epoch.to_be_bytes());
        put(&mut out, self.slot.to_be_bytes());
        put(&mut out, self.trim.to_be_bytes());
        put(&mut out, self.created_ms.to_be_bytes());
        put_crc(&mut out);
        put(&mut out, [0; 4]);
        let mut raw = [0; SLOT_HEADER_LEN];
        raw.copy_from_slice(&out);
        raw
    }

    /// Reads the header at the front of `bytes`, of either magic and kind.
    ///
    /// # Errors
    /// Too few bytes, wrong magic, version, kind or checksum.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::parse_at(bytes, 0)
    }

    /// As [`Self::parse`], for bytes that lie at `base` in the object, so that errors name the right place.
    pub(crate) fn parse_at(bytes: &[u8], base: u64) -> Result<Self, FormatError> {
        let mut reader = Reader::new(OBJECT, bytes, base);
        let magic = match &reader.array::<4>("magic")? {
            b"KWAL" => SlotMagic::Wal,
            b"KMET" => SlotMagic::Meta,
            other => {
                let expected = SlotMagic::Wal.bytes();
                return Err(FormatError::Magic {
                    object: OBJECT,
                    at: base,
                    found: *other,
                    expected,
                });
            }
        };
        reader.version(SLOT_VERSION)?;
        let kind = match reader.u8("kind")? {
            0 => SlotKind::Data,
            1 => SlotKind::Seal,
            _ => return Err(reader.invalid(base + 6, "the kind is neither data (0) nor seal (1)")),
        };
        reader.reserved::<1>()?;
        let header = Self {
            magic,
            kind,
            attempt: AttemptId(reader.array("attempt id")?),
            writer: reader.i32("writer")?,
            nonce: reader.u32("session nonce")?,
            epoch: reader.u64("session epoch")?,
            slot: reader.u64("slot")?,
            trim: reader.u64("trim point")?,
            created_ms: reader.i64("creation time")?,
        };
        let at = reader.at();
        let stored = reader.u32("checksum")?;
        let computed = crc32c(bytes.get(..CRC_AT).unwrap_or_default());
        if stored != computed {
            return Err(FormatError::Checksum {
                object: OBJECT,
                at,
                stored,
                computed,
            });
        }
        reader.reserved::<4>()?;
        Ok(header)
    }
}

/// The object in the first free slot of a log whose writer is replaced: from then on that writer cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The sealer's header; its kind is [`SlotKind::Seal`].
    pub header: SlotHeader,
    /// Where the log goes on: the name of the next log, or empty when nobody says.
    pub successor: String,
}

impl Seal {
    /// The seal's bytes.
    ///
    /// # Errors
    /// The header is not one of a seal, or the successor's name has more than 65,535 bytes.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        if self.header.kind != SlotKind::Seal {
            return Err(FormatError::Misuse {
                object: SEAL,
                reason: "its header says that it holds data",
            });
        }
        let mut out = Vec::with_capacity(MIN_SEAL_LEN + self.successor.len());
        put(&mut out, self.header.encode());
        put_text16(&mut out, SEAL, "the successor's name", &self.successor)?;
        put_crc(&mut out);
        Ok(out.into())
    }

    /// Reads a whole seal object.
    ///
    /// # Errors
    /// Not a seal, broken, cut off, or followed by other bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let header = SlotHeader::parse(bytes)?;
        let mut reader = Reader::with_trailing_crc(SEAL, bytes)?;
        if header.kind != SlotKind::Seal {
            return Err(reader.invalid(6, "the slot holds data, not a seal"));
        }
        reader.slice("slot header", SLOT_HEADER_LEN)?;
        let successor = reader.text16("the successor's name")?.to_owned();
        reader.end()?;
        Ok(Self { header, successor })
    }
}

#[cfg(test)]
mod tests;
