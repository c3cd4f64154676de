//! The write-ahead log: one object for the batches of all partitions, numbered slots, acknowledged as a prefix.

pub(crate) mod backlog;
mod gather;
pub(crate) mod object;
mod order;
mod pacer;
pub(crate) mod replay;
mod upload;
pub(crate) mod writer;

use std::fmt;
use std::sync::Arc;

use crate::ids::PartitionId;
use object::LogRun;

/// A partition as the log sees it.
pub(crate) trait LogMember: fmt::Debug + Send + Sync {
    /// Its identity.
    fn id(&self) -> PartitionId;
    /// The directory of its topic.
    fn directory(&self) -> &str;
    /// The run is durable, and everything before it.
    fn committed(&self, run: LogRun);
}

pub(crate) use writer::{Entry, Wal, WalParts};

/// Why the log takes nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    pub(crate) kind: crate::error::ErrorKind,
    pub(crate) reason: Arc<str>,
}
