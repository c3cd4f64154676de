//! Heartbeats, departures, silence, lost connections, commits.

use std::sync::Arc;

use super::sim::{Sim, ms, request};
use crate::group::GroupError;
use crate::group::state::GroupState;

#[test]
fn heartbeats_keep_a_member_and_silence_removes_it() {
    let mut sim = Sim::stable(&["a", "b"]);
    sim.pass_alive(ms(60_000), &["a", "b"]);
    assert_eq!(sim.state(), GroupState::Stable);
    // The last heartbeat was three seconds ago.
    sim.pass_alive(ms(6_999), &["a"]);
    assert_eq!(sim.state(), GroupState::Stable);
    sim.pass_alive(ms(1), &["a"]);
    assert_eq!(sim.state(), GroupState::PreparingRebalance);
    assert_eq!(sim.heartbeat("b", 1), Err(GroupError::UnknownMemberId));
    let a = sim.join(request("a"));
    assert_eq!(sim.joined(a).generation, 2);
    assert_eq!(sim.joined(a).members.len(), 1);
}

#[test]
fn a_heartbeat_tells_strangers_and_stale_members_what_is_wrong() {
    let mut sim = Sim::stable(&["a"]);
    assert_eq!(sim.heartbeat("a", 1), Ok(()));
    assert_eq!(sim.heartbeat("a", 0), Err(GroupError::IllegalGeneration));
    assert_eq!(sim.heartbeat("a", 2), Err(GroupError::IllegalGeneration));
    assert_eq!(sim.heartbeat("x", 1), Err(GroupError::UnknownMemberId));
    assert_eq!(sim.heartbeat("", 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_heartbeat_between_join_and_sync_is_fine() {
    let mut sim = Sim::hasty();
    let mut join = request("");
    join.new_member_id = Arc::from("a");
    sim.join(join);
    sim.pass(ms(0));
    assert_eq!(sim.state(), GroupState::CompletingRebalance);
    assert_eq!(sim.heartbeat("a", 1), Ok(()));
}

#[test]
fn a_member_that_leaves_starts_a_rebalance_and_the_last_one_empties_the_group() {
    let mut sim = Sim::stable(&["a", "b"]);
    assert_eq!(sim.leave(&[("a", None)]), [Ok(())]);
    assert_eq!(sim.heartbeat("b", 1), Err(GroupError::RebalanceInProgress));
    let b = sim.join(request("b"));
    assert_eq!(&*sim.joined(b).leader, "b");
    sim.settle(&["b"]);
    assert_eq!(sim.leave(&[("b", None)]), [Ok(())]);
    assert_eq!(sim.state(), GroupState::Empty);
    assert_eq!(sim.group.generation, 3);
    assert_eq!(sim.group.bytes(), 0);
}

#[test]
fn a_batch_of_departures_has_an_outcome_for_each_and_one_rebalance() {
    let mut sim = Sim::stable(&["a", "b", "c"]);
    let outcomes = sim.leave(&[
        ("a", None),
        ("x", None),
        ("b", None),
        ("", None),
        ("c", Some("no-instance")),
    ]);
    let unknown = Err(GroupError::UnknownMemberId);
    assert_eq!(outcomes, [Ok(()), unknown, Ok(()), unknown, unknown]);
    let c = sim.join(request("c"));
    assert_eq!(sim.joined(c).generation, 2);
}

#[test]
fn a_departure_can_end_the_join_phase() {
    let mut sim = Sim::stable(&["a", "b"]);
    let a = sim.join(request("a"));
    assert!(sim.is_waiting(a));
    sim.leave(&[("b", None)]);
    assert_eq!(sim.joined(a).generation, 2);
}

#[test]
fn a_member_that_leaves_while_its_own_requests_wait_gets_answers_to_them() {
    let mut sim = Sim::stable(&["a", "b"]);
    let a = sim.join(request("a"));
    sim.leave(&[("a", None)]);
    assert_eq!(sim.refused(a), GroupError::UnknownMemberId);
    let b = sim.join(request("b"));
    assert_eq!(sim.joined(b).generation, 2);
    sim.settle(&["b"]);
    sim.join(request(""));
    sim.join(request("b"));
    let follower = sim
        .group
        .members
        .keys()
        .find(|id| &***id != "b")
        .cloned()
        .unwrap();
    let sync = sim.sync(&follower, 3, &[]);
    assert!(sim.is_waiting(sync));
    sim.leave(&[(&follower, None)]);
    assert_eq!(sim.assigned(sync), Err(GroupError::UnknownMemberId));
}

#[test]
fn an_id_that_was_given_out_can_be_returned() {
    let mut sim = Sim::stable(&["a"]);
    let mut join = request("");
    join.requires_member_id = true;
    let given = sim.join(join);
    let id = sim.joins[&given].as_ref().unwrap_err().member_id.clone();
    let a = sim.join(request("a"));
    assert!(sim.is_waiting(a));
    assert_eq!(sim.leave(&[(&id, None)]), [Ok(())]);
    assert_eq!(sim.joined(a).generation, 2);
}

#[test]
fn a_member_whose_connection_is_lost_while_joining_may_come_back_with_its_id() {
    let mut sim = Sim::stable(&["a", "b"]);
    let lost = sim.join(request("a"));
    sim.abandon(lost);
    let b = sim.join(request("b"));
    assert!(sim.is_waiting(b), "the group waits for the lost member");
    sim.pass(ms(9_999));
    assert!(sim.is_waiting(b));
    let a = sim.join(request("a"));
    assert_eq!(sim.joined(a).generation, 2);
    assert_eq!(sim.joined(b).generation, 2);
}

#[test]
fn a_member_whose_connection_is_lost_and_that_does_not_come_back_is_removed_with_its_session() {
    let mut sim = Sim::stable(&["a", "b"]);
    let lost = sim.join(request("a"));
    sim.abandon(lost);
    let b = sim.join(request("b"));
    sim.pass(ms(10_000));
    assert_eq!(sim.joined(b).members.len(), 1);
}

#[test]
fn a_new_member_that_never_learned_its_id_is_not_waited_for_when_its_connection_is_lost() {
    let mut sim = Sim::stable(&["a"]);
    let phantom = sim.join(request(""));
    let a = sim.join(request("a"));
    assert_eq!(sim.joined(a).members.len(), 2);
    sim.settle(&["a"]);
    assert!(sim.joins.contains_key(&phantom));
    let phantom = sim.join(request(""));
    sim.abandon(phantom);
    assert_eq!(sim.group.members.len(), 2);
}

#[test]
fn a_member_whose_connection_is_lost_while_syncing_has_its_session_to_come_back() {
    let mut sim = Sim::hasty();
    for id in ["a", "b"] {
        let mut join = request("");
        join.new_member_id = Arc::from(id);
        sim.join(join);
    }
    sim.pass(ms(0));
    let lost = sim.sync("b", 1, &[]);
    sim.abandon(lost);
    sim.sync("a", 1, &[("a", "to-a"), ("b", "to-b")]);
    sim.pass_alive(ms(9_000), &["a"]);
    let b = sim.sync("b", 1, &[]);
    assert_eq!(sim.assigned(b), Ok("to-b"));
    sim.pass_alive(ms(12_000), &["a"]);
    assert_eq!(sim.heartbeat("b", 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn commits_follow_the_generation() {
    let mut sim = Sim::stable(&["a", "b"]);
    assert_eq!(sim.commit("a", 1), Ok(()));
    assert_eq!(sim.commit("a", 0), Err(GroupError::IllegalGeneration));
    assert_eq!(sim.commit("x", 1), Err(GroupError::UnknownMemberId));
    assert_eq!(
        sim.commit("", -1),
        Err(GroupError::UnknownMemberId),
        "the group has members"
    );
    sim.join(request("a"));
    assert_eq!(
        sim.commit("b", 1),
        Ok(()),
        "while the members come together again"
    );
    sim.join(request("b"));
    assert_eq!(sim.commit("b", 1), Err(GroupError::IllegalGeneration));
    assert_eq!(
        sim.commit("b", 2),
        Err(GroupError::RebalanceInProgress),
        "between join and sync"
    );
    sim.settle(&["a", "b"]);
    assert_eq!(sim.commit("b", 2), Ok(()));
    sim.leave(&[("a", None), ("b", None)]);
    assert_eq!(
        sim.commit("", -1),
        Ok(()),
        "anybody may when there are no members"
    );
    assert_eq!(sim.commit("b", 2), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_commit_counts_as_a_heartbeat() {
    let mut sim = Sim::stable(&["a"]);
    for _ in 0..5 {
        sim.pass(ms(9_000));
        assert_eq!(sim.commit("a", 1), Ok(()));
    }
    assert_eq!(sim.state(), GroupState::Stable);
}

#[test]
fn an_empty_group_is_forgotten_after_a_while_and_nothing_wakes_it_then() {
    let mut sim = Sim::stable(&["a"]);
    sim.leave(&[("a", None)]);
    sim.pass(ms(599_999));
    assert_eq!(sim.state(), GroupState::Empty);
    sim.pass(ms(1));
    assert_eq!(sim.state(), GroupState::Dead);
    assert_eq!(sim.group.next_deadline(), None);
    let join = sim.join(request(""));
    assert_eq!(sim.refused(join), GroupError::CoordinatorNotAvailable);
}

#[test]
fn only_a_group_without_members_can_be_deleted() {
    let mut sim = Sim::stable(&["a"]);
    assert_eq!(sim.group.delete(), Err(GroupError::NonEmptyGroup));
    sim.leave(&[("a", None)]);
    assert_eq!(sim.group.delete(), Ok(()));
    assert_eq!(sim.group.delete(), Err(GroupError::GroupIdNotFound));
}
