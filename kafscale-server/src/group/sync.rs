//! SyncGroup: the leader hands in the assignment, and everybody gets their part.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::effects::{Effects, ReplyTo, SyncReply, Synced};
use super::error::GroupError;
use super::state::{Group, GroupState};

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub(crate) struct SyncRequest {
    /// The member's id.
    pub(crate) member_id: Arc<str>,
    /// The instance id of a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    /// The generation that the member was told.
    pub(crate) generation: i32,
    /// The protocol type that it believes in; from v5 on (KIP-559).
    pub(crate) protocol_type: Option<Arc<str>>,
    /// The protocol that it believes in; from v5 on.
    pub(crate) protocol_name: Option<Arc<str>>,
    /// From the leader: what each member gets.
    pub(crate) assignments: HashMap<Arc<str>, Bytes>,
}

impl SyncRequest {
    /// Memory that the assignments would take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.assignments.values().map(Bytes::len).sum()
    }
}

impl Group {
    /// Handles a SyncGroup. The answer is in `fx` at once, or comes with a later transition.
    pub(super) fn sync(&mut self, now: Duration, request: SyncRequest, to: ReplyTo, fx: &mut Effects) {
        if let Err(error) = self.check_sync(&request) {
            fx.syncs.push((to, Err(error)));
            return;
        }
        let id = request.member_id;
        match self.state {
            GroupState::CompletingRebalance => {
                self.mark_synced(&id);
                let earlier = self.members.get_mut(&id).and_then(|m| m.syncing.replace(to));
                if let Some(earlier) = earlier {
                    // Its client has given up on that one.
                    fx.syncs.push((earlier, Err(GroupError::RebalanceInProgress)));
                }
                if self.is_leader(&id) {
                    self.assign(now, request.assignments, fx);
                }
            }
            GroupState::Stable => {
                self.mark_synced(&id);
                self.restart_session(&id, now, fx);
                fx.syncs.push((to, self.synced(&id)));
            }
            GroupState::PreparingRebalance => fx.syncs.push((to, Err(GroupError::RebalanceInProgress))),
            GroupState::Empty => fx.syncs.push((to, Err(GroupError::UnknownMemberId))),
            GroupState::Dead => fx.syncs.push((to, Err(GroupError::CoordinatorNotAvailable))),
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        if self.state == GroupState::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |said: &Option<Arc<str>>, own: &Option<Arc<str>>| said.is_some() && said != own;
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn mark_synced(&mut self, member_id: &str) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            self.sync_deadline = None;
        }
    }

    fn assign(&mut self, now: Duration, mut assignments: HashMap<Arc<str>, Bytes>, fx: &mut Effects) {
        self.state = GroupState::Stable;
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            self.set_assignment(&id, assignments.remove(&id).unwrap_or_default());
            let reply = self.synced(&id);
            if self.answer_sync(&id, reply, fx) {
                self.restart_session(&id, now, fx);
            }
        }
    }

    fn synced(&self, member_id: &str) -> SyncReply {
        let member = self.members.get(member_id).ok_or(GroupError::UnknownMemberId)?;
        Ok(Synced {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: member.assignment.clone(),
        })
    }
}
