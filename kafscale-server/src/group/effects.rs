//! What a transition of a group causes outside of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error::GroupError;

/// Names one waiting request; the coordinator knows the channel behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ReplyTo(pub(crate) u64);

/// The answer to a JoinGroup that brought the member into a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Joined {
    /// The member's id.
    pub(crate) member_id: Arc<str>,
    /// The generation.
    pub(crate) generation: i32,
    /// The group's protocol type, such as `consumer`.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// The protocol that the members' votes have chosen.
    pub(crate) protocol_name: Option<Arc<str>>,
    /// The leader's member id.
    pub(crate) leader: Arc<str>,
    /// Whether the leader must not assign again: the group keeps the assignment that it has (KIP-814).
    pub(crate) skip_assignment: bool,
    /// For the leader: all members. For the others: none.
    pub(crate) members: Vec<JoinedMember>,
}

/// A member as its leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JoinedMember {
    /// The member's id.
    pub(crate) member_id: Arc<str>,
    /// The instance id of a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    /// What it sent for the chosen protocol, byte for byte.
    pub(crate) metadata: Bytes,
}

/// The answer to a JoinGroup that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JoinRefused {
    /// The member id that goes into the answer: the new one with [`GroupError::MemberIdRequired`].
    pub(crate) member_id: Arc<str>,
    /// Why.
    pub(crate) error: GroupError,
}

/// The answer to a JoinGroup.
pub(crate) type JoinReply = Result<Joined, JoinRefused>;

/// The answer to a SyncGroup that succeeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Synced {
    /// The group's protocol type.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// The chosen protocol.
    pub(crate) protocol_name: Option<Arc<str>>,
    /// What the leader assigned, byte for byte; empty when it named nothing for this member.
    pub(crate) assignment: Bytes,
}

/// The answer to a SyncGroup.
pub(crate) type SyncReply = Result<Synced, GroupError>;

/// What a transition causes: answers to waiting requests, and a time at which the group wants to be called.
#[derive(Default, Debug)]
pub(crate) struct Effects {
    /// Answers to JoinGroup requests.
    pub(crate) joins: Vec<(ReplyTo, JoinReply)>,
    /// Answers to SyncGroup requests.
    pub(crate) syncs: Vec<(ReplyTo, SyncReply)>,
    /// The earliest deadline that this transition set. Earlier ones that were set before still stand.
    pub(crate) wake_at: Option<Duration>,
}

impl Effects {
    /// Asks for a call of `Group::on_time` at `at`.
    pub(super) fn wake(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}
