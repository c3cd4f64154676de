#![allow(clippy::unwrap_used, clippy::expect_used)]

use kafka_protocol::messages::fetch_response as codec;
use kafka_protocol::messages::{self, TopicName};
use proptest::prelude::*;

use super::*;
use crate::response;

fn header(api_version: i16) -> RequestHeader {
    RequestHeader {
        api_key: 1,
        api_version,
        correlation_id: 99,
        client_id: None,
    }
}

/// The same response as the codec's message, with the records of a partition in one piece.
fn as_message(response: &FetchResponse, version: i16) -> messages::FetchResponse {
    let partition = |ours: &FetchablePartition| {
        let mut theirs = codec::PartitionData::default()
            .with_partition_index(ours.partition)
            .with_error_code(ours.error.code())
            .with_high_watermark(ours.high_watermark)
            .with_last_stable_offset(ours.last_stable_offset)
            .with_log_start_offset(ours.log_start_offset)
            .with_preferred_read_replica(ours.preferred_read_replica.into())
            .with_aborted_transactions(ours.aborted_transactions.as_ref().map(|aborted| {
                let transaction = |ours: &AbortedTransaction| {
                    codec::AbortedTransaction::default()
                        .with_producer_id(ours.producer_id.into())
                        .with_first_offset(ours.first_offset)
                };
                aborted.iter().map(transaction).collect()
            }))
            .with_records(Some(Bytes::from(ours.records.concat())));
        if let Some(ours) = ours.diverging_epoch {
            theirs.diverging_epoch = codec::EpochEndOffset::default()
                .with_epoch(ours.epoch)
                .with_end_offset(ours.end_offset);
        }
        if let Some(ours) = ours.current_leader {
            theirs.current_leader = codec::LeaderIdAndEpoch::default()
                .with_leader_id(ours.leader_id.into())
                .with_leader_epoch(ours.leader_epoch);
        }
        theirs
    };
    let topic = |ours: &FetchableTopic| {
        codec::FetchableTopicResponse::default()
            .with_topic(TopicName(if version <= 12 {
                ours.name.clone()
            } else {
                StrBytes::default()
            }))
            .with_topic_id(ours.topic_id)
            .with_partitions(ours.partitions.iter().map(partition).collect())
    };
    let endpoint = |ours: &NodeEndpoint| {
        codec::NodeEndpoint::default()
            .with_node_id(ours.node_id.into())
            .with_host(ours.host.clone())
            .with_port(ours.port)
            .with_rack(ours.rack.clone())
    };
    messages::FetchResponse::default()
        .with_throttle_time_ms(response.throttle_time_ms)
        .with_error_code(response.error.code())
        .with_session_id(response.session_id)
        .with_responses(response.topics.iter().map(topic).collect())
        .with_node_endpoints(response.node_endpoints.iter().map(endpoint).collect())
}

fn codec_bytes(response: &FetchResponse, version: i16) -> Vec<u8> {
    let message = as_message(response, version);
    response::encode(&header(version), &message).unwrap().concat()
}

/// What the version has: the codec refuses some fields in versions without them, as we do.
fn reduced(mut response: FetchResponse, version: i16) -> FetchResponse {
    if version < 7 {
        response.session_id = 0;
    }
    if version < 11 {
        for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.preferred_read_replica = -1;
        }
    }
    if version < NODE_ENDPOINTS {
        response.node_endpoints.clear();
    }
    response
}

fn errors() -> impl Strategy<Value = ErrorCode> {
    (0..ErrorCode::ALL.len()).prop_map(|index| ErrorCode::ALL[index])
}

fn names() -> impl Strategy<Value = StrBytes> {
    "[a-z]{0,200}".prop_map(StrBytes::from_string)
}

fn partitions() -> impl Strategy<Value = FetchablePartition> {
    let numbers = (
        any::<i32>(),
        errors(),
        any::<i64>(),
        any::<i64>(),
        any::<i64>(),
        any::<i32>(),
    );
    let aborted = prop::option::of(prop::collection::vec(any::<(i64, i64)>(), 0..3));
    let records = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4);
    let epochs = prop::option::of((0..i32::MAX, any::<i64>()));
    let leader = prop::option::of((0..i32::MAX, any::<i32>()));
    (numbers, aborted, records, epochs, leader).prop_map(|(numbers, aborted, records, epochs, leader)| {
        let transaction = |(producer_id, first_offset)| AbortedTransaction {
            producer_id,
            first_offset,
        };
        FetchablePartition {
            partition: numbers.0,
            error: numbers.1,
            high_watermark: numbers.2,
            last_stable_offset: numbers.3,
            log_start_offset: numbers.4,
            preferred_read_replica: numbers.5,
            aborted_transactions: aborted.map(|aborted| aborted.into_iter().map(transaction).collect()),
            records: records.into_iter().map(Bytes::from).collect(),
            diverging_epoch: epochs.map(|(epoch, end_offset)| EpochEndOffset { epoch, end_offset }),
            current_leader: leader.map(|(leader_id, leader_epoch)| LeaderIdAndEpoch {
                leader_id,
                leader_epoch,
            }),
        }
    })
}

fn responses() -> impl Strategy<Value = FetchResponse> {
    let topic = (
        names(),
        any::<u128>().prop_map(Uuid::from_u128),
        prop::collection::vec(partitions(), 0..4),
    )
        .prop_map(|(name, topic_id, partitions)| FetchableTopic {
            name,
            topic_id,
            partitions,
        });
    let endpoint = (any::<i32>(), names(), any::<i32>(), prop::option::of(names())).prop_map(
        |(node_id, host, port, rack)| NodeEndpoint {
            node_id,
            host,
            port,
            rack,
        },
    );
    let topics = prop::collection::vec(topic, 0..4);
    let endpoints = prop::collection::vec(endpoint, 0..3);
    (any::<i32>(), errors(), any::<i32>(), topics, endpoints).prop_map(
        |(throttle_time_ms, error, session_id, topics, node_endpoints)| FetchResponse {
            throttle_time_ms,
            error,
            session_id,
            topics,
            node_endpoints,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_version_is_byte_for_byte_what_the_codec_writes(response in responses()) {
        for version in 4..=18 {
            let response = reduced(response.clone(), version);
            let ours = encode(&header(version), &response).unwrap().concat();
            prop_assert_eq!(&ours, &codec_bytes(&response, version), "version {}", version);
            let header_size = if version >= FLEXIBLE { 9 } else { 8 };
            prop_assert_eq!(&encode_body(version, &response).unwrap().concat(), &ours[header_size..]);
        }
    }
}

fn with_partition(partition: FetchablePartition) -> FetchResponse {
    let topic = FetchableTopic {
        partitions: vec![partition],
        ..FetchableTopic::default()
    };
    FetchResponse {
        topics: vec![topic],
        ..FetchResponse::default()
    }
}

#[test]
fn records_are_the_slices_of_the_caller() {
    let records = vec![Bytes::from(vec![1; 500]), Bytes::new(), Bytes::from(vec![2; 700])];
    let response = with_partition(FetchablePartition {
        records: records.clone(),
        ..Default::default()
    });
    for version in 4..=18 {
        let chunks = encode(&header(version), &response).unwrap();
        for slice in records.iter().filter(|slice| !slice.is_empty()) {
            let same = |chunk: &&Bytes| chunk.as_ptr() == slice.as_ptr() && chunk.len() == slice.len();
            assert_eq!(chunks.iter().filter(same).count(), 1, "version {version}");
        }
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        assert!(chunks.len() <= 4);
    }
}

#[test]
fn no_records_have_length_0_and_are_never_null() {
    let response = with_partition(FetchablePartition::default());
    // Before version 12 the body ends with the length of the records; then with it and three ends of structs.
    let old = encode_body(11, &response).unwrap().concat();
    assert!(old.ends_with(&[0, 0, 0, 0]));
    let new = encode_body(12, &response).unwrap().concat();
    assert!(new.ends_with(&[1, 0, 0, 0]));
}

#[test]
fn what_a_version_cannot_say_is_an_error() {
    let session = FetchResponse {
        session_id: 5,
        ..FetchResponse::default()
    };
    assert!(matches!(
        encode(&header(6), &session),
        Err(EncodeError::Codec { version: 6, .. })
    ));
    assert!(encode(&header(7), &session).is_ok());
    let replica = with_partition(FetchablePartition {
        preferred_read_replica: 3,
        ..Default::default()
    });
    assert!(encode(&header(10), &replica).is_err());
    assert!(encode(&header(11), &replica).is_ok());
    for version in [3, 19] {
        let error = encode(&header(version), &FetchResponse::default()).unwrap_err();
        assert_eq!(error, EncodeError::UnsupportedVersion(version));
    }
    let topic = FetchableTopic {
        name: StrBytes::from_string("t".repeat(40_000)),
        ..FetchableTopic::default()
    };
    let long = FetchResponse {
        topics: vec![topic],
        ..FetchResponse::default()
    };
    assert!(encode(&header(11), &long).is_err());
}
