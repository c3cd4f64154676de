#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Encodable;
use proptest::prelude::*;

use super::schema::{Element, Field, Kind, Shape};
use super::*;
use crate::request::RequestBody;
use crate::versions::{SERVED, served};

mod generate;

fn limits() -> Limits {
    Limits::default()
}

fn encoded<M: Encodable>(message: &M, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version).unwrap();
    bytes
}

fn check(key: ApiKey, version: i16, body: &[u8]) -> Result<(), GuardError> {
    check_request(key as i16, version, body, &limits())
}

#[test]
fn every_served_api_has_exactly_one_table_and_no_other_has_one() {
    let mut keys: Vec<i16> = SCHEMAS
        .iter()
        .copied()
        .flatten()
        .map(|schema| schema.key as i16)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, SERVED.iter().map(|api| api.key as i16).collect::<Vec<_>>());
}

#[test]
fn tables_and_codec_agree_which_versions_are_flexible() {
    for schema in SCHEMAS.iter().copied().flatten() {
        let api = served(schema.key as i16).unwrap();
        for version in api.min..=api.max {
            assert_eq!(
                version >= schema.flexible,
                api.is_flexible(version),
                "{:?} {version}",
                schema.key
            );
        }
    }
}

#[test]
fn versions_and_apis_outside_our_table_are_refused() {
    for (key, version) in [(0, 2), (0, 14), (8, 10), (18, 5), (4, 0), (-1, 0), (0, -1)] {
        let error = check_request(key, version, &[0; 64], &limits()).unwrap_err();
        assert_eq!(
            error.reason,
            Reason::NotServed {
                api_key: key,
                version
            }
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A body made from the table alone is decoded to its last byte and encoded to the same bytes again, which a
    /// table that differs from the codec in any field could not give.
    #[test]
    fn the_tables_are_the_codecs_own_layout(seed: u64) {
        for api in SERVED {
            for version in api.min..=api.max {
                let body = generate::body(schema_of(api.key as i16).unwrap(), version, seed);
                prop_assert_eq!(check(api.key, version, &body), Ok(()), "{:?} {}", api.key, version);
                let mut left = Bytes::from(body.clone());
                let decoded = RequestBody::decode(api.key, version, &mut left).unwrap();
                let decoded = decoded.map_err(|error| TestCaseError::fail(format!("{:?} {version}: {error}", api.key)))?;
                prop_assert!(left.is_empty(), "{:?} {}", api.key, version);
                prop_assert_eq!(decoded.encode(version).unwrap(), body, "{:?} {}", api.key, version);
            }
        }
    }

    /// Nor does a valid body that was cut off pass: the tables ask for every byte that the codec asks for.
    #[test]
    fn a_body_without_its_end_is_refused(seed: u64, cut in 1usize..40) {
        for api in SERVED {
            for version in api.min..=api.max {
                let body = generate::body(schema_of(api.key as i16).unwrap(), version, seed);
                let Some(cut) = body.len().checked_sub(cut) else { continue };
                prop_assert!(check(api.key, version, &body[..cut]).is_err(), "{:?} {}", api.key, version);
            }
        }
    }

    #[test]
    fn mutated_bodies_are_refused_or_decode_without_a_panic(seed: u64, damage in any::<[(u16, u8); 3]>()) {
        for api in SERVED {
            for version in api.min..=api.max {
                let mut body = generate::body(schema_of(api.key as i16).unwrap(), version, seed);
                if body.is_empty() {
                    continue;
                }
                for (position, value) in damage {
                    let position = usize::from(position) % body.len();
                    body[position] = value;
                }
                if check(api.key, version, &body).is_ok() {
                    let mut left = Bytes::from(body);
                    let decoded = catch_unwind(AssertUnwindSafe(|| {
                        let _: Option<_> = RequestBody::decode(api.key, version, &mut left);
                    }));
                    prop_assert!(decoded.is_ok(), "{:?} {}", api.key, version);
                }
            }
        }
    }

    #[test]
    fn random_bytes_are_refused_or_decode_without_a_panic(body: Vec<u8>) {
        for api in SERVED {
            for version in api.min..=api.max {
                if check(api.key, version, &body).is_ok() {
                    let mut left = Bytes::from(body.clone());
                    let decoded = catch_unwind(AssertUnwindSafe(|| {
                        let _: Option<_> = RequestBody::decode(api.key, version, &mut left);
                    }));
                    prop_assert!(decoded.is_ok(), "{:?} {}", api.key, version);
                }
            }
        }
    }
}

#[test]
fn five_hostile_bytes_do_not_reach_the_allocator() {
    let error = check(ApiKey::Metadata, 0, &[0x7f, 0xff, 0xff, 0xff, 0]).unwrap_err();
    let reason = Reason::TooManyElements {
        count: i32::MAX as usize,
        left: 1,
    };
    assert_eq!(
        error,
        GuardError {
            path: "topics".into(),
            position: 4,
            reason
        }
    );
    let error = check(ApiKey::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
    let reason = Reason::TooManyElements {
        count: u32::MAX as usize - 1,
        left: 0,
    };
    assert_eq!(
        error,
        GuardError {
            path: "topics".into(),
            position: 5,
            reason
        }
    );
}

#[test]
fn an_error_names_the_field_and_its_element() {
    let partitions = |count: i32| [&1i32.to_be_bytes()[..], &[0, 1, b't'], &count.to_be_bytes()].concat();
    let body = [&[0xff, 0xff][..], &[0, 1], &[0, 0, 0, 9], &partitions(7)].concat();
    let error = check(ApiKey::Produce, 3, &body).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic_data[0].partition_data at byte 19: claims 7 elements, 0 bytes are left"
    );

    let body = [
        &[0xff, 0xff][..],
        &[0, 1],
        &[0, 0, 0, 9],
        &partitions(1),
        &[0, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xfe],
    ]
    .concat();
    let error = check(ApiKey::Produce, 3, &body).unwrap_err();
    assert_eq!(error.path, "topic_data[0].partition_data[0].records");
    assert_eq!(error.reason, Reason::NegativeLength(-2));
}

#[test]
fn varints_beyond_32_bits_are_refused() {
    for body in [
        &[0xff, 0xff, 0xff, 0xff, 0x1f][..],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ] {
        assert_eq!(
            check(ApiKey::Metadata, 9, body).unwrap_err().reason,
            Reason::VarintTooLong
        );
    }
}

#[test]
fn null_stands_only_where_the_protocol_allows_it() {
    let all_topics = MetadataRequest::default().with_topics(None);
    assert_eq!(
        check(ApiKey::Metadata, 0, &encoded(&all_topics, 1))
            .unwrap_err()
            .reason,
        Reason::NotNullable
    );
    for version in 1..=13 {
        assert_eq!(
            check(ApiKey::Metadata, version, &encoded(&all_topics, version)),
            Ok(())
        );
    }
    let all_offsets = OffsetFetchRequest::default().with_topics(None);
    assert!(check(ApiKey::OffsetFetch, 1, &encoded(&all_offsets, 2)).is_err());
    for version in 2..=7 {
        assert_eq!(
            check(ApiKey::OffsetFetch, version, &encoded(&all_offsets, version)),
            Ok(())
        );
    }
    let produce = ProduceRequest::default().with_transactional_id(None);
    for version in 3..=13 {
        assert_eq!(
            check(ApiKey::Produce, version, &encoded(&produce, version)),
            Ok(())
        );
    }
    // A group id is never null.
    let body = [0xff, 0xff, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        check(ApiKey::Heartbeat, 0, &body).unwrap_err().reason,
        Reason::NotNullable
    );
}

#[test]
fn a_known_tagged_field_must_fill_the_size_that_it_claims() {
    let request = FetchRequest::default().with_cluster_id(Some("c1".into()));
    let body = encoded(&request, 12);
    assert_eq!(check(ApiKey::Fetch, 12, &body), Ok(()));
    // The last five bytes: tag 0, size 3, length 2 + 1, "c1".
    let mut longer = body.clone();
    let size = longer.len() - 4;
    assert_eq!(longer[size], 3);
    longer[size] = 4;
    let error = check(ApiKey::Fetch, 12, &longer).unwrap_err();
    assert_eq!(
        error.reason,
        Reason::TagSize {
            tag: 0,
            claimed: 4,
            content: 3
        }
    );
    assert_eq!(error.path, "cluster_id");
}

#[test]
fn bytes_after_the_last_field_are_tolerated() {
    let body = [encoded(&ListGroupsRequest::default(), 4), vec![1, 2, 3]].concat();
    assert_eq!(check(ApiKey::ListGroups, 4, &body), Ok(()));
}

/// A compact array of `element` as often as one mebibyte holds it, then the rest of the request.
fn mebibyte_of(element: &[u8], rest: &[u8]) -> Vec<u8> {
    let count = (1 << 20) / element.len();
    let mut body = Vec::new();
    let mut left = count as u32 + 1;
    while left >= 0x80 {
        body.push(left as u8 | 0x80);
        left >>= 7;
    }
    body.push(left as u8);
    body.extend(element.repeat(count));
    body.extend(rest);
    body
}

#[test]
fn the_budget_admits_the_hungriest_honest_requests_and_refuses_worse() {
    // One letter for each group, with null for all its topics; for each member; for each topic.
    let groups = mebibyte_of(&[2, b'g', 0, 0], &[0, 0]);
    assert_eq!(check(ApiKey::OffsetFetch, 8, &groups), Ok(()));
    let members = mebibyte_of(&[2, b'm', 0, 0], &[0]);
    assert_eq!(
        check(ApiKey::LeaveGroup, 4, &[&[2, b'g'][..], &members].concat()),
        Ok(())
    );
    let topics = mebibyte_of(&[2, b't', 0], &[0, 0, 0, 0]);
    assert_eq!(check(ApiKey::Metadata, 9, &topics), Ok(()));
    // Nameless topics are worth no such memory.
    let nameless = mebibyte_of(&[1, 0], &[0, 0, 0, 0]);
    let error = check(ApiKey::Metadata, 9, &nameless).unwrap_err();
    assert!(matches!(error.reason, Reason::OverBudget { .. }), "{error}");
}

#[test]
fn unknown_tagged_fields_count_against_the_budget() {
    // A ListGroups body: no filter, then tagged fields of two bytes, each of which becomes an entry of a map.
    let tags = |count: u8| [vec![1, count], (0..count).flat_map(|tag| [tag, 0]).collect()].concat();
    assert_eq!(check(ApiKey::ListGroups, 4, &tags(20)), Ok(()));
    let many: Vec<u8> = [
        vec![1, 0xff, 0x7f],
        (0..0x3fffu32).flat_map(|tag| [tag as u8 & 0x7f, 0]).collect(),
    ]
    .concat();
    assert!(matches!(
        check(ApiKey::ListGroups, 4, &many).unwrap_err().reason,
        Reason::OverBudget { .. }
    ));
}

#[test]
fn the_budget_never_exceeds_the_setting() {
    let limits = Limits {
        max_decoded: 10_000,
        ..Limits::default()
    };
    assert_eq!(budget(1, &limits), 4096 + 32);
    assert_eq!(budget(100 << 20, &limits), 10_000);
    assert_eq!(budget(usize::MAX, &limits), 10_000);
}
