//! KafScale's storage engine: a Kafka log whose only state is a bucket.
//!
//! An [`Engine`] takes whole Kafka record batches, gives them offsets, and writes the batches of all partitions that
//! arrive together as one object. A record is acknowledged when that object and all objects before it are in the
//! bucket; only then can it be read. The engine has no sockets and knows none of Kafka's requests: the broker in
//! `kafscale-server` is one shell around it, your program can be another.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use kafscale_core::format::records::{BatchBuilder, Records};
//! use kafscale_core::{AppendOptions, Engine, FetchRequest, NewTopic, store};
//!
//! // Or `file:///var/lib/log`, or `s3://bucket/prefix`.
//! let store = store::open_url("memory:").await?;
//! let engine = Engine::builder(store).open().await?;
//! let orders = engine.create_topic(NewTopic::new("orders", 1)).await?;
//!
//! let mut batch = BatchBuilder::new();
//! batch.append(1_700_000_000_000, Some(b"alice"), Some(b"a book"), &[])?;
//! let appended = engine.append(orders.id, 0, batch.build()?, AppendOptions { wait: true }).await?;
//! assert_eq!(appended.base_offset, 0);
//! appended.durable().await?;
//!
//! let request = FetchRequest::one(orders.id, 0, 0, Duration::from_secs(1));
//! let fetched = engine.fetch(request).await.remove(0)?;
//! assert_eq!(fetched.high_watermark, 1);
//! let record = Records::open(&fetched.records[0], 1 << 20)?.next().unwrap()?;
//! assert_eq!(record.value.as_deref(), Some(&b"a book"[..]));
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/embed.rs` is the same as a program. An engine runs on a multi-threaded or a current-thread Tokio runtime.
//!
//! # The modules
//!
//! Imports point down only.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | the public operations, one file each; opening and recovery; the background tasks that cut and trim |
//! | `partition` | one partition's log as a pure state machine: offsets, epochs, producers, what is durable, who waits |
//! | `wal` | gathers batches of all partitions into log objects, keeps several on their way, commits them in slot order; reads the logs of earlier sessions back |
//! | `segment`, `cache` | cuts runs of the log into `.kfs` segments, reads them block by block; the blocks that were read |
//! | `offsets` | the committed offsets of groups |
//! | [`metadata`] | a small transactional map with two stores behind it, the bucket and memory; what its keys mean |
//! | [`slotlog`] | numbered objects that are only ever created: the one way to commit and to fence |
//! | [`health`] | healthy, degraded, unavailable, from the calls to the store |
//! | [`store`] | the only door to the bucket: retries until the outcome is known, time limits, permits, start-up checks |
//! | [`mod@format`] | bytes of every stored object, and of Kafka's record batches: no I/O |
//! | [`settings`], [`topic_config`] | what can be set, for an engine and for a topic |
//! | [`clock`], `random` | time and randomness, injected |
//! | [`metrics`] | what is counted, for a Prometheus registry |
//! | `testing` (feature `testing`) | a store that fails on demand, and an S3 server inside the process |
//!
//! # How a record is written
//!
//! ```text
//! engine/append      is the bucket there? is the partition in order?
//! partition/append   checks the batches (length, magic, CRC-32C, counts, size); waits for memory;
//!                    then, under the partition's lock: producer sequence, offsets
//! wal/gather         waits for company: full, old enough, or somebody waits and the pace allows it
//! wal/upload         numbers the slot, copies the batches with their offsets into one object, PUT if absent
//! wal/order          the slot counts when all slots before it are there
//! partition/state    the high watermark moves; producers are answered, readers woken
//! ```
//!
//! Later, `engine/cutter` makes segments of it and says so in the metadata, and `engine/trimmer` removes the log objects.
//!
//! # How a record is read
//!
//! ```text
//! engine/fetch       what is in memory at once, 8 other partitions at a time; long polls are woken, they never ask again
//! partition/read     at or above the segmented end: the log object's bytes in memory, or blocks of the object
//!                    below it: segment/reader, whose blocks come from the cache or with one GET for all who want them
//! ```
//!
//! `docs/architecture.md` in the repository says why it is so, `docs/formats/` has the bytes, and `docs/durability.md`
//! the argument that an acknowledged record is not lost.
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

/// The examples of the project's README, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct ReadmeExamples;
