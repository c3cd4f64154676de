//! The metadata of a cluster or of one process: topics, partitions, producer ids, committed offsets, groups.
//!
//! [`MetadataStore`] is a small transactional map from keys to values. Three stores implement it: [`MemoryMetadata`]
//! for tests, [`BucketMetadata`] for a process that has nothing but its bucket, and etcd for clusters. Every one runs
//! the same conformance suite. What the keys and values mean is in [`schema`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::format::keys::SessionId;

pub mod bucket;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod memory;
mod producer_ids;
pub mod schema;
mod state;
mod topic_offsets;
mod txn;

pub use bucket::{BucketMetadata, BucketMetadataSettings};
pub use memory::MemoryMetadata;
pub use producer_ids::{PRODUCER_IDS_PER_BLOCK, claim_producer_ids};
pub use topic_offsets::{delete_topic_offsets, groups_with_offsets_of};
pub use txn::{Compare, Expect, MAX_KEY_BYTES, MAX_TXN_BYTES, MAX_TXN_OPS, Op, Txn, TxnOutcome, Versioned};

/// Why a session ended before it was closed; shared by everyone who waits for it.
pub type Lost = Arc<Error>;

/// A transactional map of small values under string keys, as one session of one broker sees it.
///
/// Every method may answer `Fenced` once a newer session has taken over, and `Unavailable` while the store cannot be
/// reached. Before [`MetadataStore::open_session`] and after [`MetadataStore::close`] they answer `Closed`.
#[async_trait]
pub trait MetadataStore: fmt::Debug + Send + Sync {
    /// Opens this process's session. Its epoch is larger than that of any session before it. One handle opens one
    /// session; a second call answers `Precondition`.
    ///
    /// # Errors
    /// `Fenced` when another process opened at the same moment and won, `Corrupt` when what is stored cannot be read.
    async fn open_session(&self, broker: i32) -> Result<SessionId>;

    /// The value under `key`, if there is one. Answers with what is durable.
    ///
    /// # Errors
    /// See the trait.
    async fn get(&self, key: &str) -> Result<Option<Versioned>>;

    /// All keys that start with `prefix` and their values, sorted by key.
    ///
    /// # Errors
    /// See the trait.
    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>>;

    /// Applies all of `txn`'s changes, or none: none when one of its comparisons does not hold. The answer comes when
    /// the changes are durable. A transaction without changes is a barrier: it is answered after every transaction
    /// that this session began earlier.
    ///
    /// # Errors
    /// `Timeout` when the result is not known in time: it counts as done until a later transaction shows otherwise.
    /// `Invalid` when the transaction breaks the limits of [`Txn::check`].
    async fn commit(&self, txn: Txn) -> Result<TxnOutcome>;

    /// Ends the session. What was answered is durable; what waits is finished first.
    ///
    /// # Errors
    /// `Timeout` when the store does not take the last changes in time.
    async fn close(&self) -> Result<()>;

    /// Becomes `Some` when the session ended against its will: nothing more commits. The error says why.
    fn fenced(&self) -> watch::Receiver<Option<Lost>>;
}
