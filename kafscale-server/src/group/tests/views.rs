//! What administrators see, and what is read from consumers' metadata.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::sim::{Sim, request};
use crate::group::state::GroupState;
use crate::group::subscription::Subscription;

#[test]
fn a_stable_group_shows_its_members_with_metadata_and_assignment() {
    let sim = Sim::stable(&["a", "b"]);
    let shown = sim.group.describe();
    assert_eq!(shown.state, GroupState::Stable);
    assert_eq!(
        (&*shown.protocol_type, &*shown.protocol_name),
        ("consumer", "range")
    );
    let b = shown.members.iter().find(|m| &*m.member_id == "b").unwrap();
    assert_eq!((&*b.client_id, &*b.client_host), ("client", "/127.0.0.1"));
    assert_eq!(
        (&*b.metadata, &*b.assignment),
        (b"hello".as_slice(), b"p-b".as_slice())
    );
}

#[test]
fn a_group_in_a_rebalance_shows_no_protocol_and_no_metadata() {
    let mut sim = Sim::stable(&["a", "b"]);
    sim.join(request("a"));
    let shown = sim.group.describe();
    assert_eq!(shown.state.name(), "PreparingRebalance");
    assert_eq!((&*shown.protocol_type, &*shown.protocol_name), ("consumer", ""));
    assert_eq!(shown.members.len(), 2);
    assert!(shown.members.iter().all(|m| m.metadata.is_empty()));
}

fn metadata(version: i16, topics: &[&str], tail: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(version);
    out.put_i32(i32::try_from(topics.len()).unwrap());
    for topic in topics {
        out.put_i16(i16::try_from(topic.len()).unwrap());
        out.put_slice(topic.as_bytes());
    }
    out.put_slice(tail);
    out.freeze()
}

#[test]
fn topics_are_read_from_every_version_of_the_consumers_metadata() {
    let old = metadata(0, &["orders"], b"\xff\xff\xff\xff");
    let new = metadata(
        3,
        &["orders", "users"],
        b"\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff",
    );
    let read = Subscription::read("consumer", [Some(&old), Some(&new)].into_iter());
    assert!(read.contains("orders") && read.contains("users") && !read.contains("other"));
}

#[test]
fn a_consumer_group_whose_metadata_cannot_be_read_may_consume_anything() {
    let good = metadata(0, &["orders"], b"");
    let cut = good.slice(..good.len() - 1);
    let hostile = Bytes::from_static(b"\x00\x00\x7f\xff\xff\xff\x00\x01");
    for bad in [
        cut,
        hostile,
        Bytes::new(),
        Bytes::from_static(b"\xff\xff\x00\x00\x00\x00"),
    ] {
        let read = Subscription::read("consumer", [Some(&good), Some(&bad)].into_iter());
        assert_eq!(read, Subscription::Unknown);
        assert!(read.contains("anything"));
    }
    assert!(!Subscription::read("connect", [Some(&good)].into_iter()).contains("orders"));
}

#[test]
fn a_group_that_was_never_used_needs_no_memory() {
    let mut sim = Sim::new();
    assert!(sim.group.is_unused());
    let mut join = request("");
    join.requires_member_id = true;
    join.new_member_id = Arc::from("id");
    sim.join(join);
    assert!(!sim.group.is_unused());
    assert!(sim.group.bytes() > 0);
}
