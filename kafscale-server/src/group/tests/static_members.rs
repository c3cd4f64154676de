//! Static membership, KIP-345 and KIP-814.

use std::sync::Arc;

use super::sim::{Sim, ms, protocols, request};
use crate::group::GroupError;
use crate::group::effects::ReplyTo;
use crate::group::join::JoinRequest;
use crate::group::state::GroupState;

fn instance(instance_id: &str, new_member_id: &str) -> JoinRequest {
    JoinRequest {
        new_member_id: Arc::from(new_member_id),
        instance_id: Some(Arc::from(instance_id)),
        // A static member is never asked to come back with an id.
        requires_member_id: true,
        session_timeout: ms(30_000),
        ..request("")
    }
}

/// Static members `i1` (id `a`, leader) and `i2` (id `b`), stable.
fn stable() -> Sim {
    let mut sim = Sim::hasty();
    sim.join(instance("i1", "a"));
    sim.join(instance("i2", "b"));
    sim.pass(ms(0));
    sim.settle(&["a", "b"]);
    sim
}

fn restart(sim: &mut Sim, instance_id: &str, new_member_id: &str) -> ReplyTo {
    sim.join(instance(instance_id, new_member_id))
}

#[test]
fn a_static_member_that_restarts_keeps_its_assignment_without_a_rebalance() {
    let mut sim = stable();
    let back = restart(&mut sim, "i2", "b2");
    let joined = sim.joined(back);
    assert_eq!(
        (joined.generation, &*joined.member_id, &*joined.leader),
        (1, "b2", "a")
    );
    assert!(joined.members.is_empty() && !joined.skip_assignment);
    assert_eq!(sim.state(), GroupState::Stable);
    let sync = sim.sync("b2", 1, &[]);
    assert_eq!(sim.assigned(sync), Ok("p-b"));
    assert_eq!(sim.heartbeat("a", 1), Ok(()));
}

#[test]
fn a_static_leader_that_restarts_is_told_not_to_assign() {
    let mut sim = stable();
    let back = restart(&mut sim, "i1", "a2");
    let joined = sim.joined(back);
    assert_eq!((joined.generation, &*joined.leader), (1, "a2"));
    assert!(joined.skip_assignment);
    assert_eq!(joined.members.len(), 2);
    let sync = sim.sync("a2", 1, &[]);
    assert_eq!(sim.assigned(sync), Ok("p-a"));
}

#[test]
fn an_older_static_leader_that_restarts_is_not_told_that_it_leads() {
    let mut sim = stable();
    let mut join = instance("i1", "a2");
    join.can_skip_assignment = false;
    let back = sim.join(join);
    let joined = sim.joined(back);
    assert_eq!(&*joined.leader, "a");
    assert!(joined.members.is_empty() && !joined.skip_assignment);
    assert!(sim.group.is_leader("a2"));
}

#[test]
fn the_former_self_of_a_static_member_is_fenced() {
    let mut sim = stable();
    restart(&mut sim, "i2", "b2");
    let fenced = Err(GroupError::FencedInstanceId);
    assert_eq!(sim.heartbeat_as("b", Some("i2"), 1), fenced);
    assert_eq!(sim.leave(&[("b", Some("i2"))]), [fenced]);
    let mut join = instance("i2", "unused");
    join.member_id = Arc::from("b");
    let join = sim.join(join);
    assert_eq!(sim.refused(join), GroupError::FencedInstanceId);
    assert_eq!(sim.heartbeat_as("b2", Some("i2"), 1), Ok(()));
}

#[test]
fn a_restart_ends_the_requests_of_the_former_self() {
    let mut sim = stable();
    let mut join = instance("i1", "unused");
    join.member_id = Arc::from("a");
    let old = sim.join(join);
    assert!(sim.is_waiting(old));
    restart(&mut sim, "i1", "a2");
    assert_eq!(sim.refused(old), GroupError::FencedInstanceId);
    assert_eq!(sim.group.members.len(), 2);
}

#[test]
fn a_restart_between_join_and_sync_starts_over() {
    let mut sim = Sim::hasty();
    sim.join(instance("i1", "a"));
    sim.join(instance("i2", "b"));
    sim.pass(ms(0));
    let waiting = sim.sync("b", 1, &[]);
    let back = restart(&mut sim, "i2", "b2");
    assert_eq!(sim.assigned(waiting), Err(GroupError::FencedInstanceId));
    assert_eq!(sim.state(), GroupState::PreparingRebalance);
    assert!(sim.is_waiting(back));
    let mut join = instance("i1", "unused");
    join.member_id = Arc::from("a");
    sim.join(join);
    assert_eq!(sim.joined(back).generation, 2);
}

#[test]
fn a_restart_with_other_protocols_starts_a_rebalance_if_the_choice_changes() {
    let mut sim = Sim::hasty();
    let mut join = instance("i1", "a");
    join.protocols = protocols(&[("range", ""), ("sticky", "")]);
    sim.join(join.clone());
    sim.pass(ms(0));
    sim.settle(&["a"]);
    join.new_member_id = Arc::from("a2");
    join.protocols = protocols(&[("sticky", ""), ("range", "")]);
    let back = sim.join(join);
    let joined = sim.joined(back);
    assert_eq!(
        (joined.generation, joined.protocol_name.as_deref()),
        (2, Some("sticky"))
    );
}

#[test]
fn a_static_member_outlives_a_rebalance_that_it_misses_until_the_sync_deadline() {
    let mut sim = stable();
    let mut join = instance("i1", "unused");
    join.member_id = Arc::from("a");
    join.session_timeout = ms(1_800_000);
    sim.group
        .update_member("b", join.protocols.clone(), ms(60_000), ms(1_800_000));
    sim.act(|group, now, fx| group.restart_session("b", now, fx));
    let a = sim.join(join);
    sim.pass(ms(60_000));
    assert_eq!(
        sim.joined(a).members.len(),
        2,
        "i2 did not come, and keeps its place"
    );
    let back = restart(&mut sim, "i2", "b2");
    assert!(sim.is_waiting(back));
}

#[test]
fn a_group_of_static_members_of_whom_none_comes_back_empties_with_their_sessions() {
    let mut sim = stable();
    sim.leave(&[("", Some("i1"))]);
    assert_eq!(sim.state(), GroupState::PreparingRebalance);
    sim.pass(ms(29_999));
    assert_eq!(sim.group.members.len(), 1);
    sim.pass(ms(1));
    assert_eq!(sim.state(), GroupState::Empty);
}

#[test]
fn an_administrator_can_remove_a_static_member_by_its_instance_id() {
    let mut sim = stable();
    let outcomes = sim.leave(&[("", Some("i2")), ("", Some("i9")), ("a", Some("i1"))]);
    assert_eq!(outcomes, [Ok(()), Err(GroupError::UnknownMemberId), Ok(())]);
    assert_eq!(sim.state(), GroupState::Empty);
    assert!(sim.group.instances.is_empty());
}

#[test]
fn an_unknown_instance_with_an_id_is_an_unknown_member() {
    let mut sim = stable();
    let mut join = instance("i9", "unused");
    join.member_id = Arc::from("a");
    let join = sim.join(join);
    assert_eq!(sim.refused(join), GroupError::UnknownMemberId);
    assert_eq!(
        sim.heartbeat_as("a", Some("i9"), 1),
        Err(GroupError::UnknownMemberId)
    );
}

#[test]
fn a_full_group_lets_a_static_member_restart() {
    let mut sim = stable();
    sim.group.settings = Arc::new(crate::group::CoordinatorSettings {
        max_members: 2,
        ..crate::group::CoordinatorSettings::default()
    });
    let back = restart(&mut sim, "i2", "b2");
    assert_eq!(sim.joined(back).generation, 1);
    let more = restart(&mut sim, "i3", "c");
    assert_eq!(sim.refused(more), GroupError::GroupMaxSizeReached);
}
