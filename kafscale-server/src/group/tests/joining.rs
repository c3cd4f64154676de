//! JoinGroup and the making of generations.

use std::sync::Arc;

use super::sim::{Sim, ms, protocols, request};
use crate::group::GroupError;
use crate::group::settings::CoordinatorSettings;
use crate::group::state::GroupState;

#[test]
fn one_member_waits_for_the_initial_delay_and_then_leads() {
    let mut sim = Sim::new();
    let join = sim.join(request(""));
    sim.pass(ms(2_999));
    assert!(sim.is_waiting(join));
    sim.pass(ms(1));
    let joined = sim.joined(join);
    assert_eq!(joined.generation, 1);
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(sim.state(), GroupState::CompletingRebalance);
}

#[test]
fn two_members_join_one_generation_and_only_the_leader_gets_everybodys_exact_metadata() {
    let mut sim = Sim::new();
    let first = sim.join(request(""));
    let mut other = request("");
    other.protocols = protocols(&[("range", "\u{0}other\u{7f}")]);
    let second = sim.join(other);
    sim.pass(ms(6_000));
    let (first, second) = (sim.joined(first), sim.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.leader, first.member_id);
    assert_eq!(second.leader, first.member_id);
    assert!(second.members.is_empty());
    let mut seen: Vec<(&str, &[u8])> = first
        .members
        .iter()
        .map(|m| (&*m.member_id, &*m.metadata))
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            (&*first.member_id, b"hello".as_slice()),
            (&*second.member_id, b"\0other\x7f")
        ]
    );
}

#[test]
fn new_members_extend_the_initial_delay_up_to_the_rebalance_timeout() {
    let mut sim = Sim::new();
    let mut join = request("");
    join.rebalance_timeout = ms(7_000);
    let first = sim.join(join.clone());
    let start = sim.now;
    while sim.is_waiting(first) {
        sim.pass(ms(1_000));
        join.client_id = Arc::from("again");
        if sim.is_waiting(first) {
            sim.join(join.clone());
        }
        assert!(sim.now - start <= ms(10_000), "the delay never ends");
    }
    // Three seconds, extended by three, then by the one that is left.
    assert_eq!(sim.now - start, ms(7_000));
    assert_eq!(sim.joined(first).members.len(), sim.group.members.len());
}

#[test]
fn without_company_the_initial_delay_is_not_extended() {
    let mut sim = Sim::new();
    let first = sim.join(request(""));
    let second = sim.join(request(""));
    sim.pass(ms(3_000));
    assert!(sim.is_waiting(first), "the second member extends the delay once");
    sim.pass(ms(3_000));
    assert_eq!(sim.joined(first).generation, sim.joined(second).generation);
}

#[test]
fn a_zero_initial_delay_makes_the_generation_at_once() {
    let mut sim = Sim::hasty();
    let join = sim.join(request(""));
    sim.pass(ms(0));
    assert_eq!(sim.joined(join).generation, 1);
}

#[test]
fn a_dynamic_member_without_id_is_given_one_and_joins_with_it() {
    let mut sim = Sim::new();
    let mut join = request("");
    join.requires_member_id = true;
    let first = sim.join(join.clone());
    assert_eq!(sim.refused(first), GroupError::MemberIdRequired);
    assert!(sim.group.members.is_empty());
    let id = sim.joins[&first].as_ref().unwrap_err().member_id.clone();
    assert!(!id.is_empty());
    join.member_id = Arc::clone(&id);
    let second = sim.join(join);
    sim.pass(ms(3_000));
    assert_eq!(sim.joined(second).member_id, id);
}

#[test]
fn an_id_that_is_not_used_within_the_session_timeout_is_forgotten() {
    let mut sim = Sim::new();
    let mut join = request("");
    join.requires_member_id = true;
    let first = sim.join(join.clone());
    let id = sim.joins[&first].as_ref().unwrap_err().member_id.clone();
    sim.pass(ms(10_000));
    assert!(sim.group.is_unused());
    join.member_id = id;
    let second = sim.join(join);
    assert_eq!(sim.refused(second), GroupError::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_an_id_that_was_given_out() {
    let mut sim = Sim::stable(&["a"]);
    let mut join = request("");
    join.requires_member_id = true;
    sim.join(join);
    let again = sim.join(request("a"));
    assert!(sim.is_waiting(again), "the new member may come any moment");
    sim.pass_alive(ms(10_000), &["a"]);
    assert_eq!(sim.joined(again).generation, 2);
}

#[test]
fn an_unknown_member_id_is_refused() {
    let mut sim = Sim::stable(&["a"]);
    let join = sim.join(request("nobody"));
    assert_eq!(sim.refused(join), GroupError::UnknownMemberId);
    assert_eq!(sim.state(), GroupState::Stable);
}

#[test]
fn a_new_member_starts_a_rebalance_that_waits_for_the_old_ones() {
    let mut sim = Sim::stable(&["a", "b"]);
    let new = sim.join(request(""));
    assert_eq!(sim.heartbeat("a", 1), Err(GroupError::RebalanceInProgress));
    assert_eq!(sim.heartbeat("b", 1), Err(GroupError::RebalanceInProgress));
    let a = sim.join(request("a"));
    assert!(sim.is_waiting(new) && sim.is_waiting(a));
    let b = sim.join(request("b"));
    for to in [new, a, b] {
        assert_eq!(sim.joined(to).generation, 2);
        assert_eq!(&*sim.joined(to).leader, "a");
    }
    assert_eq!(sim.joined(a).members.len(), 3);
}

#[test]
fn members_that_do_not_rejoin_within_the_rebalance_timeout_are_left_behind() {
    let mut sim = Sim::stable(&["a", "b"]);
    let new = sim.join(request(""));
    // The leader is the one that does not come, though it sends heartbeats.
    let b = sim.join(request("b"));
    sim.pass_alive(ms(59_999), &["a"]);
    assert!(sim.is_waiting(new));
    sim.pass(ms(1));
    let leader = Arc::clone(&sim.joined(b).leader);
    assert_eq!(leader, sim.joined(new).leader);
    assert_ne!(&*leader, "a");
    assert_eq!(sim.group.members.len(), 2);
    assert_eq!(sim.heartbeat("a", 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_leader_that_joins_again_starts_a_rebalance() {
    let mut sim = Sim::stable(&["a", "b"]);
    let a = sim.join(request("a"));
    assert!(sim.is_waiting(a));
    assert_eq!(sim.state(), GroupState::PreparingRebalance);
    sim.join(request("b"));
    assert_eq!(sim.joined(a).generation, 2);
}

#[test]
fn a_follower_that_joins_again_with_nothing_new_is_told_the_current_generation() {
    let mut sim = Sim::stable(&["a", "b"]);
    let b = sim.join(request("b"));
    assert_eq!(sim.joined(b).generation, 1);
    assert_eq!(&*sim.joined(b).leader, "a");
    assert_eq!(sim.state(), GroupState::Stable);
}

#[test]
fn a_follower_with_new_metadata_starts_a_rebalance_and_the_leader_sees_the_new_bytes() {
    let mut sim = Sim::stable(&["a", "b"]);
    let mut join = request("b");
    join.protocols = protocols(&[("range", "owned=1,2")]);
    let b = sim.join(join);
    assert!(sim.is_waiting(b));
    let a = sim.join(request("a"));
    let members = &sim.joined(a).members;
    let seen = members.iter().find(|m| &*m.member_id == "b").unwrap();
    assert_eq!(&*seen.metadata, b"owned=1,2");
    // As cooperative consumers do: the revoked partitions are gone from the metadata of the next round.
    sim.settle(&["a", "b"]);
    let mut join = request("b");
    join.protocols = protocols(&[("range", "owned=1")]);
    sim.join(join);
    let a = sim.join(request("a"));
    let seen = sim
        .joined(a)
        .members
        .iter()
        .find(|m| &*m.member_id == "b")
        .unwrap();
    assert_eq!(&*seen.metadata, b"owned=1");
    assert_eq!(sim.group.generation, 3);
}

#[test]
fn a_member_whose_answer_got_lost_gets_the_same_generation_again() {
    let mut sim = Sim::hasty();
    let mut join = request("");
    join.new_member_id = Arc::from("a");
    sim.join(join);
    sim.pass(ms(0));
    let again = sim.join(request("a"));
    assert_eq!(sim.joined(again).generation, 1);
    assert_eq!(sim.joined(again).members.len(), 1);
    assert_eq!(sim.state(), GroupState::CompletingRebalance);
}

#[test]
fn the_protocol_with_most_votes_among_those_that_all_support_wins() {
    let mut sim = Sim::new();
    let ask = |list: &[(&str, &str)]| {
        let mut join = request("");
        join.protocols = protocols(list);
        join
    };
    let first = sim.join(ask(&[("only-mine", "1"), ("range", "1"), ("sticky", "1s")]));
    sim.join(ask(&[("sticky", "2s"), ("range", "2")]));
    sim.join(ask(&[("sticky", "3s"), ("range", "3")]));
    sim.pass(ms(10_000));
    let joined = sim.joined(first);
    assert_eq!(joined.protocol_name.as_deref(), Some("sticky"));
    let mut said: Vec<&[u8]> = joined.members.iter().map(|m| &*m.metadata).collect();
    said.sort();
    assert_eq!(said, [b"1s", b"2s", b"3s"]);
}

#[test]
fn a_member_that_shares_no_protocol_or_type_is_refused() {
    let mut sim = Sim::stable(&["a"]);
    let mut join = request("");
    join.protocols = protocols(&[("roundrobin", "")]);
    let other_protocol = sim.join(join);
    let mut join = request("");
    join.protocol_type = Arc::from("connect");
    let other_type = sim.join(join);
    assert_eq!(sim.refused(other_protocol), GroupError::InconsistentGroupProtocol);
    assert_eq!(sim.refused(other_type), GroupError::InconsistentGroupProtocol);
    assert_eq!(sim.state(), GroupState::Stable);
}

#[test]
fn a_first_member_without_protocols_or_type_is_refused() {
    let mut sim = Sim::new();
    let mut join = request("");
    join.protocols.clear();
    let without_protocols = sim.join(join);
    let mut join = request("");
    join.protocol_type = Arc::from("");
    let without_type = sim.join(join);
    assert_eq!(
        sim.refused(without_protocols),
        GroupError::InconsistentGroupProtocol
    );
    assert_eq!(sim.refused(without_type), GroupError::InconsistentGroupProtocol);
    assert!(sim.group.is_unused());
}

#[test]
fn an_empty_group_can_change_its_protocol_type() {
    let mut sim = Sim::stable(&["a"]);
    sim.leave(&[("a", None)]);
    assert_eq!(sim.state(), GroupState::Empty);
    let mut join = request("");
    join.protocol_type = Arc::from("connect");
    let join = sim.join(join);
    sim.pass(ms(3_000));
    assert_eq!(sim.joined(join).protocol_type.as_deref(), Some("connect"));
    assert_eq!(sim.joined(join).generation, 3);
}

#[test]
fn a_full_group_refuses_new_members_and_keeps_the_old_ones() {
    let settings = CoordinatorSettings {
        max_members: 2,
        ..CoordinatorSettings::default()
    };
    let mut sim = Sim::with(settings);
    let first = sim.join(request(""));
    sim.join(request(""));
    let third = sim.join(request(""));
    assert_eq!(sim.refused(third), GroupError::GroupMaxSizeReached);
    sim.pass(ms(6_000));
    assert_eq!(sim.joined(first).members.len(), 2);
    let fourth = sim.join(request(""));
    assert_eq!(sim.refused(fourth), GroupError::GroupMaxSizeReached);
    let first = Arc::clone(&sim.joined(first).member_id);
    let again = sim.join(request(&first));
    assert_eq!(sim.joined(again).generation, 1);
}

#[test]
fn a_second_join_of_the_same_member_takes_the_place_of_the_first() {
    let mut sim = Sim::stable(&["a", "b"]);
    let first = sim.join(request("a"));
    let second = sim.join(request("a"));
    assert_eq!(sim.refused(first), GroupError::RebalanceInProgress);
    assert!(sim.is_waiting(second));
    sim.join(request("b"));
    assert_eq!(sim.joined(second).generation, 2);
}

#[test]
fn a_new_member_is_not_kept_waiting_beyond_five_minutes() {
    let mut sim = Sim::stable(&["a"]);
    let mut slow = request("a");
    slow.rebalance_timeout = ms(3_600_000);
    sim.group
        .update_member("a", slow.protocols, slow.rebalance_timeout, slow.session_timeout);
    let new = sim.join(request(""));
    sim.pass_alive(ms(299_999), &["a"]);
    assert!(sim.is_waiting(new));
    sim.pass_alive(ms(1), &["a"]);
    assert_eq!(sim.refused(new), GroupError::UnknownMemberId);
}
