//! Random clients against the state machine: whatever they do, the group keeps its promises and gets on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::sim::{Sim, ms, protocols, request};
use crate::group::effects::ReplyTo;
use crate::group::settings::CoordinatorSettings;
use crate::group::state::GroupState;
use crate::group::sync::SyncRequest;

#[derive(Clone, Debug)]
enum Op {
    /// A new client; whether it must be given an id first, as which instance, and what it supports.
    Come {
        asks_for_id: bool,
        instance: Option<u8>,
        protocols: u8,
    },
    /// A known id joins (again), perhaps with other protocols.
    Rejoin {
        who: usize,
        protocols: u8,
    },
    Sync {
        who: usize,
        stale: bool,
    },
    Heartbeat {
        who: usize,
    },
    Leave {
        who: usize,
    },
    Remove {
        instance: u8,
    },
    Commit {
        who: usize,
    },
    Disconnect {
        which: usize,
    },
    Pass {
        millis: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (any::<bool>(), proptest::option::of(0u8..3), 0u8..4)
            .prop_map(|(asks_for_id, instance, protocols)| Op::Come { asks_for_id, instance, protocols }),
        4 => (0usize..12, 0u8..4).prop_map(|(who, protocols)| Op::Rejoin { who, protocols }),
        5 => (0usize..12, proptest::bool::weighted(0.1)).prop_map(|(who, stale)| Op::Sync { who, stale }),
        2 => (0usize..12).prop_map(|who| Op::Heartbeat { who }),
        1 => (0usize..12).prop_map(|who| Op::Leave { who }),
        1 => (0u8..3).prop_map(|instance| Op::Remove { instance }),
        1 => (0usize..12).prop_map(|who| Op::Commit { who }),
        1 => (0usize..12).prop_map(|which| Op::Disconnect { which }),
        3 => prop_oneof![Just(0u64), 1u64..4_000, 4_000u64..70_000].prop_map(|millis| Op::Pass { millis }),
    ]
}

fn support(which: u8) -> Vec<crate::group::Protocol> {
    match which {
        0 => protocols(&[("range", "r0"), ("sticky", "s0")]),
        1 => protocols(&[("sticky", "s1"), ("range", "r1")]),
        2 => protocols(&[("range", "r2")]),
        _ => protocols(&[("range", "r3"), ("other", "o3")]),
    }
}

struct World {
    sim: Sim,
    /// Ids in the order in which they were given out, with the instance they belong to.
    ids: Vec<(Arc<str>, Option<Arc<str>>)>,
    tickets: Vec<ReplyTo>,
    generation: i32,
}

impl World {
    fn run(&mut self, op: &Op) {
        match op {
            Op::Come {
                asks_for_id,
                instance,
                protocols,
            } => {
                let id: Arc<str> = Arc::from(format!("id{}", self.ids.len()));
                let instance: Option<Arc<str>> = instance.map(|i| Arc::from(format!("i{i}")));
                let mut join = request("");
                join.new_member_id = Arc::clone(&id);
                join.instance_id = instance.clone();
                join.requires_member_id = *asks_for_id;
                join.protocols = support(*protocols);
                self.ids.push((id, instance));
                let to = self.sim.join(join);
                self.tickets.push(to);
            }
            Op::Rejoin { who, protocols } => {
                let Some((id, instance)) = self.pick(*who) else {
                    return;
                };
                let mut join = request(&id);
                join.instance_id = instance;
                join.requires_member_id = true;
                join.protocols = support(*protocols);
                let to = self.sim.join(join);
                self.tickets.push(to);
            }
            Op::Sync { who, stale } => {
                let Some((id, instance)) = self.pick(*who) else {
                    return;
                };
                // As a leader does: each partition to one member.
                let assignments: HashMap<Arc<str>, Bytes> = self
                    .sim
                    .group
                    .members
                    .keys()
                    .enumerate()
                    .map(|(i, id)| {
                        (
                            Arc::clone(id),
                            Bytes::from(format!("g{}-{i}", self.sim.group.generation)),
                        )
                    })
                    .collect();
                let to = self.sim.sync_as(SyncRequest {
                    member_id: id,
                    instance_id: instance,
                    generation: self.sim.group.generation - i32::from(*stale),
                    protocol_type: None,
                    protocol_name: None,
                    assignments,
                });
                self.tickets.push(to);
            }
            Op::Heartbeat { who } => {
                let Some((id, instance)) = self.pick(*who) else {
                    return;
                };
                let generation = self.sim.group.generation;
                let _told = self.sim.heartbeat_as(&id, instance.as_deref(), generation);
            }
            Op::Leave { who } => {
                let Some((id, instance)) = self.pick(*who) else {
                    return;
                };
                self.sim.leave(&[(&id, instance.as_deref())]);
            }
            Op::Remove { instance } => {
                self.sim.leave(&[("", Some(&format!("i{instance}")))]);
            }
            Op::Commit { who } => {
                let Some((id, _)) = self.pick(*who) else { return };
                let generation = self.sim.group.generation;
                let _told = self.sim.commit(&id, generation);
            }
            Op::Disconnect { which } => {
                let waiting: Vec<ReplyTo> = self
                    .tickets
                    .iter()
                    .copied()
                    .filter(|to| self.sim.is_waiting(*to))
                    .collect();
                if let Some(to) = waiting.get(which % waiting.len().max(1)) {
                    self.sim.abandon(*to);
                }
            }
            Op::Pass { millis } => self.sim.pass(ms(*millis)),
        }
        self.check();
    }

    /// Every member does what the state of the group asks of it.
    fn go_on(&mut self) {
        let members: Vec<(Arc<str>, Option<Arc<str>>)> = self
            .sim
            .group
            .members
            .values()
            .map(|m| (Arc::clone(&m.id), m.instance_id.clone()))
            .collect();
        for (id, instance) in members {
            if self.sim.state() == GroupState::PreparingRebalance {
                let mut join = request(&id);
                join.instance_id = instance;
                join.protocols = support(2);
                self.sim.join(join);
            } else {
                self.sim.sync_as(SyncRequest {
                    member_id: id,
                    instance_id: instance,
                    generation: self.sim.group.generation,
                    protocol_type: None,
                    protocol_name: None,
                    assignments: HashMap::new(),
                });
            }
            self.check();
        }
    }

    /// One of the latest ids.
    fn pick(&self, who: usize) -> Option<(Arc<str>, Option<Arc<str>>)> {
        let recent = self.ids.iter().rev().take(12).collect::<Vec<_>>();
        recent
            .get(who % recent.len().max(1))
            .map(|(id, instance)| (Arc::clone(id), instance.clone()))
    }

    fn check(&mut self) {
        let group = &self.sim.group;
        assert!(group.generation >= self.generation, "the generation goes back");
        self.generation = group.generation;

        // Whoever waits is waited for by exactly one member, and the other way round.
        let mut held = HashSet::new();
        for member in group.members.values() {
            for to in [member.joining, member.syncing].into_iter().flatten() {
                assert!(held.insert(to), "one request waits twice");
            }
        }
        assert_eq!(held, self.sim.waiting);

        // Everybody who is silent is found out, and whoever waits is waiting for something that has an end.
        for member in group.members.values() {
            let waits = member.joining.is_some() || member.syncing.is_some();
            assert!(
                member.expires_at.is_some() || waits,
                "{} would stay for ever",
                member.id
            );
        }
        if group.state == GroupState::PreparingRebalance {
            assert!(group.join_timer.is_some(), "the join phase would never end");
        } else {
            assert!(group.join_timer.is_none());
            assert_eq!(group.awaiting_join(), 0, "a join waits outside of the join phase");
        }
        if group.state == GroupState::CompletingRebalance {
            assert!(group.sync_deadline.is_some() || group.pending_syncs.is_empty());
        } else {
            assert!(
                group.members.values().all(|m| m.syncing.is_none()),
                "a sync waits in {:?}",
                group.state
            );
        }

        // The books are right.
        let joining = group.members.values().filter(|m| m.joining.is_some()).count();
        assert_eq!(group.awaiting_join(), joining);
        let members: usize = group.members.values().map(|m| m.bytes()).sum();
        let pending: usize = group
            .pending_joins
            .keys()
            .map(|id| crate::group::member::pending_bytes(id))
            .sum();
        assert_eq!(group.bytes(), members + pending);
        let instances: HashSet<(Arc<str>, Arc<str>)> = group
            .members
            .values()
            .filter_map(|m| Some((m.instance_id.clone()?, Arc::clone(&m.id))))
            .collect();
        let known: HashSet<(Arc<str>, Arc<str>)> = group
            .instances
            .iter()
            .map(|(a, b)| (Arc::clone(a), Arc::clone(b)))
            .collect();
        assert_eq!(instances, known, "an instance has two members, or none");
        assert!(
            group
                .pending_joins
                .keys()
                .all(|id| !group.members.contains_key(id))
        );
        assert!(
            group
                .pending_syncs
                .iter()
                .all(|id| group.members.contains_key(id))
        );

        // There is a leader as long as there are members, and it is one of them.
        match &group.leader {
            Some(leader) => assert!(group.members.contains_key(leader)),
            None => assert!(group.members.is_empty()),
        }
        match group.state {
            GroupState::Empty => assert!(group.members.is_empty()),
            GroupState::CompletingRebalance | GroupState::Stable => {
                let name = group
                    .protocol_name
                    .as_deref()
                    .expect("a generation has a protocol");
                assert!(group.members.values().all(|m| m.metadata(name).is_some()));
            }
            GroupState::PreparingRebalance | GroupState::Dead => {}
        }
        if group.state == GroupState::Stable {
            // Nobody has what another has.
            let mut parts = HashSet::new();
            for member in group.members.values().filter(|m| !m.assignment.is_empty()) {
                assert!(parts.insert(member.assignment.clone()), "a part has two owners");
            }
        }

        // A generation has one leader: nobody was told another.
        let mut leaders: HashMap<i32, HashSet<Arc<str>>> = HashMap::new();
        for joined in self.sim.joins.values().flatten() {
            if !joined.members.is_empty() && !joined.skip_assignment {
                leaders
                    .entry(joined.generation)
                    .or_default()
                    .insert(Arc::clone(&joined.member_id));
            }
        }
        assert!(
            leaders.values().all(|told| told.len() == 1),
            "two leaders: {leaders:?}"
        );
    }
}

fn delays() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(ms(3_000))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_clients_do_the_group_keeps_its_promises(
        delay in delays(),
        max_members in 1usize..8,
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let sim = Sim::with(CoordinatorSettings {
            initial_rebalance_delay: delay,
            max_members,
            ..CoordinatorSettings::default()
        });
        let mut world = World { sim, ids: Vec::new(), tickets: Vec::new(), generation: 0 };
        for op in &ops {
            world.run(op);
            if world.sim.state() == GroupState::Dead {
                return Ok(());
            }
        }
        // Clients that go on as Kafka's do bring the group to rest.
        for _ in 0..20 {
            if matches!(world.sim.state(), GroupState::Empty | GroupState::Stable | GroupState::Dead) {
                break;
            }
            world.go_on();
            world.sim.pass(ms(2_000));
            world.check();
        }
        prop_assert!(
            matches!(world.sim.state(), GroupState::Empty | GroupState::Stable | GroupState::Dead),
            "{:?}",
            world.sim.group
        );
        // Clients that all fall silent leave nothing behind: no waiting request, no member, no timer.
        world.sim.pass(ms(3_600_000));
        world.check();
        prop_assert!(world.sim.waiting.is_empty());
        prop_assert!(world.sim.group.members.is_empty());
        prop_assert!(
            world.sim.state() == GroupState::Dead || world.sim.group.is_unused(),
            "{:?}",
            world.sim.state()
        );
        prop_assert_eq!(world.sim.group.bytes(), 0);
    }
}
