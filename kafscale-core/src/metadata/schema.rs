//! What the keys and values of the metadata mean. Values are JSON objects; fields that a reader does not know are
//! ignored, so that an older broker reads what a newer one wrote.
//!
//! | key | value |
//! |---|---|
//! | `topics/{name}` | [`TopicRecord`] |
//! | `partitions/{topic id}/{partition}` | [`PartitionRecord`] |
//! | `producer-ids/{12 hex digits}` | [`ProducerIdBlock`] |
//! | `offsets/{group}/{topic id}/{partition}` | [`CommittedOffset`] |
//! | `wal-sessions/{session}` | [`WalSession`] |
//! | `groups/{group}` | the group coordinator's own JSON |
//!
//! Names in keys are escaped: every byte outside `A-Z a-z 0-9 . _ -` is written `%XX`, so that a group id may contain
//! any character and `/` always separates. Topic ids are written as Kafka prints them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::SessionId;
use crate::ids::TopicId;

/// `topics/`: the prefix of all topics.
pub const TOPICS: &str = "topics/";
/// `partitions/`: the prefix of all partitions.
pub const PARTITIONS: &str = "partitions/";
/// `producer-ids/`: the prefix of all claimed blocks of producer ids.
pub const PRODUCER_IDS: &str = "producer-ids/";
/// `offsets/`: the prefix of all committed offsets.
pub const OFFSETS: &str = "offsets/";
/// `groups/`: the prefix of all groups.
pub const GROUPS: &str = "groups/";

/// A live topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TopicRecord {
    /// Its identity: random, new at every creation.
    #[serde(with = "text")]
    pub id: TopicId,
    /// The directory of its segments: its name, or `name!N` for a later life.
    pub directory: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// The configuration entries that differ from the broker's, as Kafka names them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, String>,
    /// When it was created, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
    /// Its deletion has begun: it exists for nobody any more, and is finished at the next start if need be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
}

/// A session that may have written a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WalSession {
    /// Its log is sealed and holds nothing that is not elsewhere.
    pub drained: bool,
}

/// One partition of one life of a topic.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// The session that may append; none while nobody has it.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub owner: Option<SessionId>,
    /// Grows with every change of the owner.
    pub leader_epoch: i32,
    /// The first offset of each leader epoch: (epoch, offset), oldest first.
    #[serde(default)]
    pub epochs: Vec<(i32, i64)>,
    /// The first offset that may be read.
    #[serde(default)]
    pub log_start: i64,
    /// The first offset that is not in a segment. Only grows.
    #[serde(default)]
    pub segmented_end: i64,
    /// Where records at and above [`PartitionRecord::segmented_end`] lie that other sessions wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tail_refs: Vec<TailRef>,
}

/// Records of a partition that lie in the write-ahead log of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TailRef {
    /// Whose log.
    #[serde(with = "text")]
    pub session: SessionId,
    /// The first offset.
    pub first: i64,
    /// The last offset.
    pub last: i64,
}

/// A claimed block of 32,768 producer ids.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProducerIdBlock {
    /// The session that hands them out.
    #[serde(with = "text")]
    pub session: SessionId,
}

/// The position that a group committed for a partition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read, -1 if the client did not say.
    pub leader_epoch: i32,
    /// What the client wants to remember.
    #[serde(default)]
    pub metadata: String,
    /// When it was committed, in milliseconds since 1970-01-01 UTC.
    pub committed_ms: i64,
}

/// The prefix of all sessions.
pub const WAL_SESSIONS: &str = "wal-sessions/";

/// The key of a session.
pub fn wal_session_key(session: SessionId) -> String {
    format!("{WAL_SESSIONS}{session}")
}

/// The session that a key names.
pub fn parse_wal_session_key(key: &str) -> Option<SessionId> {
    key.strip_prefix(WAL_SESSIONS)?.parse().ok()
}

/// `topics/{name}`.
pub fn topic_key(name: &str) -> String {
    format!("{TOPICS}{}", escape(name))
}

/// The topic's name of a `topics/` key.
pub fn parse_topic_key(key: &str) -> Option<String> {
    unescape(key.strip_prefix(TOPICS)?)
}

/// `partitions/{topic id}/{partition}`.
pub fn partition_key(topic: TopicId, partition: i32) -> String {
    format!("{PARTITIONS}{topic}/{partition}")
}

/// `partitions/{topic id}/`: all partitions of a topic.
pub fn partitions_of_topic(topic: TopicId) -> String {
    format!("{PARTITIONS}{topic}/")
}

/// The topic and the partition of a `partitions/` key.
pub fn parse_partition_key(key: &str) -> Option<(TopicId, i32)> {
    let (topic, partition) = key.strip_prefix(PARTITIONS)?.split_once('/')?;
    Some((TopicId::parse(topic)?, parse_partition(partition)?))
}

/// `producer-ids/{block}` with 12 hexadecimal digits: the low 48 bits of `block`.
pub fn producer_id_block_key(block: u64) -> String {
    format!("{PRODUCER_IDS}{:012x}", block & 0xffff_ffff_ffff)
}

/// `offsets/{group}/{topic id}/{partition}`.
pub fn offset_key(group: &str, topic: TopicId, partition: i32) -> String {
    format!("{OFFSETS}{}/{topic}/{partition}", escape(group))
}

/// `offsets/{group}/`: everything that a group committed.
pub fn offsets_of_group(group: &str) -> String {
    format!("{OFFSETS}{}/", escape(group))
}

/// `offsets/{group}/{topic id}/`: everything that a group committed for a topic.
pub fn offsets_of_group_and_topic(group: &str, topic: TopicId) -> String {
    format!("{OFFSETS}{}/{topic}/", escape(group))
}

/// The group, topic and partition of an `offsets/` key.
pub fn parse_offset_key(key: &str) -> Option<(String, TopicId, i32)> {
    let mut parts = key.strip_prefix(OFFSETS)?.split('/');
    let parsed = (
        unescape(parts.next()?)?,
        TopicId::parse(parts.next()?)?,
        parse_partition(parts.next()?)?,
    );
    parts.next().is_none().then_some(parsed)
}

/// `groups/{group}`.
pub fn group_key(group: &str) -> String {
    format!("{GROUPS}{}", escape(group))
}

/// The group id of a `groups/` key.
pub fn parse_group_key(key: &str) -> Option<String> {
    unescape(key.strip_prefix(GROUPS)?)
}

/// A record as it is stored.
///
/// # Errors
/// `Invalid` when it cannot be written as JSON.
pub fn to_value<T: Serialize>(record: &T) -> Result<Bytes> {
    serde_json::to_vec(record).map(Bytes::from).map_err(|e| {
        Error::new(ErrorKind::Invalid, "a metadata record cannot be written as JSON").with_source(e)
    })
}

/// The record that is stored under `key`.
///
/// # Errors
/// `Corrupt`, naming the key, when the value is not such a record.
pub fn from_value<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|e| {
        Error::new(
            ErrorKind::Corrupt,
            format!("the metadata under {key:?} cannot be read"),
        )
        .with_source(e)
    })
}

fn parse_partition(text: &str) -> Option<i32> {
    let partition: i32 = text.parse().ok()?;
    (partition >= 0 && partition.to_string() == text).then_some(partition)
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Writes any text as one part of a key.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                out.push(char::from_digit(u32::from(digit), 16).map_or('0', |c| c.to_ascii_uppercase()));
            }
        }
    }
    out
}

/// The text of a part of a key; none if [`escape`] would not have written it.
fn unescape(part: &str) -> Option<String> {
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|d| u8::try_from(d).ok());
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push((high << 4) | low);
        } else {
            out.push(byte);
        }
    }
    let text = String::from_utf8(out).ok()?;
    (escape(&text) == part).then_some(text)
}

/// Ids as the text that they print and parse.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::IdText;

    pub(super) fn serialize<T: IdText, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, T: IdText, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        T::read(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not {}", T::WHAT)))
    }
}

/// Ids as text, or null.
mod optional_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::IdText;

    pub(super) fn serialize<T: IdText, S: Serializer>(id: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: IdText, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let id = T::read(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not {}", T::WHAT)))?;
        Ok(Some(id))
    }
}

/// An id that is stored as text.
trait IdText: std::fmt::Display + Sized {
    const WHAT: &'static str;
    fn read(text: &str) -> Option<Self>;
}

impl IdText for TopicId {
    const WHAT: &'static str = "a topic id";
    fn read(text: &str) -> Option<TopicId> {
        TopicId::parse(text)
    }
}

impl IdText for SessionId {
    const WHAT: &'static str = "a session id";
    fn read(text: &str) -> Option<SessionId> {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests;
