//! A member of a group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::effects::ReplyTo;

/// Memory that a member costs beside its strings and byte fields: its entries in the maps of the group. An estimate on
/// the high side.
pub(super) const MEMBER_OVERHEAD: usize = 512;

/// A protocol that a member supports: an assignor for consumers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Protocol {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// What the member says to the leader if this protocol is chosen; opaque here.
    pub(crate) metadata: Bytes,
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) rebalance_timeout: Duration,
    pub(super) session_timeout: Duration,
    /// In the order of the member's preference; no name twice.
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// The JoinGroup that waits for the next generation.
    pub(super) joining: Option<ReplyTo>,
    /// The SyncGroup that waits for the leader's assignment.
    pub(super) syncing: Option<ReplyTo>,
    /// Whether it has never been in a generation.
    pub(super) is_new: bool,
    /// Whether its client has been told its id, and can come back with it.
    pub(super) knows_id: bool,
    /// When it is removed unless it is heard of. `None` while one of its requests waits and its session has run out
    /// meanwhile: the answer to the request starts a new one.
    pub(super) expires_at: Option<Duration>,
}

impl Member {
    /// Whether an expired session is no reason to remove it: a client whose request waits here sends no heartbeats. A
    /// new member does expire, as its client may be long gone.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    /// What it says for the protocol `name`.
    pub(super) fn metadata(&self, name: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|p| &*p.name == name)
            .map(|p| &p.metadata)
    }

    /// Memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let strings = self.id.len()
            + self.instance_id.as_deref().map_or(0, str::len)
            + self.client_id.len()
            + self.client_host.len();
        MEMBER_OVERHEAD + strings + protocols_bytes(&self.protocols) + self.assignment.len()
    }
}

/// Memory that protocols take, in bytes.
pub(super) fn protocols_bytes(protocols: &[Protocol]) -> usize {
    // A name is held twice: here and in the group's count of supporters.
    protocols
        .iter()
        .map(|p| 2 * p.name.len() + p.metadata.len() + 96)
        .sum()
}

/// Memory that an id without a member takes: one that was given out and has not joined yet.
pub(super) fn pending_bytes(id: &str) -> usize {
    id.len() + 128
}
