//! The `.kft` topic descriptor: what makes a bucket readable without any metadata store.

use bytes::Bytes;

use super::error::FormatError;
use super::keys::parse_directory;
use super::reader::Reader;
use super::writer::{put, put_bytes32, put_count, put_crc, put_text16};
use crate::ids::TopicId;

const OBJECT: &str = "topic descriptor";
const MAGIC: [u8; 4] = *b"KTOP";
const VERSION: u16 = 1;
const TOMBSTONE_FLAG: u8 = 1;
const MIN_CONFIG_LEN: usize = 2 + 4;

/// One life of a topic. Written anew when anything in it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescriptor {
    /// Whether the topic is deleted: its data may be gone, and must not be read.
    pub tombstone: bool,
    /// The topic's id.
    pub topic_id: TopicId,
    /// Grows with every change: of two descriptors the one with the larger revision is right.
    pub revision: u64,
    /// When the topic was created, milliseconds since 1970.
    pub created_ms: i64,
    /// The topic's name.
    pub name: String,
    /// The directory of this life: the name, or `name!N`.
    pub directory: String,
    /// Number of partitions, at least 1.
    pub partition_count: i32,
    /// The configs that are set on the topic itself, by name.
    pub configs: Vec<(String, String)>,
}

impl TopicDescriptor {
    /// The descriptor's bytes.
    ///
    /// # Errors
    /// Name or directory are not allowed or do not belong together, there are no partitions, or a config is too large
    /// for the format.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        if let Some(reason) = self.contradiction() {
            return Err(FormatError::Misuse {
                object: OBJECT,
                reason,
            });
        }
        let mut out = Vec::new();
        put(&mut out, MAGIC);
        put(&mut out, VERSION.to_be_bytes());
        put(&mut out, [if self.tombstone { TOMBSTONE_FLAG } else { 0 }, 0]);
        put(&mut out, self.topic_id.0);
        put(&mut out, self.revision.to_be_bytes());
        put(&mut out, self.created_ms.to_be_bytes());
        put_text16(&mut out, OBJECT, "the name", &self.name)?;
        put_text16(&mut out, OBJECT, "the directory", &self.directory)?;
        put(&mut out, self.partition_count.to_be_bytes());
        put_count(&mut out, OBJECT, "the number of configs", self.configs.len())?;
        for (key, value) in &self.configs {
            put_text16(&mut out, OBJECT, "a config's name", key)?;
            put_bytes32(&mut out, OBJECT, "a config's value", value.as_bytes())?;
        }
        put_crc(&mut out);
        Ok(out.into())
    }

    /// Reads a whole descriptor.
    ///
    /// # Errors
    /// Broken, cut off, followed by other bytes, or values that contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::with_trailing_crc(OBJECT, bytes)?;
        reader.magic(MAGIC)?;
        reader.version(VERSION)?;
        let at = reader.at();
        let flags = reader.u8("flags")?;
        if flags & !TOMBSTONE_FLAG != 0 {
            return Err(reader.invalid(at, "flags are set that are not defined"));
        }
        reader.reserved::<1>()?;
        let topic_id = TopicId(reader.array("topic id")?);
        let revision = reader.u64("revision")?;
        let created_ms = reader.i64("creation time")?;
        let names_at = reader.at();
        let name = reader.text16("name")?.to_owned();
        let directory = reader.text16("directory")?.to_owned();
        let partition_count = reader.i32("partition count")?;
        let count = reader.count("configs", MIN_CONFIG_LEN)?;
        // A config takes more memory than its bytes: room is made as the configs come.
        let mut configs = Vec::new();
        for _ in 0..count {
            let key = reader.text16("config name")?.to_owned();
            configs.push((key, reader.text32("config value")?.to_owned()));
        }
        reader.end()?;
        let tombstone = flags & TOMBSTONE_FLAG != 0;
        let descriptor = Self {
            tombstone,
            topic_id,
            revision,
            created_ms,
            name,
            directory,
            partition_count,
            configs,
        };
        match descriptor.contradiction() {
            Some(reason) => Err(reader.invalid(names_at, reason)),
            None => Ok(descriptor),
        }
    }

    fn contradiction(&self) -> Option<&'static str> {
        match parse_directory(&self.directory) {
            Err(_) => Some("the directory is not one of a topic"),
            Ok((topic, _)) if topic != self.name => Some("the directory is not one of this topic"),
            Ok(_) if self.partition_count < 1 => Some("the partition count is less than one"),
            Ok(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
