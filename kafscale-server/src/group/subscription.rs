//! What the members of a consumer group consume, read from the metadata that they send each other: Kafka's consumer
//! protocol, of which every version starts like version 0.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// What is known of a group's subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subscription {
    /// It is no consumer group, or has never had a generation.
    None,
    /// It is a consumer group whose metadata cannot be read: it may consume anything.
    Unknown,
    /// The topics of all members together.
    Topics(BTreeSet<String>),
}

impl Subscription {
    /// Reads the metadata of all members.
    pub(super) fn read<'a>(
        protocol_type: &str,
        members: impl Iterator<Item = Option<&'a Bytes>>,
    ) -> Subscription {
        if protocol_type != CONSUMER {
            return Subscription::None;
        }
        let mut topics = BTreeSet::new();
        for metadata in members {
            match metadata.and_then(|bytes| read_topics(bytes)) {
                Some(read) => topics.extend(read),
                None => return Subscription::Unknown,
            }
        }
        Subscription::Topics(topics)
    }

    /// Whether the group may be consuming `topic`.
    pub(super) fn contains(&self, topic: &str) -> bool {
        match self {
            Subscription::None => false,
            Subscription::Unknown => true,
            Subscription::Topics(topics) => topics.contains(topic),
        }
    }
}

/// Version (int16), then an array (int32 count) of topic names (int16 length and UTF-8). `None` when that is not there.
fn read_topics(mut bytes: &[u8]) -> Option<Vec<String>> {
    let version = bytes.try_get_i16().ok()?;
    let count = usize::try_from(bytes.try_get_i32().ok()?).ok()?;
    // Every name takes two bytes at least.
    if version < 0 || count > bytes.len() / 2 {
        return None;
    }
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let len = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
        let (name, rest) = bytes.split_at_checked(len)?;
        topics.push(std::str::from_utf8(name).ok()?.to_owned());
        bytes = rest;
    }
    Some(topics)
}
