//! What goes into and comes out of the engine's public operations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::TopicId;

/// A topic as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Number of partitions.
    pub partitions: i32,
    /// What was configured for it; keys are Kafka's topic configs.
    pub configs: BTreeMap<String, String>,
    /// When it was created, unix milliseconds.
    pub created_ms: i64,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name: Kafka's rules for topic names.
    pub name: String,
    /// Number of partitions, 1 or more.
    pub partitions: i32,
    /// Kafka's topic configs.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic of this name without configs of its own.
    pub fn new(name: impl Into<String>, partitions: i32) -> NewTopic {
        NewTopic {
            name: name.into(),
            partitions,
            configs: BTreeMap::new(),
        }
    }
}

/// A change of one topic config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// Sets `key` to `value`.
    Set(String, String),
    /// Returns `key` to the default.
    Unset(String),
}

/// How an append is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendOptions {
    /// Whether somebody waits for durability (acks=1 or all): the flush then happens as soon as the pace allows.
    pub wait: bool,
}

/// An append that has its offsets. It is in the bucket once [`Appended::durable`] says so, not before.
#[derive(Debug)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// First offset of the partition.
    pub log_start_offset: i64,
    /// The time the engine gave the records, for topics with `message.timestamp.type=LogAppendTime`.
    pub log_append_time_ms: Option<i64>,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Durable,
    Waiting(oneshot::Receiver<Result<()>>),
}

impl Appended {
    /// Completes when the records are in the bucket and visible, or with the error that says they are not. After
    /// [`ErrorKind::Fenced`] or [`ErrorKind::Closed`] it is not known whether they will be read.
    pub async fn durable(self) -> Result<()> {
        match self.outcome {
            Outcome::Durable => Ok(()),
            Outcome::Waiting(outcome) => outcome.await.unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Closed,
                    "the engine was dropped before the records were durable",
                ))
            }),
        }
    }
}

/// What to read.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The partitions, in the order in which they may fill `max_bytes`.
    pub partitions: Vec<FetchPartition>,
    /// Bytes of records after which no further partition adds any; the first batch is always given (KIP-74).
    pub max_bytes: usize,
    /// Bytes of records for which a reader is ready to wait.
    pub min_bytes: usize,
    /// How long it is ready to wait.
    pub max_wait: Duration,
}

impl FetchRequest {
    /// One partition from `offset` on: up to 1 MiB (Kafka's `max.partition.fetch.bytes`), waiting up to `max_wait` for the
    /// first record.
    pub fn one(topic: TopicId, partition: i32, offset: i64, max_wait: Duration) -> FetchRequest {
        const MAX_BYTES: usize = 1 << 20;
        FetchRequest {
            partitions: vec![FetchPartition {
                topic,
                partition,
                offset,
                max_bytes: MAX_BYTES,
            }],
            max_bytes: MAX_BYTES,
            min_bytes: 1,
            max_wait,
        }
    }
}

/// What to read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: i32,
    /// First offset wanted.
    pub offset: i64,
    /// Bytes of records wanted at most; the first batch is given whatever its size.
    pub max_bytes: usize,
}

/// What was read of one partition.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Offset after the last record that may be read.
    pub high_watermark: i64,
    /// First offset of the partition.
    pub log_start_offset: i64,
    /// Whole record batches, in order, in slices that follow each other; a slice may end inside a batch. The first batch
    /// holds the offset that was asked for. Empty when there is nothing yet.
    pub records: Vec<Bytes>,
}

impl Fetched {
    /// Bytes of records.
    pub fn len(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.iter().all(Bytes::is_empty)
    }
}

/// Which offset is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first one.
    Earliest,
    /// The one after the last: the high watermark.
    Latest,
    /// The first whose timestamp is at least this, unix milliseconds.
    Timestamp(i64),
    /// The one of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
}

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 when no record fits.
    pub offset: i64,
    /// Timestamp of the record there; -1 when it was not asked for by time.
    pub timestamp: i64,
    /// Leader epoch of the record there; -1 when not known.
    pub leader_epoch: i32,
}

/// Facts about one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// First offset.
    pub log_start_offset: i64,
    /// Offset after the last record that may be read.
    pub high_watermark: i64,
    /// Offset that the next record gets.
    pub next_offset: i64,
    /// The epoch of this engine's ownership.
    pub leader_epoch: i32,
}

/// A group's position in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Offset of the next record that the group wants.
    pub offset: i64,
    /// Leader epoch of the last record consumed; -1 when not known.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: String,
    /// When it was committed, unix milliseconds.
    pub committed_ms: i64,
}

/// A position to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: i32,
    /// Offset of the next record that the group wants.
    pub offset: i64,
    /// Leader epoch of the last record consumed; -1 when not known.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: String,
}
