//! JoinGroup: a member comes, or comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::effects::{Effects, JoinRefused, ReplyTo};
use super::error::GroupError;
use super::member::{MEMBER_OVERHEAD, Member, Protocol, protocols_bytes};
use super::state::{Group, GroupState};

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    /// The member's id; empty when it has none yet.
    pub(crate) member_id: Arc<str>,
    /// The id that it gets if it has none. The caller makes it, as it needs randomness.
    pub(crate) new_member_id: Arc<str>,
    /// The instance id of a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    /// How the client calls itself.
    pub(crate) client_id: Arc<str>,
    /// Where the client is.
    pub(crate) client_host: Arc<str>,
    /// How long a rebalance may wait for this member.
    pub(crate) rebalance_timeout: Duration,
    /// How long this member may stay silent.
    pub(crate) session_timeout: Duration,
    /// Such as `consumer` or `connect`.
    pub(crate) protocol_type: Arc<str>,
    /// In the order of preference; no name twice.
    pub(crate) protocols: Vec<Protocol>,
    /// Whether a dynamic member without an id has to come back with the one it is given: JoinGroup v4 and newer (KIP-394).
    pub(crate) requires_member_id: bool,
    /// Whether the client understands that it must not assign again: JoinGroup v9 and newer (KIP-814).
    pub(crate) can_skip_assignment: bool,
}

impl JoinRequest {
    /// Memory that the member would take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        MEMBER_OVERHEAD
            + self.member_id.len().max(self.new_member_id.len())
            + self.client_id.len()
            + self.client_host.len()
            + protocols_bytes(&self.protocols)
    }
}

impl Group {
    /// Handles a JoinGroup. The answer is in `fx` at once, or comes with a later transition.
    pub(super) fn join(&mut self, now: Duration, request: JoinRequest, to: ReplyTo, fx: &mut Effects) {
        if self.state == GroupState::Dead {
            refuse(to, request.member_id, GroupError::CoordinatorNotAvailable, fx);
        } else if !self.has_room_for(&request) {
            let removed =
                self.remove_member(&request.member_id, fx) || self.remove_pending_join(&request.member_id);
            refuse(to, Arc::from(""), GroupError::GroupMaxSizeReached, fx);
            if removed {
                self.maybe_complete_join(now, fx);
            }
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            refuse(to, request.member_id, GroupError::InconsistentGroupProtocol, fx);
        } else if !request.member_id.is_empty() {
            self.join_with_id(now, request, to, fx);
        } else if let Some(instance) = request.instance_id.clone() {
            match self.instances.get(&instance).cloned() {
                Some(old_id) => self.join_in_place_of(now, &old_id, request, to, fx),
                None => self.join_as_new(now, Arc::clone(&request.new_member_id), request, to, fx),
            }
        } else if request.requires_member_id {
            let until = now + request.session_timeout;
            self.add_pending_join(Arc::clone(&request.new_member_id), until, fx);
            refuse(to, request.new_member_id, GroupError::MemberIdRequired, fx);
        } else {
            self.join_as_new(now, Arc::clone(&request.new_member_id), request, to, fx);
        }
    }

    /// While a group prepares a rebalance the waiting members count, so that the last ones to come are the ones that
    /// find it full; otherwise all members do.
    fn has_room_for(&self, request: &JoinRequest) -> bool {
        let max = self.settings.max_members;
        let member_id = &request.member_id;
        let replaces = member_id.is_empty()
            && request
                .instance_id
                .as_ref()
                .is_some_and(|instance| self.instances.contains_key(instance));
        if replaces {
            return true;
        }
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                let waits = self.members.get(member_id).is_some_and(|m| m.joining.is_some());
                waits || self.awaiting_join() < max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.members.contains_key(member_id) || self.members.len() < max
            }
        }
    }

    fn join_with_id(&mut self, now: Duration, request: JoinRequest, to: ReplyTo, fx: &mut Effects) {
        let id = Arc::clone(&request.member_id);
        if self.pending_joins.contains_key(&id) {
            if request.instance_id.is_some() {
                // Such an id is only given to dynamic members.
                refuse(to, id, GroupError::UnknownMemberId, fx);
            } else {
                self.join_as_new(now, id, request, to, fx);
            }
            return;
        }
        if let Err(error) = self.check_member(&id, request.instance_id.as_deref()) {
            refuse(to, id, error, fx);
            return;
        }
        let says_the_same = self
            .members
            .get(&id)
            .is_some_and(|m| m.protocols == request.protocols);
        match self.state {
            GroupState::PreparingRebalance => self.rejoin(now, &id, request, to, fx),
            // The answer to its JoinGroup got lost, most likely: it gets the same one again.
            GroupState::CompletingRebalance if says_the_same => {
                let leads = self.is_leader(&id);
                self.tell_generation(now, &id, leads, to, fx);
            }
            GroupState::CompletingRebalance => self.rejoin(now, &id, request, to, fx),
            // A leader that joins wants to assign anew: it has seen topics change. A follower that says nothing new is
            // told the current generation.
            GroupState::Stable if says_the_same && !self.is_leader(&id) => {
                self.tell_generation(now, &id, false, to, fx);
            }
            GroupState::Stable => self.rejoin(now, &id, request, to, fx),
            GroupState::Empty | GroupState::Dead => refuse(to, id, GroupError::UnknownMemberId, fx),
        }
    }

    fn tell_generation(
        &mut self,
        now: Duration,
        id: &Arc<str>,
        with_members: bool,
        to: ReplyTo,
        fx: &mut Effects,
    ) {
        let joined = self.joined(id, with_members, false);
        fx.joins.push((to, Ok(joined)));
        self.restart_session(id, now, fx);
    }

    fn rejoin(&mut self, now: Duration, id: &str, request: JoinRequest, to: ReplyTo, fx: &mut Effects) {
        self.update_member(
            id,
            request.protocols,
            request.rebalance_timeout,
            request.session_timeout,
        );
        self.await_join(id, to, fx);
        self.prepare_or_complete(now, fx);
    }

    fn join_as_new(
        &mut self,
        now: Duration,
        id: Arc<str>,
        request: JoinRequest,
        to: ReplyTo,
        fx: &mut Effects,
    ) {
        if self.is_in_initial_delay() {
            self.new_member_came = true;
        }
        let expires_at = now + self.settings.new_member_timeout;
        fx.wake(expires_at);
        let member = Member {
            knows_id: request.member_id == id,
            id,
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout: request.rebalance_timeout,
            session_timeout: request.session_timeout,
            protocols: request.protocols,
            assignment: Bytes::new(),
            joining: Some(to),
            syncing: None,
            is_new: true,
            expires_at: Some(expires_at),
        };
        self.add_member(member, &request.protocol_type);
        self.prepare_or_complete(now, fx);
    }

    /// A static member has restarted: it takes the place of its former self, without a rebalance if nothing changes for
    /// the others.
    fn join_in_place_of(
        &mut self,
        now: Duration,
        old_id: &str,
        request: JoinRequest,
        to: ReplyTo,
        fx: &mut Effects,
    ) {
        let id = Arc::clone(&request.new_member_id);
        let old_leader = self.leader.clone();
        if !self.replace_static_member(old_id, &id, fx) {
            refuse(to, Arc::from(""), GroupError::UnknownMemberId, fx);
            return;
        }
        self.update_member(
            &id,
            request.protocols,
            request.rebalance_timeout,
            request.session_timeout,
        );
        self.restart_session(&id, now, fx);
        self.await_join(&id, to, fx);
        match self.state {
            GroupState::Stable if self.select_protocol() == self.protocol_name => {
                let joined = if request.can_skip_assignment {
                    // A leader gets the members, as it watches their topics, and is told not to assign.
                    let leads = self.is_leader(&id);
                    self.joined(&id, leads, leads)
                } else {
                    // An older client is not told that it leads, so it does not assign: nobody would take its assignment.
                    let mut joined = self.joined(&id, false, false);
                    joined.leader = old_leader.unwrap_or_else(|| Arc::from(""));
                    joined
                };
                self.answer_join(&id, Ok(joined), fx);
            }
            // The leader may have been told the old id: what it assigns to it would get lost.
            GroupState::CompletingRebalance | GroupState::Stable => self.prepare(now, fx),
            GroupState::PreparingRebalance => self.maybe_complete_join(now, fx),
            GroupState::Empty | GroupState::Dead => {}
        }
    }
}

fn refuse(to: ReplyTo, member_id: Arc<str>, error: GroupError, fx: &mut Effects) {
    fx.joins.push((to, Err(JoinRefused { member_id, error })));
}
