//! The names of all objects in the bucket, and the rules for the names that go into them.
//!
//! Keys are plain strings relative to the root of the store. Parsing is exact: a name that this module would not have
//! written (a missing zero, a capital hexadecimal digit, a plus sign) is not one of ours.

use std::fmt;
use std::str::FromStr;

/// The first part of every key that is not a segment or an index; not allowed as a namespace.
pub const SYSTEM_ROOT: &str = "_kafscale";
/// Ending of segments.
pub const SEGMENT_EXTENSION: &str = "kfs";
/// Ending of segment indexes.
pub const INDEX_EXTENSION: &str = "index";
/// Ending of the slots of the write-ahead log, seals included.
pub const WAL_EXTENSION: &str = "kfw";
/// Ending of state objects.
pub const STATE_EXTENSION: &str = "kfp";
/// Ending of the slots of the embedded metadata log, seals included.
pub const META_EXTENSION: &str = "kfm";
/// Ending of topic descriptors.
pub const DESCRIPTOR_EXTENSION: &str = "kft";
/// The longest topic name or namespace in bytes: Kafka's limit.
pub const MAX_NAME_LEN: usize = 249;

/// Stands between a topic's name and the number of its life in a directory; cannot occur in a topic name.
const LIFE_SEPARATOR: char = '!';
/// Digits of offsets, slots and epochs in names, so that names sort as their numbers.
const NUMBER_DIGITS: usize = 20;

/// Why a topic name, namespace or directory is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("a {what} must not be empty")]
    Empty {
        /// "topic name" or "namespace".
        what: &'static str,
    },
    /// More than [`MAX_NAME_LEN`] bytes.
    #[error("a {what} may have at most {MAX_NAME_LEN} characters, this one has {len} bytes")]
    TooLong {
        /// "topic name" or "namespace".
        what: &'static str,
        /// Bytes of the name.
        len: usize,
    },
    /// A character outside `[a-zA-Z0-9._-]`.
    #[error("a {what} consists of letters, digits, '.', '_' and '-' of ASCII, not {character:?}")]
    Character {
        /// "topic name" or "namespace".
        what: &'static str,
        /// The first character that is not allowed.
        character: char,
    },
    /// `.` or `..`, which file systems understand otherwise, or the system's own root.
    #[error("{name:?} is reserved and cannot be a {what}")]
    Reserved {
        /// "topic name" or "namespace".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// What follows the `!` in a directory is not the number of a second or later life.
    #[error("{directory:?} is not the directory of a topic: after '!' comes a number from 2 on")]
    Life {
        /// The directory.
        directory: String,
    },
}

/// Why a text is not a session id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a session id ({expected})")]
pub struct SessionIdError {
    /// The text.
    pub text: String,
    /// The form it should have.
    pub expected: &'static str,
}

/// Checks a topic name by Kafka's rules: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
///
/// # Errors
/// Says which rule is broken.
pub fn validate_topic_name(name: &str) -> Result<(), NameError> {
    validate_name(name, "topic name")
}

/// Checks a namespace: the rules of topic names, and not `_kafscale`.
///
/// # Errors
/// Says which rule is broken.
pub fn validate_namespace(name: &str) -> Result<(), NameError> {
    validate_name(name, "namespace")?;
    if name == SYSTEM_ROOT {
        return Err(NameError::Reserved {
            what: "namespace",
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn validate_name(name: &str, what: &'static str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    if name.len() > MAX_NAME_LEN {
        return Err(NameError::TooLong {
            what,
            len: name.len(),
        });
    }
    if let Some(character) = name
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-'))
    {
        return Err(NameError::Character { what, character });
    }
    if name == "." || name == ".." {
        return Err(NameError::Reserved {
            what,
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// The directory of a topic's `life`: the topic's name for the first, `name!N` for the later ones. A topic that is
/// deleted and created again gets a new directory, so that old data never shows.
#[must_use]
pub fn directory(topic: &str, life: u32) -> String {
    if life <= 1 {
        topic.to_owned()
    } else {
        format!("{topic}{LIFE_SEPARATOR}{life}")
    }
}

/// The topic's name and its life (1 for the first) from a directory.
///
/// # Errors
/// The name breaks the rules for topic names, or the life is not a number from 2 on.
pub fn parse_directory(text: &str) -> Result<(&str, u32), NameError> {
    let (topic, life) = match text.split_once(LIFE_SEPARATOR) {
        None => (text, 1),
        Some((topic, digits)) => {
            let life = canonical::<u32>(digits).filter(|life| *life >= 2);
            (
                topic,
                life.ok_or_else(|| NameError::Life {
                    directory: text.to_owned(),
                })?,
            )
        }
    };
    validate_topic_name(topic)?;
    Ok((topic, life))
}

/// A number written the one way that `Display` writes it: no sign, no leading zeros, no overflow.
fn canonical<N: FromStr + fmt::Display>(text: &str) -> Option<N> {
    let number = text.parse::<N>().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A number of exactly twenty digits.
fn padded<N: FromStr>(text: &str) -> Option<N> {
    (text.len() == NUMBER_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// Exactly eight lower-case hexadecimal digits.
fn hex32(text: &str) -> Option<u32> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == 8 && text.bytes().all(lower)).then(|| u32::from_str_radix(text, 16).ok())?
}

/// One life of one broker, and the name of its write-ahead log. Written `{broker}-{epoch}-{8 hex digits}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    /// The broker's id, not negative.
    pub broker: i32,
    /// Grows with every session of that broker, as far as the metadata store remembers.
    pub epoch: u64,
    /// Random, so that an epoch counter restored from a backup never meets an old prefix again.
    pub nonce: u32,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:08x}", self.broker, self.epoch, self.nonce)
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let parse = || {
            let mut parts = text.splitn(3, '-');
            let broker = canonical(parts.next()?)?;
            let epoch = canonical(parts.next()?)?;
            let nonce = hex32(parts.next()?)?;
            Some(Self { broker, epoch, nonce })
        };
        let expected = "broker, epoch and eight lower-case hexadecimal digits, with '-' between";
        parse().ok_or_else(|| SessionIdError {
            text: text.to_owned(),
            expected,
        })
    }
}

/// One process session of the embedded metadata store, and the name of its log. Written
/// `{epoch:020}-{8 hex digits}`, so that a listing shows sessions in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetaSessionId {
    /// Grows with every session.
    pub epoch: u64,
    /// Random, for the same reason as in [`SessionId`].
    pub nonce: u32,
}

impl fmt::Display for MetaSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:08x}", self.epoch, self.nonce)
    }
}

impl FromStr for MetaSessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let parse = || {
            let (epoch, nonce) = text.split_once('-')?;
            Some(Self {
                epoch: padded(epoch)?,
                nonce: hex32(nonce)?,
            })
        };
        let expected = "an epoch of twenty digits and eight lower-case hexadecimal digits, with '-' between";
        parse().ok_or_else(|| SessionIdError {
            text: text.to_owned(),
            expected,
        })
    }
}

/// `{namespace}/`: all segments and indexes of a namespace.
#[must_use]
pub fn namespace_prefix(namespace: &str) -> String {
    format!("{namespace}/")
}

/// `{namespace}/{directory}/`: all segments of one life of a topic.
#[must_use]
pub fn topic_prefix(namespace: &str, directory: &str) -> String {
    format!("{namespace}/{directory}/")
}

/// `{namespace}/{directory}/{partition}/`: all segments of a partition.
#[must_use]
pub fn partition_prefix(namespace: &str, directory: &str, partition: i32) -> String {
    format!("{namespace}/{directory}/{partition}/")
}

/// The segment whose first record has the offset `base`.
#[must_use]
pub fn segment_key(namespace: &str, directory: &str, partition: i32, base: i64) -> String {
    format!("{namespace}/{directory}/{partition}/segment-{base:020}.{SEGMENT_EXTENSION}")
}

/// The index of that segment.
#[must_use]
pub fn index_key(namespace: &str, directory: &str, partition: i32, base: i64) -> String {
    format!("{namespace}/{directory}/{partition}/segment-{base:020}.{INDEX_EXTENSION}")
}

/// `_kafscale/{namespace}/wal/`: the logs of all broker sessions.
#[must_use]
pub fn wal_root(namespace: &str) -> String {
    format!("{SYSTEM_ROOT}/{namespace}/wal/")
}

/// The prefix of one session's write-ahead log, its state objects included.
#[must_use]
pub fn wal_prefix(namespace: &str, session: SessionId) -> String {
    format!("{SYSTEM_ROOT}/{namespace}/wal/{session}/")
}

/// A slot of a write-ahead log.
#[must_use]
pub fn wal_slot_key(namespace: &str, session: SessionId, slot: u64) -> String {
    format!(
        "{SYSTEM_ROOT}/{namespace}/wal/{session}/{}",
        slot_name(slot, WAL_EXTENSION)
    )
}

/// The state object that must exist before `slot` may be announced as the trim point.
#[must_use]
pub fn state_key(namespace: &str, session: SessionId, slot: u64) -> String {
    format!(
        "{SYSTEM_ROOT}/{namespace}/wal/{session}/state-{}",
        slot_name(slot, STATE_EXTENSION)
    )
}

/// `_kafscale/{namespace}/meta/`: the embedded metadata logs of all process sessions.
#[must_use]
pub fn meta_root(namespace: &str) -> String {
    format!("{SYSTEM_ROOT}/{namespace}/meta/")
}

/// The prefix of one process session's metadata log.
#[must_use]
pub fn meta_prefix(namespace: &str, session: MetaSessionId) -> String {
    format!("{SYSTEM_ROOT}/{namespace}/meta/{session}/")
}

/// A slot of a metadata log.
#[must_use]
pub fn meta_slot_key(namespace: &str, session: MetaSessionId, slot: u64) -> String {
    format!(
        "{SYSTEM_ROOT}/{namespace}/meta/{session}/{}",
        slot_name(slot, META_EXTENSION)
    )
}

/// `_kafscale/{namespace}/topics/`: the descriptors of all topics.
#[must_use]
pub fn topics_prefix(namespace: &str) -> String {
    format!("{SYSTEM_ROOT}/{namespace}/topics/")
}

/// The descriptor of one life of a topic.
#[must_use]
pub fn descriptor_key(namespace: &str, directory: &str) -> String {
    format!("{SYSTEM_ROOT}/{namespace}/topics/{directory}.{DESCRIPTOR_EXTENSION}")
}

/// The object that a broker writes to see whether the store works.
#[must_use]
pub fn probe_key(namespace: &str, broker: i32) -> String {
    format!("{SYSTEM_ROOT}/{namespace}/probe/{broker}")
}

/// The last part of a slot's key: `{slot:020}.{extension}`.
#[must_use]
pub fn slot_name(slot: u64, extension: &str) -> String {
    format!("{slot:020}.{extension}")
}

/// The slot number from the last part of a key, if it is the name of a slot with this extension.
#[must_use]
pub fn parse_slot_name(name: &str, extension: &str) -> Option<u64> {
    let (number, ending) = name.split_once('.')?;
    if ending == extension { padded(number) } else { None }
}

/// What a key in the bucket names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectKey {
    /// A segment.
    Segment {
        /// Directory of the topic's life.
        directory: String,
        /// The partition.
        partition: i32,
        /// Offset of its first record.
        base: i64,
    },
    /// The index of a segment.
    Index {
        /// Directory of the topic's life.
        directory: String,
        /// The partition.
        partition: i32,
        /// Offset of the segment's first record.
        base: i64,
    },
    /// A slot of a write-ahead log: data or seal.
    WalSlot {
        /// Whose log.
        session: SessionId,
        /// Its place in the log.
        slot: u64,
    },
    /// A state object.
    State {
        /// Whose log it belongs to.
        session: SessionId,
        /// The trim point that it precedes.
        slot: u64,
    },
    /// A slot of an embedded metadata log: data or seal.
    MetaSlot {
        /// Whose log.
        session: MetaSessionId,
        /// Its place in the log.
        slot: u64,
    },
    /// A topic descriptor.
    Descriptor {
        /// Directory of the topic's life.
        directory: String,
    },
    /// A probe object.
    Probe {
        /// The broker that wrote it.
        broker: i32,
    },
}

impl ObjectKey {
    /// The object's key in `namespace`.
    #[must_use]
    pub fn to_key(&self, namespace: &str) -> String {
        match self {
            Self::Segment {
                directory,
                partition,
                base,
            } => segment_key(namespace, directory, *partition, *base),
            Self::Index {
                directory,
                partition,
                base,
            } => index_key(namespace, directory, *partition, *base),
            Self::WalSlot { session, slot } => wal_slot_key(namespace, *session, *slot),
            Self::State { session, slot } => state_key(namespace, *session, *slot),
            Self::MetaSlot { session, slot } => meta_slot_key(namespace, *session, *slot),
            Self::Descriptor { directory } => descriptor_key(namespace, directory),
            Self::Probe { broker } => probe_key(namespace, *broker),
        }
    }

    /// What `key` names in `namespace`; none for an object that is not ours, which a bucket may well hold.
    #[must_use]
    pub fn parse(namespace: &str, key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let first = parts.next()?;
        let key = if first == SYSTEM_ROOT {
            if parts.next()? != namespace {
                return None;
            }
            match (parts.next()?, parts.next()?, parts.next()) {
                ("wal", session, Some(name)) => parse_wal_name(session.parse().ok()?, name)?,
                ("meta", session, Some(name)) => Self::MetaSlot {
                    session: session.parse().ok()?,
                    slot: parse_slot_name(name, META_EXTENSION)?,
                },
                ("topics", name, None) => {
                    let (directory, ending) = name.rsplit_once('.')?;
                    parse_directory(directory)
                        .ok()
                        .filter(|_| ending == DESCRIPTOR_EXTENSION)?;
                    Self::Descriptor {
                        directory: directory.to_owned(),
                    }
                }
                ("probe", broker, None) => Self::Probe {
                    broker: parse_partition(broker)?,
                },
                _ => return None,
            }
        } else {
            if first != namespace {
                return None;
            }
            let directory = parts.next()?;
            parse_directory(directory).ok()?;
            let partition = parse_partition(parts.next()?)?;
            parse_segment_name(directory, partition, parts.next()?)?
        };
        parts.next().is_none().then_some(key)
    }
}

/// A number from 0 to `i32::MAX`, as partitions and brokers have.
fn parse_partition(text: &str) -> Option<i32> {
    canonical::<i32>(text).filter(|number| *number >= 0)
}

fn parse_segment_name(directory: &str, partition: i32, name: &str) -> Option<ObjectKey> {
    let (number, ending) = name.strip_prefix("segment-")?.split_once('.')?;
    let base = padded::<i64>(number)?;
    let directory = directory.to_owned();
    match ending {
        SEGMENT_EXTENSION => Some(ObjectKey::Segment {
            directory,
            partition,
            base,
        }),
        INDEX_EXTENSION => Some(ObjectKey::Index {
            directory,
            partition,
            base,
        }),
        _ => None,
    }
}

fn parse_wal_name(session: SessionId, name: &str) -> Option<ObjectKey> {
    if let Some(rest) = name.strip_prefix("state-") {
        return Some(ObjectKey::State {
            session,
            slot: parse_slot_name(rest, STATE_EXTENSION)?,
        });
    }
    Some(ObjectKey::WalSlot {
        session,
        slot: parse_slot_name(name, WAL_EXTENSION)?,
    })
}

#[cfg(test)]
mod tests;
