//! A group with a hand-driven clock, and clients that are a few lines each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::group::GroupError;
use crate::group::effects::{Effects, JoinReply, Joined, ReplyTo, SyncReply};
use crate::group::join::JoinRequest;
use crate::group::member::Protocol;
use crate::group::session::{Leaving, MemberClaim};
use crate::group::settings::CoordinatorSettings;
use crate::group::state::{Group, GroupState};
use crate::group::sync::SyncRequest;

pub(super) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) fn protocols(list: &[(&str, &str)]) -> Vec<Protocol> {
    list.iter()
        .map(|(name, metadata)| Protocol {
            name: Arc::from(*name),
            metadata: Bytes::copy_from_slice(metadata.as_bytes()),
        })
        .collect()
}

/// A JoinGroup of a consumer that supports `range` and says `hello` about it.
pub(super) fn request(member_id: &str) -> JoinRequest {
    JoinRequest {
        member_id: Arc::from(member_id),
        new_member_id: Arc::from(""),
        instance_id: None,
        client_id: Arc::from("client"),
        client_host: Arc::from("/127.0.0.1"),
        rebalance_timeout: ms(60_000),
        session_timeout: ms(10_000),
        protocol_type: Arc::from("consumer"),
        protocols: protocols(&[("range", "hello")]),
        requires_member_id: false,
        can_skip_assignment: true,
    }
}

pub(super) struct Sim {
    pub(super) group: Group,
    pub(super) now: Duration,
    pub(super) joins: HashMap<ReplyTo, JoinReply>,
    pub(super) syncs: HashMap<ReplyTo, SyncReply>,
    pub(super) waiting: HashSet<ReplyTo>,
    next: u64,
}

impl Sim {
    pub(super) fn new() -> Sim {
        Sim::with(CoordinatorSettings::default())
    }

    pub(super) fn with(settings: CoordinatorSettings) -> Sim {
        Sim {
            group: Group::new(Arc::new(settings)),
            now: ms(1_000_000),
            joins: HashMap::new(),
            syncs: HashMap::new(),
            waiting: HashSet::new(),
            next: 0,
        }
    }

    /// Without the initial delay: generations are made as soon as everybody has joined.
    pub(super) fn hasty() -> Sim {
        Sim::with(CoordinatorSettings {
            initial_rebalance_delay: Duration::ZERO,
            ..CoordinatorSettings::default()
        })
    }

    fn take(&mut self, fx: Effects) {
        for (to, reply) in fx.joins {
            assert!(self.waiting.remove(&to), "{to:?} is answered twice");
            self.joins.insert(to, reply);
        }
        for (to, reply) in fx.syncs {
            assert!(self.waiting.remove(&to), "{to:?} is answered twice");
            self.syncs.insert(to, reply);
        }
    }

    fn ticket(&mut self) -> ReplyTo {
        self.next += 1;
        let to = ReplyTo(self.next);
        self.waiting.insert(to);
        to
    }

    pub(super) fn act<R>(&mut self, transition: impl FnOnce(&mut Group, Duration, &mut Effects) -> R) -> R {
        let mut fx = Effects::default();
        let outcome = transition(&mut self.group, self.now, &mut fx);
        if let Some(at) = fx.wake_at {
            assert!(at >= self.now, "a deadline in the past");
        }
        self.take(fx);
        outcome
    }

    pub(super) fn join(&mut self, mut request: JoinRequest) -> ReplyTo {
        let to = self.ticket();
        if request.new_member_id.is_empty() {
            request.new_member_id = Arc::from(format!("m{}", to.0));
        }
        self.act(|group, now, fx| group.join(now, request, to, fx));
        to
    }

    pub(super) fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &str)]) -> ReplyTo {
        self.sync_as(SyncRequest {
            member_id: Arc::from(member),
            instance_id: None,
            generation,
            protocol_type: None,
            protocol_name: None,
            assignments: assignments
                .iter()
                .map(|(id, bytes)| (Arc::from(*id), Bytes::copy_from_slice(bytes.as_bytes())))
                .collect(),
        })
    }

    pub(super) fn sync_as(&mut self, request: SyncRequest) -> ReplyTo {
        let to = self.ticket();
        self.act(|group, now, fx| group.sync(now, request, to, fx));
        to
    }

    pub(super) fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), GroupError> {
        self.heartbeat_as(member, None, generation)
    }

    pub(super) fn heartbeat_as(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        let claim = MemberClaim {
            member_id,
            instance_id,
            generation,
        };
        self.act(|group, now, fx| group.heartbeat(now, claim, fx))
    }

    pub(super) fn commit(&mut self, member_id: &str, generation: i32) -> Result<(), GroupError> {
        let claim = MemberClaim {
            member_id,
            instance_id: None,
            generation,
        };
        self.act(|group, now, fx| group.check_commit(now, claim, fx))
    }

    pub(super) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<Result<(), GroupError>> {
        let leaving: Vec<Leaving> = members
            .iter()
            .map(|(member, instance)| Leaving {
                member_id: Arc::from(*member),
                instance_id: instance.map(Arc::from),
            })
            .collect();
        self.act(|group, now, fx| group.leave(now, &leaving, fx))
    }

    pub(super) fn abandon(&mut self, to: ReplyTo) {
        self.waiting.remove(&to);
        self.act(|group, now, fx| group.abandon(now, to, fx));
    }

    /// Lets time pass, firing timers when they are due.
    pub(super) fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.group.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.act(|group, now, fx| group.on_time(now, fx));
        }
        self.now = end;
    }

    /// The same while these members send heartbeats every three seconds.
    pub(super) fn pass_alive(&mut self, by: Duration, members: &[&str]) {
        let end = self.now + by;
        while self.now < end {
            for member in members {
                // Err: told to rejoin, which is for the test to do.
                let _told = self.heartbeat(member, self.group.generation);
            }
            self.pass(ms(3_000).min(end - self.now));
        }
    }

    pub(super) fn joined(&self, to: ReplyTo) -> &Joined {
        match self.joins.get(&to) {
            Some(Ok(joined)) => joined,
            other => panic!("not joined: {other:?}"),
        }
    }

    pub(super) fn refused(&self, to: ReplyTo) -> GroupError {
        match self.joins.get(&to) {
            Some(Err(refused)) => refused.error,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(super) fn assigned(&self, to: ReplyTo) -> Result<&str, GroupError> {
        match self.syncs.get(&to) {
            Some(Ok(synced)) => Ok(std::str::from_utf8(&synced.assignment).unwrap()),
            Some(Err(error)) => Err(*error),
            None => panic!("no answer to SyncGroup"),
        }
    }

    pub(super) fn is_waiting(&self, to: ReplyTo) -> bool {
        self.waiting.contains(&to)
    }

    pub(super) fn state(&self) -> GroupState {
        self.group.state
    }

    /// Members with the given ids, in a stable first generation; the first one leads and everybody was assigned `p-ID`.
    pub(super) fn stable(ids: &[&str]) -> Sim {
        let mut sim = Sim::new();
        for id in ids {
            let mut join = request("");
            join.new_member_id = Arc::from(*id);
            sim.join(join);
        }
        // Twice the initial delay: the later ones extend it.
        sim.pass(ms(6_000));
        assert_eq!(sim.state(), GroupState::CompletingRebalance);
        sim.settle(ids);
        sim
    }

    /// Everybody syncs: the leader first, with `p-ID` for each.
    pub(super) fn settle(&mut self, ids: &[&str]) {
        let generation = self.group.generation;
        let leader = self.group.leader.clone().unwrap();
        let parts: Vec<(String, String)> = ids
            .iter()
            .map(|id| ((*id).to_owned(), format!("p-{id}")))
            .collect();
        let parts: Vec<(&str, &str)> = parts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        self.sync(&leader, generation, &parts);
        for id in ids.iter().filter(|id| **id != &*leader) {
            self.sync(id, generation, &[]);
        }
        assert_eq!(self.state(), GroupState::Stable);
    }
}
