//! The topic configs that act here: names, defaults, and what a value may be. Names and meanings are Kafka's.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::settings::{MAX_SEGMENT_BYTES, TopicDefaults};

/// What kind of value a config has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// A whole number.
    Long,
    /// A word.
    String,
    /// A comma-separated list of words.
    List,
}

/// One topic config.
#[derive(Clone, Copy, Debug)]
pub struct TopicConfigKey {
    /// Kafka's name.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: ConfigType,
    /// What it does here.
    pub doc: &'static str,
    allowed: Allowed,
}

#[derive(Clone, Copy, Debug)]
enum Allowed {
    Range(i64, i64),
    Words(&'static [&'static str]),
}

const KEYS: &[TopicConfigKey] = &[
    TopicConfigKey {
        name: "cleanup.policy",
        kind: ConfigType::List,
        doc: "Stored. Records are kept until retention removes them; `compact` never removes a record here.",
        allowed: Allowed::Words(&["delete", "compact"]),
    },
    TopicConfigKey {
        name: "compression.type",
        kind: ConfigType::String,
        doc: "`producer`: batches are stored as the producer sent them. Other codecs are not applied here.",
        allowed: Allowed::Words(&["producer"]),
    },
    TopicConfigKey {
        name: "max.message.bytes",
        kind: ConfigType::Long,
        doc: "The largest record batch that is taken, in bytes, its header included.",
        allowed: Allowed::Range(0, 1 << 30),
    },
    TopicConfigKey {
        name: "message.timestamp.type",
        kind: ConfigType::String,
        doc: "`CreateTime`: the producer's timestamps are kept. `LogAppendTime`: the broker's time replaces them.",
        allowed: Allowed::Words(&["CreateTime", "LogAppendTime"]),
    },
    TopicConfigKey {
        name: "min.insync.replicas",
        kind: ConfigType::Long,
        doc: "Stored. The bucket replicates; an acknowledged record is in it.",
        allowed: Allowed::Range(1, i32::MAX as i64),
    },
    TopicConfigKey {
        name: "retention.bytes",
        kind: ConfigType::Long,
        doc: "Bytes that a partition keeps; -1 has no limit.",
        allowed: Allowed::Range(-1, i64::MAX),
    },
    TopicConfigKey {
        name: "retention.ms",
        kind: ConfigType::Long,
        doc: "Milliseconds that a record is kept; -1 keeps it for ever.",
        allowed: Allowed::Range(-1, i64::MAX),
    },
    TopicConfigKey {
        name: "segment.bytes",
        kind: ConfigType::Long,
        doc: "Size of a segment object in the bucket.",
        allowed: Allowed::Range(1, MAX_SEGMENT_BYTES as i64),
    },
];

/// All topic configs, by name.
pub fn keys() -> &'static [TopicConfigKey] {
    KEYS
}

/// The config of this name.
pub fn key(name: &str) -> Option<&'static TopicConfigKey> {
    KEYS.iter().find(|key| key.name == name)
}

impl TopicConfigKey {
    /// The value where a topic says nothing.
    pub fn default_value(&self, defaults: &TopicDefaults) -> String {
        match self.name {
            "max.message.bytes" => defaults.max_message_bytes.to_string(),
            "retention.bytes" => defaults.retention_bytes.to_string(),
            "retention.ms" => defaults.retention_ms.to_string(),
            "segment.bytes" => defaults.segment_bytes.to_string(),
            "min.insync.replicas" => "1".to_owned(),
            _ => match self.allowed {
                Allowed::Words(words) => words.first().copied().unwrap_or_default().to_owned(),
                Allowed::Range(min, _) => min.to_string(),
            },
        }
    }

    /// Checks a value; the error says what is allowed.
    pub fn check(&self, value: &str) -> Result<()> {
        let fits = match self.allowed {
            Allowed::Range(min, max) => value.trim().parse().is_ok_and(|n: i64| (min..=max).contains(&n)),
            Allowed::Words(words) if self.kind == ConfigType::List => {
                value.split(',').all(|word| words.contains(&word.trim()))
            }
            Allowed::Words(words) => words.contains(&value.trim()),
        };
        if fits {
            return Ok(());
        }
        let allowed = match self.allowed {
            Allowed::Range(min, max) => format!("a whole number from {min} to {max}"),
            Allowed::Words(words) => format!("one of {}", words.join(", ")),
        };
        Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "Invalid value {value} for configuration {}: it must be {allowed}",
                self.name
            ),
        ))
    }
}

/// Checks a topic's configs: every key known, every value allowed.
pub fn check(configs: &BTreeMap<String, String>) -> Result<()> {
    for (name, value) in configs {
        key(name)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    format!("Unknown topic config name: {name}"),
                )
            })?
            .check(value)?;
    }
    Ok(())
}

/// What acts in a partition, after defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionConfig {
    pub(crate) segment_bytes: u64,
    pub(crate) max_message_bytes: usize,
    pub(crate) log_append_time: bool,
}

impl PartitionConfig {
    /// Configs that were checked, over the defaults.
    pub(crate) fn resolve(configs: &BTreeMap<String, String>, defaults: &TopicDefaults) -> PartitionConfig {
        let number = |name: &str, default: u64| {
            configs
                .get(name)
                .and_then(|v| v.trim().parse().ok())
                .unwrap_or(default)
        };
        PartitionConfig {
            segment_bytes: number("segment.bytes", defaults.segment_bytes),
            max_message_bytes: usize::try_from(number("max.message.bytes", defaults.max_message_bytes))
                .unwrap_or(usize::MAX),
            log_append_time: configs
                .get("message.timestamp.type")
                .is_some_and(|v| v.trim() == "LogAppendTime"),
        }
    }
}

#[cfg(test)]
mod tests;
