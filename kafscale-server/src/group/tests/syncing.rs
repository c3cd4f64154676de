//! SyncGroup: the assignment's way from the leader to the members.

use std::collections::HashMap;
use std::sync::Arc;

use super::sim::{Sim, ms, request};
use crate::group::GroupError;
use crate::group::state::GroupState;
use crate::group::sync::SyncRequest;

/// Members `a` (leader) and `b` in generation 1, not synced.
fn completing() -> Sim {
    let mut sim = Sim::new();
    for id in ["a", "b"] {
        let mut join = request("");
        join.new_member_id = Arc::from(id);
        sim.join(join);
    }
    sim.pass(ms(6_000));
    assert_eq!(sim.state(), GroupState::CompletingRebalance);
    sim
}

#[test]
fn the_leaders_assignment_bytes_reach_the_right_members() {
    let mut sim = completing();
    let b = sim.sync("b", 1, &[]);
    assert!(sim.is_waiting(b), "a follower waits for the leader");
    let a = sim.sync(
        "a",
        1,
        &[("b", "\u{0}\u{1}to-b"), ("a", "to-a"), ("gone", "nobody")],
    );
    assert_eq!(sim.assigned(a), Ok("to-a"));
    assert_eq!(sim.assigned(b), Ok("\u{0}\u{1}to-b"));
    assert_eq!(sim.state(), GroupState::Stable);
    let synced = sim.syncs[&b].as_ref().unwrap();
    assert_eq!(synced.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(synced.protocol_name.as_deref(), Some("range"));
}

#[test]
fn a_follower_that_syncs_after_the_leader_gets_its_part_at_once() {
    let mut sim = completing();
    sim.sync("a", 1, &[("a", "to-a"), ("b", "to-b")]);
    let b = sim.sync("b", 1, &[]);
    assert_eq!(sim.assigned(b), Ok("to-b"));
    let again = sim.sync("b", 1, &[]);
    assert_eq!(sim.assigned(again), Ok("to-b"));
}

#[test]
fn a_member_that_the_leader_forgot_gets_an_empty_assignment() {
    let mut sim = completing();
    sim.sync("a", 1, &[("a", "to-a")]);
    let b = sim.sync("b", 1, &[]);
    assert_eq!(sim.assigned(b), Ok(""));
}

#[test]
fn only_the_leader_can_assign() {
    let mut sim = completing();
    let b = sim.sync("b", 1, &[("b", "everything")]);
    assert!(sim.is_waiting(b));
    sim.sync("a", 1, &[("a", "to-a"), ("b", "to-b")]);
    assert_eq!(sim.assigned(b), Ok("to-b"));
}

#[test]
fn stale_generations_and_strangers_are_refused() {
    let mut sim = completing();
    let stale = sim.sync("a", 0, &[]);
    let ahead = sim.sync("a", 2, &[]);
    let stranger = sim.sync("x", 1, &[]);
    assert_eq!(sim.assigned(stale), Err(GroupError::IllegalGeneration));
    assert_eq!(sim.assigned(ahead), Err(GroupError::IllegalGeneration));
    assert_eq!(sim.assigned(stranger), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_member_that_believes_in_another_protocol_is_refused() {
    let mut sim = completing();
    let ask = |kind: &str, name: &str| SyncRequest {
        member_id: Arc::from("b"),
        instance_id: None,
        generation: 1,
        protocol_type: Some(Arc::from(kind)),
        protocol_name: Some(Arc::from(name)),
        assignments: HashMap::new(),
    };
    let other_name = sim.sync_as(ask("consumer", "sticky"));
    let other_type = sim.sync_as(ask("connect", "range"));
    assert_eq!(
        sim.assigned(other_name),
        Err(GroupError::InconsistentGroupProtocol)
    );
    assert_eq!(
        sim.assigned(other_type),
        Err(GroupError::InconsistentGroupProtocol)
    );
    let right = sim.sync_as(ask("consumer", "range"));
    assert!(sim.is_waiting(right));
}

#[test]
fn a_rebalance_sends_waiting_followers_back_to_join() {
    let mut sim = completing();
    let b = sim.sync("b", 1, &[]);
    sim.join(request(""));
    assert_eq!(sim.assigned(b), Err(GroupError::RebalanceInProgress));
    assert_eq!(sim.state(), GroupState::PreparingRebalance);
    let late = sim.sync("a", 1, &[("a", "to-a")]);
    assert_eq!(sim.assigned(late), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_leader_that_dies_before_it_assigns_is_replaced() {
    let mut sim = completing();
    let b = sim.sync("b", 1, &[]);
    // The leader's session ends; the follower waits in SyncGroup and needs no heartbeats.
    sim.pass(ms(10_000));
    assert_eq!(sim.assigned(b), Err(GroupError::RebalanceInProgress));
    let b = sim.join(request("b"));
    let joined = sim.joined(b);
    assert_eq!((joined.generation, &*joined.leader), (2, "b"));
    let b = sim.sync("b", 2, &[("b", "everything")]);
    assert_eq!(sim.assigned(b), Ok("everything"));
}

#[test]
fn a_leader_that_lives_but_never_assigns_is_removed_after_the_rebalance_timeout() {
    let mut sim = completing();
    let b = sim.sync("b", 1, &[]);
    sim.pass_alive(ms(59_999), &["a"]);
    assert!(sim.is_waiting(b));
    sim.pass(ms(1));
    assert_eq!(sim.assigned(b), Err(GroupError::RebalanceInProgress));
    assert_eq!(sim.heartbeat("a", 1), Err(GroupError::UnknownMemberId));
    let b = sim.join(request("b"));
    assert_eq!(&*sim.joined(b).leader, "b");
}

#[test]
fn a_follower_that_never_syncs_is_removed_after_the_rebalance_timeout() {
    let mut sim = completing();
    sim.sync("a", 1, &[("a", "to-a"), ("b", "to-b")]);
    sim.pass_alive(ms(60_000), &["a", "b"]);
    assert_eq!(sim.state(), GroupState::PreparingRebalance);
    assert_eq!(sim.heartbeat("b", 1), Err(GroupError::UnknownMemberId));
    assert_eq!(sim.heartbeat("a", 1), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_second_sync_of_the_same_member_takes_the_place_of_the_first() {
    let mut sim = completing();
    let first = sim.sync("b", 1, &[]);
    let second = sim.sync("b", 1, &[]);
    assert_eq!(sim.assigned(first), Err(GroupError::RebalanceInProgress));
    sim.sync("a", 1, &[("b", "to-b")]);
    assert_eq!(sim.assigned(second), Ok("to-b"));
}
