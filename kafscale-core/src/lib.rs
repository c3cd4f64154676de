//! KafScale's storage engine: a Kafka log whose only state is a bucket.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cache;
pub mod checksum;
pub mod clock;
pub mod engine;
mod error;
pub mod format;
pub mod health;
mod ids;
pub mod metadata;
pub mod metrics;
mod offsets;
mod partition;
mod random;
mod segment;
pub mod settings;
pub mod slotlog;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topic_config;
mod wal;

pub use engine::{
    AppendOptions, Appended, CommittedOffset, ConfigChange, Engine, EngineBuilder, FetchPartition,
    FetchRequest, Fetched, ListedOffset, NewTopic, OffsetCommit, OffsetSpec, PartitionInfo, TopicInfo,
};
pub use error::{Error, ErrorKind, Result};
pub use ids::{PartitionId, TopicId};
pub use random::Random;
pub use settings::Settings;
