//! What an embedder may set: plain data, checked by [`Settings::validate`]. Parts that are injected (store, metadata,
//! clock, randomness) are on the builder instead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Settings of an engine. `Settings::default()` suits a small broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// First component of every object key of topic data. `KAFSCALE_S3_NAMESPACE`.
    pub namespace: String,
    /// This broker's number. `KAFSCALE_BROKER_ID`.
    pub broker_id: i32,
    /// The write-ahead log.
    pub wal: WalSettings,
    /// Cutting of segments.
    pub segment: SegmentSettings,
    /// Memory budgets.
    pub memory: MemorySettings,
    /// What a topic has where its own configuration says nothing.
    pub topic: TopicDefaults,
}

/// Settings of the write-ahead log: when a flush happens and what it may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalSettings {
    /// Bytes of record batches that trigger a flush. `None`: 1 MiB on a local directory (where larger objects are
    /// slower), 4 MiB elsewhere. `KAFSCALE_SEGMENT_BYTES`.
    pub object_bytes: Option<usize>,
    /// Longest time that a batch waits for company when the pace allows a flush, in milliseconds. `None`: 0 on a local
    /// directory and in memory, 2 elsewhere.
    pub gather_ms: Option<u64>,
    /// Longest time that a batch whose producer does not wait stays out of the store, in milliseconds.
    /// `KAFSCALE_FLUSH_INTERVAL_MS`.
    pub flush_interval_ms: u64,
    /// PUT requests per second that the log may spend, in the long run. `None`: 20 on a remote store, no limit on a local
    /// directory and in memory. `KAFSCALE_WAL_PUTS_PER_SEC`.
    pub puts_per_second: Option<f64>,
    /// Objects that are on their way to the store at the same time. `None`: 4 on a local directory, 16 elsewhere.
    pub in_flight_objects: Option<usize>,
    /// Whether an append whose producer waits triggers a flush at once. `KAFSCALE_PRODUCE_SYNC_FLUSH`.
    pub sync_flush: bool,
    /// Bytes of objects not yet cut into segments above which cutting starts, whatever the partitions hold.
    pub max_backlog_bytes: u64,
    /// Number of objects not yet cut into segments above which cutting starts.
    pub max_backlog_objects: usize,
}

/// Settings of the segment cutter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentSettings {
    /// Age of a partition's oldest record outside a segment at which it is cut, in milliseconds.
    pub max_age_ms: u64,
    /// How long an object that nothing needs any more stays, so that readers at work can finish, in milliseconds.
    pub delete_grace_ms: u64,
}

/// Memory budgets, in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemorySettings {
    /// Record batches that were taken and are not yet durable. Beyond it appends wait.
    pub in_flight_bytes: usize,
    /// Durable records that are kept for tailing consumers and for the cutter.
    pub tail_bytes: usize,
    /// Blocks of segments. `KAFSCALE_CACHE_BYTES`.
    pub cache_bytes: u64,
}

/// What a topic has where its own configuration says nothing. Names and meanings are Kafka's topic configs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicDefaults {
    /// `segment.bytes`: size of a `.kfs` object. `KAFSCALE_LOG_SEGMENT_BYTES`.
    pub segment_bytes: u64,
    /// `max.message.bytes`: the largest record batch, its header included.
    pub max_message_bytes: u64,
    /// `retention.ms`; -1 keeps records for ever.
    pub retention_ms: i64,
    /// `retention.bytes` of one partition; -1 has no limit.
    pub retention_bytes: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            namespace: "default".to_owned(),
            broker_id: 0,
            wal: WalSettings::default(),
            segment: SegmentSettings::default(),
            memory: MemorySettings::default(),
            topic: TopicDefaults::default(),
        }
    }
}

impl Default for WalSettings {
    fn default() -> Self {
        WalSettings {
            object_bytes: None,
            gather_ms: None,
            flush_interval_ms: 500,
            puts_per_second: None,
            in_flight_objects: None,
            sync_flush: true,
            max_backlog_bytes: 256 << 20,
            max_backlog_objects: 512,
        }
    }
}

impl Default for SegmentSettings {
    fn default() -> Self {
        SegmentSettings {
            max_age_ms: 600_000,
            delete_grace_ms: 60_000,
        }
    }
}

impl Default for MemorySettings {
    fn default() -> Self {
        MemorySettings {
            in_flight_bytes: 32 << 20,
            tail_bytes: 32 << 20,
            cache_bytes: 32 << 20,
        }
    }
}

impl Default for TopicDefaults {
    fn default() -> Self {
        TopicDefaults {
            segment_bytes: 64 << 20,
            max_message_bytes: 1_048_588,
            retention_ms: 604_800_000,
            retention_bytes: -1,
        }
    }
}

impl WalSettings {
    /// [`WalSettings::flush_interval_ms`] as a duration.
    pub fn flush_interval(&self) -> Duration {
        Duration::from_millis(self.flush_interval_ms)
    }
}

/// Largest `.kfs` object: positions in `.index` are 32-bit and a segment is one PUT.
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

impl Settings {
    /// Checks every value; the error names the first one that is out of bounds and what is allowed.
    pub fn validate(&self) -> Result<()> {
        crate::format::keys::validate_namespace(&self.namespace)
            .map_err(|e| Error::new(ErrorKind::Precondition, e.to_string()))?;
        let wal = &self.wal;
        if let Some(bytes) = wal.object_bytes {
            within("wal.object_bytes", bytes as u64, 1, 256 << 20)?;
        }
        if let Some(n) = wal.in_flight_objects {
            within("wal.in_flight_objects", n as u64, 1, 256)?;
        }
        if let Some(rate) = wal.puts_per_second
            && !(rate > 0.0 && rate.is_finite())
        {
            return Err(refused("wal.puts_per_second", rate, "a number above 0"));
        }
        within("wal.flush_interval_ms", wal.flush_interval_ms, 1, 60_000)?;
        within("wal.max_backlog_bytes", wal.max_backlog_bytes, 1 << 20, 1 << 40)?;
        within(
            "wal.max_backlog_objects",
            wal.max_backlog_objects as u64,
            1,
            1 << 20,
        )?;
        within("segment.max_age_ms", self.segment.max_age_ms, 1, 7 * 86_400_000)?;
        within(
            "memory.in_flight_bytes",
            self.memory.in_flight_bytes as u64,
            1 << 20,
            1 << 40,
        )?;
        within("memory.tail_bytes", self.memory.tail_bytes as u64, 0, 1 << 40)?;
        within(
            "topic.segment_bytes",
            self.topic.segment_bytes,
            1,
            MAX_SEGMENT_BYTES,
        )?;
        within(
            "topic.max_message_bytes",
            self.topic.max_message_bytes,
            1,
            1 << 30,
        )?;
        if self.broker_id < 0 {
            return Err(refused("broker_id", self.broker_id, "0 or more"));
        }
        Ok(())
    }
}

fn within(name: &str, value: u64, min: u64, max: u64) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(refused(name, value, &format!("between {min} and {max}")))
}

fn refused(name: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::new(
        ErrorKind::Precondition,
        format!("setting {name} is {value}; it must be {allowed}"),
    )
}
