//! A group: its state, its members and what every transition needs of them. Pure: no I/O, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::effects::{Effects, JoinRefused, JoinReply, ReplyTo, SyncReply};
use super::error::GroupError;
use super::member::{Member, Protocol, pending_bytes, protocols_bytes};
use super::rebalance::{JoinTimer, later};
use super::settings::CoordinatorSettings;
use super::subscription::Subscription;

/// Where a group is. The names are what Kafka's tools print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum GroupState {
    /// No members.
    Empty,
    /// Waiting for the members to join (again).
    PreparingRebalance,
    /// The generation is made; waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment, or can fetch it.
    Stable,
    /// Removed from the coordinator. Nothing leads out of it.
    Dead,
}

impl GroupState {
    /// Kafka's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
            GroupState::Dead => "Dead",
        }
    }
}

/// A group. `now` is time since any fixed moment; it must not go backwards.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) settings: Arc<CoordinatorSettings>,
    pub(super) state: GroupState,
    /// 0 until the first generation is made.
    pub(super) generation: i32,
    /// Set by the first member; stays when the last one leaves.
    pub(super) protocol_type: Option<Arc<str>>,
    /// Chosen when a generation is made.
    pub(super) protocol_name: Option<Arc<str>>,
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id of the static members.
    pub(super) instances: HashMap<Arc<str>, Arc<str>>,
    /// Ids that were given out with MEMBER_ID_REQUIRED, and when they stop being valid.
    pub(super) pending_joins: BTreeMap<Arc<str>, Duration>,
    /// Members of this generation that have not sent SyncGroup yet.
    pub(super) pending_syncs: BTreeSet<Arc<str>>,
    /// When the join phase ends without waiting further. Set in PreparingRebalance only.
    pub(super) join_timer: Option<JoinTimer>,
    /// When members that have not synced are removed.
    pub(super) sync_deadline: Option<Duration>,
    /// When an empty group is forgotten.
    pub(super) forget_at: Option<Duration>,
    /// Whether a member came since the initial delay was last extended.
    pub(super) new_member_came: bool,
    /// What the members of this generation consume, as far as their metadata says.
    pub(super) subscription: Subscription,
    /// How many members support each protocol.
    supporters: HashMap<Arc<str>, usize>,
    awaiting_join: usize,
    bytes: usize,
}

impl Group {
    /// A group without members.
    pub(super) fn new(settings: Arc<CoordinatorSettings>) -> Group {
        Group {
            settings,
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            pending_joins: BTreeMap::new(),
            pending_syncs: BTreeSet::new(),
            join_timer: None,
            sync_deadline: None,
            forget_at: None,
            new_member_came: false,
            subscription: Subscription::None,
            supporters: HashMap::new(),
            awaiting_join: 0,
            bytes: 0,
        }
    }

    /// Whether nothing would be lost if the group were made anew: no member was ever in it and none is on its way.
    pub(super) fn is_unused(&self) -> bool {
        self.state == GroupState::Empty && self.generation == 0 && self.pending_joins.is_empty()
    }

    /// Memory that its members take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of members whose JoinGroup waits.
    pub(super) fn awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    /// Whether the join phase has nobody left to wait for.
    pub(super) fn have_all_joined(&self) -> bool {
        self.awaiting_join == self.members.len() && self.pending_joins.is_empty()
    }

    /// Whether `member` leads.
    pub(super) fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    /// The longest time that one of its members wants to have for joining.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members
            .values()
            .map(|m| m.rebalance_timeout)
            .max()
            .unwrap_or_default()
    }

    /// Whether a member with these protocols fits: same type, and one protocol that all the others support too.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let supported_by = |p: &Protocol| self.supporters.get(&p.name).copied().unwrap_or(0);
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|p| supported_by(p) == self.members.len())
    }

    /// The protocol that most members prefer among those that all support. Every member that was let in shares one
    /// with all the others, so there is one as long as there are members.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let choice = member
                .protocols
                .iter()
                .find(|p| self.supporters.get(&p.name).copied() == Some(self.members.len()));
            if let Some(choice) = choice {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        // Among equals the first by name, so that the outcome can be foretold.
        let mut best: Option<(&Arc<str>, usize)> = None;
        for (name, count) in votes {
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((name, count));
            }
        }
        best.map(|(name, _)| Arc::clone(name))
    }

    /// Checks who is speaking: a static member by its instance id first, so that an older client with the same instance
    /// id learns that it has been replaced.
    pub(super) fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance) = instance_id {
            match self.instances.get(instance) {
                None => return Err(GroupError::UnknownMemberId),
                Some(current) if **current != *member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(GroupError::UnknownMemberId)
        }
    }

    /// Takes a member in. The caller has checked that it fits.
    pub(super) fn add_member(&mut self, member: Member, protocol_type: &Arc<str>) {
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::clone(protocol_type));
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(&member.id));
        }
        if let Some(instance) = &member.instance_id {
            self.instances
                .insert(Arc::clone(instance), Arc::clone(&member.id));
        }
        self.remove_pending_join(&member.id);
        self.insert(member);
    }

    fn insert(&mut self, member: Member) {
        self.bytes += member.bytes();
        self.awaiting_join += usize::from(member.joining.is_some());
        self.count_supporter(&member.protocols);
        self.members.insert(Arc::clone(&member.id), member);
    }

    fn take_out(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.bytes -= member.bytes();
        self.awaiting_join -= usize::from(member.joining.is_some());
        self.discount_supporter(&member.protocols);
        Some(member)
    }

    /// Removes a member and tells its waiting requests that it is no longer known, so that a client that is still there
    /// starts over. Does not look at what follows for the group.
    pub(super) fn remove_member(&mut self, member_id: &str, fx: &mut Effects) -> bool {
        let Some(member) = self.take_out(member_id) else {
            return false;
        };
        if let Some(to) = member.joining {
            let refused = JoinRefused {
                member_id: Arc::from(""),
                error: GroupError::UnknownMemberId,
            };
            fx.joins.push((to, Err(refused)));
        }
        if let Some(to) = member.syncing {
            fx.syncs.push((to, Err(GroupError::UnknownMemberId)));
        }
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        self.pending_syncs.remove(member_id);
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        true
    }

    /// Gives the place of a static member to a newer client with the same instance id. Requests of the older one that
    /// wait here are told so.
    pub(super) fn replace_static_member(
        &mut self,
        old_id: &str,
        new_id: &Arc<str>,
        fx: &mut Effects,
    ) -> bool {
        let Some(mut member) = self.take_out(old_id) else {
            return false;
        };
        if let Some(to) = member.joining.take() {
            let refused = JoinRefused {
                member_id: Arc::clone(&member.id),
                error: GroupError::FencedInstanceId,
            };
            fx.joins.push((to, Err(refused)));
        }
        if let Some(to) = member.syncing.take() {
            fx.syncs.push((to, Err(GroupError::FencedInstanceId)));
        }
        if self.is_leader(old_id) {
            self.leader = Some(Arc::clone(new_id));
        }
        if let Some(instance) = &member.instance_id {
            self.instances.insert(Arc::clone(instance), Arc::clone(new_id));
        }
        if self.pending_syncs.remove(old_id) {
            self.pending_syncs.insert(Arc::clone(new_id));
        }
        member.id = Arc::clone(new_id);
        self.insert(member);
        true
    }

    /// Takes over what a member that joins again says about itself.
    pub(super) fn update_member(
        &mut self,
        member_id: &str,
        protocols: Vec<Protocol>,
        rebalance_timeout: Duration,
        session_timeout: Duration,
    ) {
        if !self.members.contains_key(member_id) {
            return;
        }
        self.count_supporter(&protocols);
        let bytes = protocols_bytes(&protocols);
        let mut former = Vec::new();
        if let Some(member) = self.members.get_mut(member_id) {
            member.rebalance_timeout = rebalance_timeout;
            member.session_timeout = session_timeout;
            former = std::mem::replace(&mut member.protocols, protocols);
        }
        self.discount_supporter(&former);
        self.bytes = self.bytes + bytes - protocols_bytes(&former);
    }

    /// Sets what the leader assigned to a member.
    pub(super) fn set_assignment(&mut self, member_id: &str, assignment: Bytes) {
        if let Some(member) = self.members.get_mut(member_id) {
            self.bytes = self.bytes + assignment.len() - member.assignment.len();
            member.assignment = assignment;
        }
    }

    /// Remembers an id that was given out.
    pub(super) fn add_pending_join(&mut self, member_id: Arc<str>, until: Duration, fx: &mut Effects) {
        self.bytes += pending_bytes(&member_id);
        self.pending_joins.insert(member_id, until);
        fx.wake(until);
    }

    /// Forgets an id that was given out.
    pub(super) fn remove_pending_join(&mut self, member_id: &str) -> bool {
        let known = self.pending_joins.remove(member_id).is_some();
        if known {
            self.bytes -= pending_bytes(member_id);
        }
        known
    }

    /// Lets a member's JoinGroup wait. An earlier one that still waits is sent away: its client has given up on it.
    pub(super) fn await_join(&mut self, member_id: &str, to: ReplyTo, fx: &mut Effects) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        match member.joining.replace(to) {
            None => self.awaiting_join += 1,
            Some(earlier) => {
                let refused = JoinRefused {
                    member_id: Arc::clone(&member.id),
                    error: GroupError::RebalanceInProgress,
                };
                fx.joins.push((earlier, Err(refused)));
            }
        }
    }

    /// Answers a member's waiting JoinGroup, if there is one.
    pub(super) fn answer_join(&mut self, member_id: &str, reply: JoinReply, fx: &mut Effects) {
        if let Some(to) = self.stop_awaiting_join(member_id) {
            fx.joins.push((to, reply));
        }
    }

    /// Takes a member's waiting JoinGroup away without an answer: its connection is gone.
    pub(super) fn stop_awaiting_join(&mut self, member_id: &str) -> Option<ReplyTo> {
        let to = self.members.get_mut(member_id)?.joining.take()?;
        self.awaiting_join -= 1;
        Some(to)
    }

    /// Answers a member's waiting SyncGroup and says whether there was one.
    pub(super) fn answer_sync(&mut self, member_id: &str, reply: SyncReply, fx: &mut Effects) -> bool {
        let Some(to) = self.members.get_mut(member_id).and_then(|m| m.syncing.take()) else {
            return false;
        };
        fx.syncs.push((to, reply));
        true
    }

    /// Starts a member's session anew.
    pub(super) fn restart_session(&mut self, member_id: &str, now: Duration, fx: &mut Effects) {
        if let Some(member) = self.members.get_mut(member_id) {
            let at = later(now, member.session_timeout);
            member.expires_at = Some(at);
            fx.wake(at);
        }
    }

    fn count_supporter(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            *self.supporters.entry(Arc::clone(&protocol.name)).or_default() += 1;
        }
    }

    fn discount_supporter(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            if let Some(count) = self.supporters.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.supporters.remove(&protocol.name);
                }
            }
        }
    }
}
