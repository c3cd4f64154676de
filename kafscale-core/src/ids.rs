//! The identities that the whole engine shares.

use std::fmt;

/// A topic's identity: a random UUID, new at every creation, so that a topic deleted and created again is another topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The id that stands for "no topic id" on Kafka's wire.
    pub const ZERO: TopicId = TopicId([0; 16]);

    /// Makes 16 random bytes into a version 4 UUID (RFC 9562 §5.4).
    pub fn from_random(mut bytes: [u8; 16]) -> TopicId {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        TopicId(bytes)
    }

    /// Reads the form that [`fmt::Display`] writes: 22 characters of URL-safe base64 without padding.
    pub fn parse(text: &str) -> Option<TopicId> {
        let mut bits: u32 = 0;
        let mut held = 0;
        let mut out = [0u8; 16];
        let mut filled = 0;
        if text.len() != 22 {
            return None;
        }
        for c in text.bytes() {
            let value = BASE64_URL.iter().position(|&b| b == c)?;
            bits = (bits << 6) | u32::try_from(value).ok()?;
            held += 6;
            if held >= 8 {
                held -= 8;
                if let Some(slot) = out.get_mut(filled) {
                    *slot = ((bits >> held) & 0xff) as u8;
                    filled += 1;
                }
            }
        }
        (filled == 16 && bits & ((1 << held) - 1) == 0).then_some(TopicId(out))
    }
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// As Kafka prints a topic id: URL-safe base64 without padding.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(22);
        for chunk in self.0.chunks(3) {
            let mut word = 0u32;
            for i in 0..3 {
                word = (word << 8) | u32::from(chunk.get(i).copied().unwrap_or(0));
            }
            for i in 0..=chunk.len() {
                let index = (word >> (18 - 6 * i)) & 0x3f;
                text.push(char::from(BASE64_URL[index as usize]));
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One partition of one life of a topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionId {
    /// The topic.
    pub topic: TopicId,
    /// The partition's number, 0 and up.
    pub partition: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests;
