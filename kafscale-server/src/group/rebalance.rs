//! From one generation to the next: when a rebalance starts, how long it waits and who is in the new generation.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::effects::{Effects, Joined, JoinedMember};
use super::error::GroupError;
use super::state::{Group, GroupState};
use super::subscription::Subscription;

/// When the join phase stops waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JoinTimer {
    /// A group that was empty gives others time to come (KIP-134).
    Initial {
        /// When the delay ends.
        at: Duration,
        /// How long this delay is.
        delay: Duration,
        /// How long it may be extended after that.
        remaining: Duration,
    },
    /// The rebalance timeout.
    Rebalance {
        /// When it ends.
        at: Duration,
    },
}

impl JoinTimer {
    /// When it ends.
    pub(super) fn at(self) -> Duration {
        match self {
            JoinTimer::Initial { at, .. } | JoinTimer::Rebalance { at } => at,
        }
    }
}

/// A time that is later than `now` even if `timeout` is nothing: a timer that starts itself again must not be due at
/// once.
pub(super) fn later(now: Duration, timeout: Duration) -> Duration {
    now + timeout.max(Duration::from_millis(1))
}

impl Group {
    /// Starts a rebalance if the group is not in one; otherwise ends the join phase if nobody is left to wait for.
    pub(super) fn prepare_or_complete(&mut self, now: Duration, fx: &mut Effects) {
        match self.state {
            GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable => self.prepare(now, fx),
            GroupState::PreparingRebalance => self.maybe_complete_join(now, fx),
            GroupState::Dead => {}
        }
    }

    /// Starts a rebalance.
    pub(super) fn prepare(&mut self, now: Duration, fx: &mut Effects) {
        if self.state == GroupState::CompletingRebalance {
            // Whoever waits for an assignment of this generation will not get one.
            self.cancel_sync(now, fx);
        }
        self.pending_syncs.clear();
        self.sync_deadline = None;
        self.forget_at = None;
        let was_empty = self.state == GroupState::Empty;
        self.state = GroupState::PreparingRebalance;
        if was_empty {
            self.new_member_came = false;
            let delay = self.settings.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.set_join_timer(
                JoinTimer::Initial {
                    at: now + delay,
                    delay,
                    remaining,
                },
                fx,
            );
        } else if self.have_all_joined() {
            self.complete_join(now, fx);
        } else {
            let at = later(now, self.rebalance_timeout());
            self.set_join_timer(JoinTimer::Rebalance { at }, fx);
        }
    }

    /// Whether the group gives others time to come, now that it has its first member.
    pub(super) fn is_in_initial_delay(&self) -> bool {
        matches!(self.join_timer, Some(JoinTimer::Initial { .. }))
    }

    /// Ends the join phase if nobody is left to wait for. The initial delay is not cut short: others may be coming.
    pub(super) fn maybe_complete_join(&mut self, now: Duration, fx: &mut Effects) {
        if self.state == GroupState::PreparingRebalance
            && !self.is_in_initial_delay()
            && self.have_all_joined()
        {
            self.complete_join(now, fx);
        }
    }

    /// What is to be done when the join timer has ended.
    pub(super) fn on_join_timer(&mut self, now: Duration, fx: &mut Effects) {
        match self.join_timer {
            Some(JoinTimer::Initial { delay, remaining, .. })
                if self.new_member_came && !remaining.is_zero() && !delay.is_zero() =>
            {
                self.new_member_came = false;
                let next = self.settings.initial_rebalance_delay.min(remaining);
                self.set_join_timer(
                    JoinTimer::Initial {
                        at: later(now, next),
                        delay: next,
                        remaining: remaining.saturating_sub(delay),
                    },
                    fx,
                );
            }
            Some(_) => self.complete_join(now, fx),
            None => {}
        }
    }

    /// Makes the next generation of those who joined. Dynamic members that did not are removed; static ones stay until
    /// their session ends, so that a restart does not cost them their place (KIP-345).
    pub(super) fn complete_join(&mut self, now: Duration, fx: &mut Effects) {
        self.join_timer = None;
        let late: Vec<Arc<str>> = self
            .members
            .values()
            .filter(|m| m.joining.is_none() && m.instance_id.is_none())
            .map(|m| Arc::clone(&m.id))
            .collect();
        for member in late {
            self.remove_member(&member, fx);
        }
        if self.members.is_empty() {
            self.become_empty(now, fx);
            return;
        }
        if !self.elect_joined_leader() {
            // Only static members are left and none of them came. Their sessions end, or they come.
            let at = later(now, self.rebalance_timeout());
            self.set_join_timer(JoinTimer::Rebalance { at }, fx);
            return;
        }
        self.generation = self.generation.saturating_add(1);
        self.protocol_name = self.select_protocol();
        self.subscription = self.read_subscription();
        self.state = GroupState::CompletingRebalance;
        self.pending_syncs = self.members.keys().cloned().collect();
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id, self.is_leader(&id), false);
            self.answer_join(&id, Ok(joined), fx);
            self.restart_session(&id, now, fx);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
                member.knows_id = true;
            }
        }
        let at = later(now, self.rebalance_timeout());
        self.sync_deadline = Some(at);
        fx.wake(at);
    }

    /// Keeps the leader if it joined, or else makes one of those who did. Says whether anybody did.
    fn elect_joined_leader(&mut self) -> bool {
        let joined =
            |group: &Group, id: &Arc<str>| group.members.get(id).is_some_and(|m| m.joining.is_some());
        if self.leader.as_ref().is_some_and(|id| joined(self, id)) {
            return true;
        }
        let next = self.members.values().find(|m| m.joining.is_some());
        let Some(id) = next.map(|m| Arc::clone(&m.id)) else {
            return false;
        };
        self.leader = Some(id);
        true
    }

    fn become_empty(&mut self, now: Duration, fx: &mut Effects) {
        self.generation = self.generation.saturating_add(1);
        self.protocol_name = None;
        self.leader = None;
        self.subscription = Subscription::Topics(Default::default());
        self.state = GroupState::Empty;
        let at = now + self.settings.empty_group_retention;
        self.forget_at = Some(at);
        fx.wake(at);
    }

    fn read_subscription(&self) -> Subscription {
        let (Some(kind), Some(name)) = (&self.protocol_type, &self.protocol_name) else {
            return Subscription::None;
        };
        Subscription::read(kind, self.members.values().map(|m| m.metadata(name)))
    }

    fn set_join_timer(&mut self, timer: JoinTimer, fx: &mut Effects) {
        self.join_timer = Some(timer);
        fx.wake(timer.at());
    }

    /// Sends away those who wait for an assignment of a generation that ends without one.
    fn cancel_sync(&mut self, now: Duration, fx: &mut Effects) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            self.set_assignment(&id, Bytes::new());
            if self.answer_sync(&id, Err(GroupError::RebalanceInProgress), fx) {
                self.restart_session(&id, now, fx);
            }
        }
    }

    /// The answer that brings `member` into the current generation.
    pub(super) fn joined(&self, member: &Arc<str>, with_members: bool, skip_assignment: bool) -> Joined {
        let members = if with_members {
            self.joined_members()
        } else {
            Vec::new()
        };
        Joined {
            member_id: Arc::clone(member),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_else(|| Arc::from("")),
            skip_assignment,
            members,
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let name = self.protocol_name.as_deref().unwrap_or_default();
        self.members
            .values()
            .map(|m| JoinedMember {
                member_id: Arc::clone(&m.id),
                instance_id: m.instance_id.clone(),
                metadata: m.metadata(name).cloned().unwrap_or_default(),
            })
            .collect()
    }
}
