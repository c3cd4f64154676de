//! The slot log: a prefix in the bucket with numbered objects that are only ever created, never replaced. Everything
//! that must be decided once is decided by who creates a slot. It is how records are committed (the write-ahead log of
//! a broker session) and how a process takes over from another (the metadata log of a process session).
//!
//! - One session writes one log ([`SlotWriter`]) and never an older one.
//! - A slot counts when it and all slots before it exist; only then may it be acknowledged.
//! - Whoever takes over creates a seal in the first free slot ([`seal`]); the old writer's next create meets an occupied
//!   slot. Seals are never deleted.
//! - [`read_log`] is the one function that says what a log contains.

mod replay;
mod seal;
mod view;
mod writer;

#[cfg(test)]
pub(crate) mod test_store;

pub use replay::{Fetch, LogRead, SlotRead, read_log};
pub use seal::{Sealed, Sealer, seal};
pub use view::{LogView, SlotSeen, decide};
pub use writer::{SlotError, SlotWriter};

use crate::format::keys::{self, META_EXTENSION, MetaSessionId, SessionId, WAL_EXTENSION};
use crate::format::slot::SlotMagic;

/// Where a slot log lies, and what its objects are called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogName {
    /// The prefix of all its keys, ends with `/`.
    pub prefix: String,
    /// The ending of its keys, without the dot: the same for data and seals.
    pub extension: &'static str,
    /// The first bytes of its objects.
    pub magic: SlotMagic,
}

impl LogName {
    /// The write-ahead log of a broker session.
    pub fn wal(namespace: &str, session: SessionId) -> LogName {
        LogName {
            prefix: keys::wal_prefix(namespace, session),
            extension: WAL_EXTENSION,
            magic: SlotMagic::Wal,
        }
    }

    /// The metadata log of a process session.
    pub fn meta(namespace: &str, session: MetaSessionId) -> LogName {
        LogName {
            prefix: keys::meta_prefix(namespace, session),
            extension: META_EXTENSION,
            magic: SlotMagic::Meta,
        }
    }

    /// The key of a slot.
    pub fn key(&self, slot: u64) -> String {
        format!("{}{}", self.prefix, keys::slot_name(slot, self.extension))
    }

    /// The slot that `key` names; none for an object that is no slot of this log.
    pub fn parse(&self, key: &str) -> Option<u64> {
        keys::parse_slot_name(key.strip_prefix(&self.prefix)?, self.extension)
    }
}
