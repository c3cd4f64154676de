//! Members that show that they are alive, leave, fall silent or lose their connection; and the timers of a group.

use std::sync::Arc;
use std::time::Duration;

use super::effects::{Effects, JoinRefused, ReplyTo};
use super::error::GroupError;
use super::state::{Group, GroupState};

/// Who speaks, and in which generation it believes to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberClaim<'a> {
    /// The member's id; empty for a client that only stores offsets.
    pub(crate) member_id: &'a str,
    /// The instance id of a static member.
    pub(crate) instance_id: Option<&'a str>,
    /// The generation; -1 for a client that only stores offsets.
    pub(crate) generation: i32,
}

/// A member that is to leave.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    /// Its id; empty when an administrator removes a static member by its instance id.
    pub(crate) member_id: Arc<str>,
    /// The instance id of a static member.
    pub(crate) instance_id: Option<Arc<str>>,
}

/// What has run out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Session(Arc<str>),
    PendingJoin(Arc<str>),
    Join,
    Sync,
    Forget,
}

impl Group {
    /// Handles a Heartbeat.
    pub(super) fn heartbeat(
        &mut self,
        now: Duration,
        claim: MemberClaim<'_>,
        fx: &mut Effects,
    ) -> Result<(), GroupError> {
        self.check_claim(claim)?;
        match self.state {
            GroupState::Empty => Err(GroupError::UnknownMemberId),
            GroupState::PreparingRebalance => {
                self.restart_session(claim.member_id, now, fx);
                Err(GroupError::RebalanceInProgress)
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.restart_session(claim.member_id, now, fx);
                Ok(())
            }
            GroupState::Dead => Err(GroupError::CoordinatorNotAvailable),
        }
    }

    /// Checks whether offsets may be committed by this member, or by a client that is none. Counts as a heartbeat.
    pub(super) fn check_commit(
        &mut self,
        now: Duration,
        claim: MemberClaim<'_>,
        fx: &mut Effects,
    ) -> Result<(), GroupError> {
        if self.state == GroupState::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        if self.state == GroupState::Empty && claim.generation < 0 {
            return Ok(());
        }
        if claim.generation < 0 && claim.member_id.is_empty() && claim.instance_id.is_none() {
            // Whoever is no member may not move the offsets under the members' feet.
            return Err(GroupError::UnknownMemberId);
        }
        self.check_claim(claim)?;
        match self.state {
            GroupState::CompletingRebalance => Err(GroupError::RebalanceInProgress),
            // While the members come together for the next generation, they still commit what they did in this one.
            _ => {
                self.restart_session(claim.member_id, now, fx);
                Ok(())
            }
        }
    }

    fn check_claim(&self, claim: MemberClaim<'_>) -> Result<(), GroupError> {
        if self.state == GroupState::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.check_member(claim.member_id, claim.instance_id)?;
        if claim.generation == self.generation {
            Ok(())
        } else {
            Err(GroupError::IllegalGeneration)
        }
    }

    /// Handles a LeaveGroup; one outcome for each who leaves, in the same order.
    pub(super) fn leave(
        &mut self,
        now: Duration,
        leaving: &[Leaving],
        fx: &mut Effects,
    ) -> Vec<Result<(), GroupError>> {
        let mut gone = false;
        let outcomes = leaving
            .iter()
            .map(|who| {
                if self.state == GroupState::Dead {
                    return Err(GroupError::CoordinatorNotAvailable);
                }
                if self.remove_pending_join(&who.member_id) {
                    return Ok(());
                }
                let id = self.find_leaving(who)?;
                gone |= self.remove_member(&id, fx);
                Ok(())
            })
            .collect();
        if gone {
            self.prepare_or_complete(now, fx);
        } else {
            // The group may have waited for an id that was given out and will not be used.
            self.maybe_complete_join(now, fx);
        }
        outcomes
    }

    fn find_leaving(&self, who: &Leaving) -> Result<Arc<str>, GroupError> {
        if who.member_id.is_empty() {
            let instance = who.instance_id.as_ref().and_then(|id| self.instances.get(id));
            return instance.cloned().ok_or(GroupError::UnknownMemberId);
        }
        self.check_member(&who.member_id, who.instance_id.as_deref())?;
        Ok(Arc::clone(&who.member_id))
    }

    /// The connection on which a request waited is gone. Its client may come back with the same id: it has a session
    /// timeout for that. One that was never told its id cannot, and is not waited for.
    pub(super) fn abandon(&mut self, now: Duration, to: ReplyTo, fx: &mut Effects) {
        let waits = |m: &&super::member::Member| m.joining == Some(to) || m.syncing == Some(to);
        let Some(member) = self.members.values().find(waits) else {
            return;
        };
        let id = Arc::clone(&member.id);
        if !member.knows_id && member.instance_id.is_none() {
            self.stop_awaiting_join(&id);
            self.remove_member(&id, fx);
            self.prepare_or_complete(now, fx);
            return;
        }
        if member.joining == Some(to) {
            self.stop_awaiting_join(&id);
        }
        if let Some(member) = self.members.get_mut(&id)
            && member.syncing == Some(to)
        {
            member.syncing = None;
        }
        self.restart_session(&id, now, fx);
    }

    /// The earliest time at which [`Group::on_time`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let sessions = self.members.values().filter_map(|m| m.expires_at);
        let pending = self.pending_joins.values().copied();
        let timers = [
            self.join_timer.map(|t| t.at()),
            self.sync_deadline,
            self.forget_at,
        ];
        sessions.chain(pending).chain(timers.into_iter().flatten()).min()
    }

    /// Does what is due at `now`, in the order in which it became due.
    pub(super) fn on_time(&mut self, now: Duration, fx: &mut Effects) {
        for (at, due) in self.due(now) {
            // One thing may have undone the next.
            if self.is_due(&due, at) {
                self.handle_due(due, now, fx);
            }
        }
    }

    fn due(&self, now: Duration) -> Vec<(Duration, Due)> {
        let sessions = self
            .members
            .values()
            .filter_map(|m| Some((m.expires_at?, Due::Session(Arc::clone(&m.id)))));
        let pending = self
            .pending_joins
            .iter()
            .map(|(id, at)| (*at, Due::PendingJoin(Arc::clone(id))));
        let timers = [
            self.join_timer.map(|timer| (timer.at(), Due::Join)),
            self.sync_deadline.map(|at| (at, Due::Sync)),
            self.forget_at.map(|at| (at, Due::Forget)),
        ];
        let mut due: Vec<(Duration, Due)> = sessions
            .chain(pending)
            .chain(timers.into_iter().flatten())
            .filter(|(at, _)| *at <= now)
            .collect();
        due.sort();
        due
    }

    fn is_due(&self, due: &Due, at: Duration) -> bool {
        let current = match due {
            Due::Session(id) => self.members.get(id).and_then(|m| m.expires_at),
            Due::PendingJoin(id) => self.pending_joins.get(id).copied(),
            Due::Join => self.join_timer.map(|timer| timer.at()),
            Due::Sync => self.sync_deadline,
            Due::Forget => self.forget_at,
        };
        current == Some(at)
    }

    fn handle_due(&mut self, due: Due, now: Duration, fx: &mut Effects) {
        match due {
            Due::Session(id) => {
                let Some(member) = self.members.get_mut(&id) else {
                    return;
                };
                if member.is_excused() {
                    member.expires_at = None;
                } else {
                    self.remove_member(&id, fx);
                    self.prepare_or_complete(now, fx);
                }
            }
            Due::PendingJoin(id) => {
                self.remove_pending_join(&id);
                self.maybe_complete_join(now, fx);
            }
            Due::Join => self.on_join_timer(now, fx),
            Due::Sync => {
                self.sync_deadline = None;
                let silent = std::mem::take(&mut self.pending_syncs);
                for id in silent {
                    self.remove_member(&id, fx);
                }
                self.prepare_or_complete(now, fx);
            }
            Due::Forget => {
                if self.pending_joins.is_empty() {
                    self.state = GroupState::Dead;
                    self.forget_at = None;
                } else {
                    let at = now + self.settings.empty_group_retention.max(Duration::from_millis(1));
                    self.forget_at = Some(at);
                    fx.wake(at);
                }
            }
        }
    }

    /// Removes the group if it has no members.
    pub(super) fn delete(&mut self) -> Result<(), GroupError> {
        match self.state {
            GroupState::Empty => {
                self.state = GroupState::Dead;
                Ok(())
            }
            GroupState::Dead => Err(GroupError::GroupIdNotFound),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    /// The broker closes: whoever waits is told to look for another coordinator.
    pub(super) fn close(&mut self, fx: &mut Effects) {
        self.state = GroupState::Dead;
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            let refused = JoinRefused {
                member_id: Arc::clone(&id),
                error: GroupError::NotCoordinator,
            };
            self.answer_join(&id, Err(refused), fx);
            self.answer_sync(&id, Err(GroupError::NotCoordinator), fx);
        }
    }
}
