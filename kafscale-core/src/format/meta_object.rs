//! The `.kfm` data slot of an embedded metadata log: a snapshot of all keys, or the changes since the slot before.

use bytes::Bytes;

use super::error::FormatError;
use super::reader::Reader;
use super::slot::{SLOT_HEADER_LEN, SlotHeader, SlotKind, SlotMagic};
use super::writer::{put, put_bytes32, put_count, put_crc, put_text16};

const OBJECT: &str = "metadata object";
/// A deletion of the empty key.
const MIN_ENTRY_LEN: usize = 1 + 2;

/// What the entries of a slot mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetaKind {
    /// All keys that there are; it holds no deletions.
    Snapshot,
    /// What changed since the slot before.
    Changes,
}

/// One key of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaEntry {
    /// The key has this value now.
    Put {
        /// The key.
        key: String,
        /// The store's revision at which the key was last changed.
        version: u64,
        /// The value.
        value: Bytes,
    },
    /// The key is gone.
    Delete {
        /// The key.
        key: String,
    },
}

/// A metadata object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaObject {
    /// The slot header; its magic is [`SlotMagic::Meta`], its kind [`SlotKind::Data`].
    pub header: SlotHeader,
    /// Snapshot or changes.
    pub kind: MetaKind,
    /// The store's revision after this slot.
    pub revision: u64,
    /// The entries in the order in which they take effect.
    pub entries: Vec<MetaEntry>,
}

impl MetaObject {
    /// The object's bytes.
    ///
    /// # Errors
    /// The header is not one of a metadata data slot, a snapshot holds a deletion, or a key (64 KiB), a value or the
    /// number of entries (4 Gi) is too large for the format.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        if !is_data_slot(&self.header) {
            let reason = "its header is not one of a metadata data slot";
            return Err(FormatError::Misuse {
                object: OBJECT,
                reason,
            });
        }
        let size: usize = self.entries.iter().map(MetaEntry::encoded_len).sum();
        let mut out = Vec::with_capacity(SLOT_HEADER_LEN + 16 + size + 4);
        put(&mut out, self.header.encode());
        let kind = match self.kind {
            MetaKind::Snapshot => 0,
            MetaKind::Changes => 1,
        };
        put(&mut out, [kind, 0, 0, 0]);
        put(&mut out, self.revision.to_be_bytes());
        put_count(&mut out, OBJECT, "the number of entries", self.entries.len())?;
        for entry in &self.entries {
            match entry {
                MetaEntry::Put { key, version, value } => {
                    put(&mut out, [0]);
                    put_text16(&mut out, OBJECT, "a key's length", key)?;
                    put(&mut out, version.to_be_bytes());
                    put_bytes32(&mut out, OBJECT, "a value's length", value)?;
                }
                MetaEntry::Delete { key } => {
                    if self.kind == MetaKind::Snapshot {
                        return Err(FormatError::Misuse {
                            object: OBJECT,
                            reason: "a snapshot holds a deletion",
                        });
                    }
                    put(&mut out, [1]);
                    put_text16(&mut out, OBJECT, "a key's length", key)?;
                }
            }
        }
        put_crc(&mut out);
        Ok(out.into())
    }

    /// Reads a whole metadata object. The values share `object`'s memory.
    ///
    /// # Errors
    /// Not a metadata data slot, broken, cut off, or followed by other bytes.
    pub fn parse(object: &Bytes) -> Result<Self, FormatError> {
        let header = SlotHeader::parse(object)?;
        let mut reader = Reader::with_trailing_crc(OBJECT, object)?;
        if !is_data_slot(&header) {
            return Err(reader.invalid(0, "the header is not one of a metadata data slot"));
        }
        reader.slice("slot header", SLOT_HEADER_LEN)?;
        let at = reader.at();
        let kind = match reader.u8("kind")? {
            0 => MetaKind::Snapshot,
            1 => MetaKind::Changes,
            _ => return Err(reader.invalid(at, "the kind is neither snapshot (0) nor changes (1)")),
        };
        reader.reserved::<3>()?;
        let revision = reader.u64("revision")?;
        let count = reader.count("entries", MIN_ENTRY_LEN)?;
        // An entry takes more memory than its bytes: room is made as the entries come.
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(MetaEntry::parse(&mut reader, object, kind)?);
        }
        reader.end()?;
        Ok(Self {
            header,
            kind,
            revision,
            entries,
        })
    }
}

impl MetaEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// Bytes of the entry in an object.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => MIN_ENTRY_LEN + key.len() + 8 + 4 + value.len(),
            Self::Delete { key } => MIN_ENTRY_LEN + key.len(),
        }
    }

    fn parse(reader: &mut Reader<'_>, object: &Bytes, kind: MetaKind) -> Result<Self, FormatError> {
        let at = reader.at();
        let op = reader.u8("operation")?;
        let key = reader.text16("key")?.to_owned();
        match (op, kind) {
            (0, _) => {
                let version = reader.u64("version")?;
                let len = reader.count("bytes of the value", 1)?;
                let value = object.slice_ref(reader.slice("value", len)?);
                Ok(Self::Put { key, version, value })
            }
            (1, MetaKind::Changes) => Ok(Self::Delete { key }),
            (1, MetaKind::Snapshot) => Err(reader.invalid(at, "a snapshot holds a deletion")),
            _ => Err(reader.invalid(at, "the operation is neither put (0) nor delete (1)")),
        }
    }
}

fn is_data_slot(header: &SlotHeader) -> bool {
    header.magic == SlotMagic::Meta && header.kind == SlotKind::Data
}

#[cfg(test)]
mod tests;
