//! Answers in every version in which they leave.

use bytes::BytesMut;
use kafka_protocol::protocol::Encodable;

use super::*;
use crate::group::{JoinRefused, JoinedMember, Synced};

fn encoded(response: impl Encodable, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    response.encode(&mut out, version).expect("encodes");
    out.freeze()
}

fn leader() -> Joined {
    Joined {
        member_id: Arc::from("client-1"),
        generation: 7,
        protocol_type: Some(Arc::from("consumer")),
        protocol_name: Some(Arc::from("range")),
        leader: Arc::from("client-1"),
        skip_assignment: false,
        members: vec![JoinedMember {
            member_id: Arc::from("client-1"),
            instance_id: Some(Arc::from("i1")),
            metadata: Bytes::from_static(b"\0\x01meta"),
        }],
    }
}

#[test]
fn a_join_is_answered_in_every_version() {
    for version in 0..=9 {
        let bytes = encoded(join_response(Ok(leader()), version), version);
        assert!(bytes.windows(6).any(|w| w == b"\0\x01meta"), "v{version}");
        assert_eq!(bytes.windows(2).any(|w| w == b"i1"), version >= 5, "v{version}");
        assert_eq!(
            bytes.windows(8).any(|w| w == b"consumer"),
            version >= 7,
            "v{version}"
        );
    }
    let mut skipping = leader();
    skipping.skip_assignment = true;
    assert!(join_response(Ok(skipping), 9).skip_assignment);
}

#[test]
fn a_refused_join_names_the_member_id_and_never_a_null_protocol_that_the_version_cannot_say() {
    for version in 0..=9 {
        let refused = JoinRefused {
            member_id: Arc::from("client-9"),
            error: GroupError::MemberIdRequired,
        };
        let response = join_response(Err(refused), version);
        assert_eq!((response.error_code, response.generation_id), (79, -1));
        assert_eq!(response.protocol_name.is_none(), version >= 7, "v{version}");
        let bytes = encoded(response, version);
        assert!(bytes.windows(8).any(|w| w == b"client-9"), "v{version}");
    }
}

#[test]
fn a_sync_is_answered_in_every_version() {
    for version in 0..=5 {
        let synced = Synced {
            protocol_type: Some(Arc::from("consumer")),
            protocol_name: Some(Arc::from("range")),
            assignment: Bytes::from_static(b"\0\0part"),
        };
        let bytes = encoded(sync_response(Ok(synced), version), version);
        assert!(bytes.windows(6).any(|w| w == b"\0\0part"), "v{version}");
        assert_eq!(
            bytes.windows(5).any(|w| w == b"range"),
            version >= 5,
            "v{version}"
        );
        let refused = sync_response(Err(GroupError::RebalanceInProgress), version);
        assert_eq!(refused.error_code, 27);
        encoded(refused, version);
    }
}

#[test]
fn a_protocol_that_is_named_twice_counts_once() {
    let twice = ["range", "sticky", "range"].map(|name| {
        JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(name))
            .with_metadata(Bytes::from_static(name.as_bytes()))
    });
    let names: Vec<Arc<str>> = protocols(&twice).into_iter().map(|p| p.name).collect();
    assert_eq!(names, [Arc::from("range"), Arc::<str>::from("sticky")]);
}

#[test]
fn timeouts_below_zero_are_no_timeouts() {
    assert_eq!(millis(-1), Duration::ZERO);
    assert_eq!(millis(45_000), Duration::from_secs(45));
}
