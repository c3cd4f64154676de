//! Consumer groups over the wire: every API in every version, pipelining, a stop, a restart.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use kafscale_core::store::StoreLocation;
use kafscale_server::Server;
use kafscale_server::config::ServerConfig;
use kafscale_wire::ErrorCode;
use kafscale_wire::client::Client;
use kafscale_wire::versions::served;

use crate::start::{ask, broker, broker_with, broker_with_topic, client, text, topic};

fn versions(key: ApiKey) -> std::ops::RangeInclusive<i16> {
    let api = served(key as i16).unwrap();
    api.min..=api.max
}

fn newest(key: ApiKey) -> i16 {
    *versions(key).end()
}

fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

fn join(name: &str, member: &StrBytes, version: i16) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"\0\x01said"));
    let request = JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_session_timeout_ms(10_000)
        .with_member_id(member.clone())
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    if version >= 1 {
        request.with_rebalance_timeout_ms(10_000)
    } else {
        request
    }
}

/// Joins as clients do: with an id that was given out, where that is asked for.
async fn joined(client: &Client, name: &str, version: i16) -> JoinGroupResponse {
    let mut member = StrBytes::default();
    if version >= 4 {
        let given = ask(client, version, &join(name, &member, version)).await;
        assert_eq!(given.error_code, ErrorCode::MemberIdRequired.code(), "v{version}");
        member = given.member_id;
    }
    let answer = ask(client, version, &join(name, &member, version)).await;
    assert_eq!(answer.error_code, 0, "v{version}");
    answer
}

fn sync(name: &str, member: &StrBytes, generation: i32, version: i16) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(member.clone())
        .with_assignment(Bytes::from_static(b"part\0"));
    let request = SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_generation_id(generation)
        .with_member_id(member.clone())
        .with_assignments(vec![assignment]);
    if version >= 5 {
        request
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
    } else {
        request
    }
}

fn heartbeat(name: &str, member: &StrBytes, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group(name))
        .with_generation_id(generation)
        .with_member_id(member.clone())
}

fn leave(name: &str, member: &StrBytes, version: i16) -> LeaveGroupRequest {
    let request = LeaveGroupRequest::default().with_group_id(group(name));
    match version {
        ..=2 => request.with_member_id(member.clone()),
        _ => request.with_members(vec![MemberIdentity::default().with_member_id(member.clone())]),
    }
}

fn commit(name: &str, claim: Option<(&StrBytes, i32)>, offset: i64) -> OffsetCommitRequest {
    let partition = |index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("said")))
    };
    let topics = ["t", "missing"].map(|name| {
        OffsetCommitRequestTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![partition(0), partition(9)])
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.to_vec());
    match claim {
        Some((member, generation)) => request
            .with_member_id(member.clone())
            .with_generation_id_or_member_epoch(generation),
        None => request,
    }
}

/// The error of the partition that exists; the others have to be unknown.
fn committed(answer: &OffsetCommitResponse) -> i16 {
    let codes: Vec<i16> = answer
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| p.error_code))
        .collect();
    if codes[0] == 0 {
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(codes[1..], [unknown; 3]);
    } else {
        assert_eq!(
            codes, [codes[0]; 4],
            "an error of the group is one of all partitions"
        );
    }
    codes[0]
}

/// A single member in a first, stable generation: its id.
async fn member(client: &Client, name: &str) -> StrBytes {
    let answer = joined(client, name, newest(ApiKey::JoinGroup)).await;
    let version = newest(ApiKey::SyncGroup);
    let synced = ask(client, version, &sync(name, &answer.member_id, 1, version)).await;
    assert_eq!(synced.error_code, 0);
    answer.member_id
}

async fn offset(client: &Client, name: &str) -> i64 {
    let asked = OffsetFetchRequestTopic::default()
        .with_name(topic("t"))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(group(name))
        .with_topics(Some(vec![asked]));
    let answer = ask(client, 7, &request).await;
    answer.topics[0].partitions[0].committed_offset
}

#[tokio::test]
async fn a_member_joins_syncs_beats_and_leaves_in_every_version() {
    let server = broker().await;
    let client = client(&server).await;
    for version in versions(ApiKey::JoinGroup) {
        let name = format!("g{version}");
        let answer = joined(&client, &name, version).await;
        assert_eq!((answer.generation_id, &answer.leader), (1, &answer.member_id));
        assert_eq!(answer.protocol_name, Some(text("range")));
        assert_eq!(answer.protocol_type.is_some(), version >= 7);
        assert_eq!(answer.members.len(), 1);
        assert_eq!(&*answer.members[0].metadata, b"\0\x01said");
        let id = &answer.member_id;

        let sync_version = version.min(newest(ApiKey::SyncGroup));
        let synced = ask(&client, sync_version, &sync(&name, id, 1, sync_version)).await;
        assert_eq!(
            (synced.error_code, &*synced.assignment),
            (0, b"part\0".as_slice())
        );
        assert_eq!(synced.protocol_name.is_some(), sync_version >= 5);

        let beat_version = version.min(newest(ApiKey::Heartbeat));
        let beat = ask(&client, beat_version, &heartbeat(&name, id, 1)).await;
        assert_eq!(beat.error_code, 0);
        let stale = ask(&client, beat_version, &heartbeat(&name, id, 0)).await;
        assert_eq!(stale.error_code, ErrorCode::IllegalGeneration.code());

        let leave_version = version.min(newest(ApiKey::LeaveGroup));
        let left = ask(&client, leave_version, &leave(&name, id, leave_version)).await;
        assert_eq!(left.error_code, 0);
        assert!(left.members.iter().all(|m| m.error_code == 0));
        let again = ask(&client, leave_version, &leave(&name, id, leave_version)).await;
        let unknown = ErrorCode::UnknownMemberId.code();
        match leave_version {
            ..=2 => assert_eq!(again.error_code, unknown),
            _ => assert_eq!((again.error_code, again.members[0].error_code), (0, unknown)),
        }
    }
}

#[tokio::test]
async fn a_sync_that_does_not_name_its_protocol_is_refused_where_it_must() {
    let server = broker().await;
    let client = client(&server).await;
    let answer = joined(&client, "g", newest(ApiKey::JoinGroup)).await;
    let mut request = sync("g", &answer.member_id, 1, 5);
    request.protocol_name = None;
    let refused = ask(&client, 5, &request).await;
    assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol.code());
}

#[tokio::test]
async fn offsets_are_committed_in_every_version() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let id = member(&client, "members").await;
    for version in versions(ApiKey::OffsetCommit) {
        let at = i64::from(version) * 10;
        let answer = ask(&client, version, &commit("alone", None, at)).await;
        assert_eq!(committed(&answer), 0, "v{version}");
        assert_eq!(offset(&client, "alone").await, at);
        let answer = ask(&client, version, &commit("members", Some((&id, 1)), at)).await;
        assert_eq!(committed(&answer), 0, "v{version}");
        assert_eq!(offset(&client, "members").await, at);
        let stale = ask(&client, version, &commit("members", Some((&id, 0)), 999)).await;
        assert_eq!(committed(&stale), ErrorCode::IllegalGeneration.code());
        let alone = ask(&client, version, &commit("members", None, 999)).await;
        assert_eq!(committed(&alone), ErrorCode::UnknownMemberId.code());
        assert_eq!(offset(&client, "members").await, at);
    }
}

#[tokio::test]
async fn offsets_are_fetched_in_every_version() {
    let (_server, client) = broker_with_topic("t", 2).await;
    ask(&client, newest(ApiKey::OffsetCommit), &commit("g", None, 42)).await;
    let said = |topic: &TopicName, index: i32, offset: i64, metadata: &Option<StrBytes>| {
        (
            topic.to_string(),
            index,
            offset,
            metadata.as_deref().unwrap_or_default().to_owned(),
        )
    };
    let one = ("t".to_owned(), 0, 42, "said".to_owned());
    let some = [
        one.clone(),
        ("t".to_owned(), 1, -1, String::new()),
        ("missing".to_owned(), 0, -1, String::new()),
    ];
    for version in versions(ApiKey::OffsetFetch) {
        for (all, name) in [(false, "g"), (true, "g"), (true, "nobody")] {
            let wanted = match (all, name) {
                (false, _) => some.to_vec(),
                (true, "g") => vec![one.clone()],
                _ => Vec::new(),
            };
            // Null, which stands for all, came with version 2.
            if all && version < 2 {
                continue;
            }
            let seen: Vec<_> = if version >= 8 {
                let topics = [("t", vec![0, 1]), ("missing", vec![0])].map(|(name, indexes)| {
                    OffsetFetchRequestTopics::default()
                        .with_name(topic(name))
                        .with_partition_indexes(indexes)
                });
                let asked = OffsetFetchRequestGroup::default()
                    .with_group_id(group(name))
                    .with_topics((!all).then(|| topics.to_vec()));
                let request = OffsetFetchRequest::default()
                    .with_groups(vec![asked.clone(), asked])
                    .with_require_stable(true);
                let answer = ask(&client, version, &request).await;
                assert_eq!(answer.groups[0], answer.groups[1]);
                assert_eq!(
                    (&*answer.groups[0].group_id.0, answer.groups[0].error_code),
                    (name, 0)
                );
                let topics = answer.groups[0].topics.iter();
                topics
                    .flat_map(|t| t.partitions.iter().map(move |p| (&t.name, p)))
                    .map(|(name, p)| said(name, p.partition_index, p.committed_offset, &p.metadata))
                    .collect()
            } else {
                let topics = [("t", vec![0, 1]), ("missing", vec![0])].map(|(name, indexes)| {
                    OffsetFetchRequestTopic::default()
                        .with_name(topic(name))
                        .with_partition_indexes(indexes)
                });
                let request = OffsetFetchRequest::default()
                    .with_group_id(group(name))
                    .with_topics((!all).then(|| topics.to_vec()));
                let answer = ask(&client, version, &request).await;
                assert_eq!(answer.error_code, 0);
                answer
                    .topics
                    .iter()
                    .flat_map(|t| t.partitions.iter().map(move |p| (&t.name, p)))
                    .map(|(name, p)| said(name, p.partition_index, p.committed_offset, &p.metadata))
                    .collect()
            };
            assert_eq!(seen, wanted, "v{version} all={all} {name}");
        }
    }
}

#[tokio::test]
async fn metadata_that_is_too_long_is_refused_for_its_partition_alone() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let mut request = commit("g", None, 1);
    request.topics.truncate(1);
    let partition = request.topics[0].partitions[0].clone();
    let long = partition
        .clone()
        .with_committed_metadata(Some(text(&"x".repeat(4_097))));
    request.topics[0].partitions = vec![long, partition.with_committed_offset(7)];
    let answer = ask(&client, 8, &request).await;
    let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ErrorCode::OffsetMetadataTooLarge.code(), 0]);
    assert_eq!(offset(&client, "g").await, 7);
}

#[tokio::test]
async fn groups_are_listed_and_described_in_every_version() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let id = member(&client, "members").await;
    ask(&client, 8, &commit("alone", None, 1)).await;
    for version in versions(ApiKey::ListGroups) {
        let list = async |states: &[&str], types: &[&str]| {
            let request = ListGroupsRequest::default()
                .with_states_filter(states.iter().map(|s| text(s)).collect())
                .with_types_filter(types.iter().map(|s| text(s)).collect());
            let answer = ask(&client, version, &request).await;
            assert_eq!(answer.error_code, 0);
            answer.groups
        };
        let all = list(&[], &[]).await;
        let names: Vec<&str> = all.iter().map(|g| &*g.group_id.0).collect();
        assert_eq!(names, ["alone", "members"], "v{version}");
        assert_eq!((&*all[0].protocol_type, &*all[1].protocol_type), ("", "consumer"));
        if version >= 4 {
            assert_eq!((&*all[0].group_state, &*all[1].group_state), ("Empty", "Stable"));
            assert_eq!(list(&["stable", "Dead"], &[]).await.len(), 1);
        }
        if version >= 5 {
            assert_eq!(&*all[0].group_type, "classic");
            assert_eq!(list(&[], &["Classic"]).await.len(), 2);
            assert_eq!(list(&[], &["consumer"]).await.len(), 0);
        }
    }
    for version in versions(ApiKey::DescribeGroups) {
        let request = DescribeGroupsRequest::default()
            .with_groups(["members", "alone", "nobody"].map(group).to_vec())
            .with_include_authorized_operations(version >= 3);
        let answer = ask(&client, version, &request).await;
        let states: Vec<&str> = answer.groups.iter().map(|g| &*g.group_state).collect();
        assert_eq!(states, ["Stable", "Empty", "Dead"]);
        let (known, unknown) = (&answer.groups[0], &answer.groups[2]);
        assert_eq!(
            (&*known.protocol_type, &*known.protocol_data),
            ("consumer", "range")
        );
        let shown = &known.members[0];
        assert_eq!((&shown.member_id, &*shown.client_id), (&id, "kafscale"));
        assert_eq!(&*shown.client_host, "/127.0.0.1");
        assert_eq!(
            (&*shown.member_metadata, &*shown.member_assignment),
            (b"\0\x01said".as_slice(), b"part\0".as_slice())
        );
        assert_eq!(known.authorized_operations != i32::MIN, version >= 3);
        let error = if version >= 6 {
            ErrorCode::GroupIdNotFound
        } else {
            ErrorCode::None
        };
        assert_eq!(unknown.error_code, error.code());
        assert_eq!(unknown.error_message.is_some(), version >= 6);
    }
}

#[tokio::test]
async fn groups_and_offsets_are_deleted_in_every_version() {
    let (_server, client) = broker_with_topic("t", 1).await;
    member(&client, "members").await;
    for version in versions(ApiKey::DeleteGroups) {
        ask(&client, 8, &commit("alone", None, 1)).await;
        let request = DeleteGroupsRequest::default()
            .with_groups_names(["members", "alone", "nobody"].map(group).to_vec());
        let answer = ask(&client, version, &request).await;
        let codes: Vec<i16> = answer.results.iter().map(|r| r.error_code).collect();
        let wanted = [
            ErrorCode::NonEmptyGroup,
            ErrorCode::None,
            ErrorCode::GroupIdNotFound,
        ];
        assert_eq!(codes, wanted.map(ErrorCode::code), "v{version}");
        assert_eq!(offset(&client, "alone").await, -1);
    }
    ask(&client, 8, &commit("alone", None, 1)).await;
    let asked = ["t", "missing"].map(|name| {
        OffsetDeleteRequestTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![
                OffsetDeleteRequestPartition::default().with_partition_index(0),
            ])
    });
    let mut request = OffsetDeleteRequest::default()
        .with_group_id(group("alone"))
        .with_topics(asked.to_vec());
    let answer = ask(&client, 0, &request).await;
    let codes: Vec<i16> = answer.topics.iter().map(|t| t.partitions[0].error_code).collect();
    assert_eq!(answer.error_code, 0);
    assert_eq!(codes, [0, ErrorCode::UnknownTopicOrPartition.code()]);
    assert_eq!(offset(&client, "alone").await, -1);
    // The metadata of this consumer is none that can be read: it may consume anything.
    request.group_id = group("members");
    let answer = ask(&client, 0, &request).await;
    assert_eq!(
        answer.topics[0].partitions[0].error_code,
        ErrorCode::GroupSubscribedToTopic.code()
    );
}

#[tokio::test]
async fn this_broker_coordinates_groups_and_no_transactions_in_every_version() {
    let server = broker().await;
    let client = client(&server).await;
    for version in versions(ApiKey::FindCoordinator) {
        for kind in [0, 1, 2] {
            if kind > 0 && version < 1 {
                continue;
            }
            let request = match version {
                ..=3 => FindCoordinatorRequest::default().with_key(text("a")),
                _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("a"), text("b")]),
            };
            let answer = ask(&client, version, &request.with_key_type(kind)).await;
            let (error, port) = match version {
                ..=3 => (answer.error_code, answer.port),
                _ => {
                    assert_eq!(answer.coordinators.len(), 2);
                    assert_eq!(answer.coordinators[1].key, text("b"));
                    (answer.coordinators[1].error_code, answer.coordinators[1].port)
                }
            };
            if kind == 0 {
                assert_eq!(
                    (error, port),
                    (0, i32::from(server.kafka_addr().port())),
                    "v{version}"
                );
            } else {
                assert_eq!(
                    (error, port),
                    (ErrorCode::InvalidRequest.code(), -1),
                    "v{version}"
                );
            }
        }
    }
}

#[tokio::test]
async fn requests_behind_a_waiting_join_take_effect_though_their_answers_wait() {
    let server =
        broker_with(|config| config.groups.initial_rebalance_delay = Duration::from_millis(300)).await;
    let one = client(&server).await;
    let two = client(&server).await;
    let waiting = one
        .dispatch(3, &join("g", &StrBytes::default(), 3))
        .await
        .unwrap();
    let behind = one
        .dispatch(3, &join("other", &StrBytes::default(), 3))
        .await
        .unwrap();
    // The second group is there before the first join is answered.
    let state = async |name: &str| {
        let request = DescribeGroupsRequest::default().with_groups(vec![group(name)]);
        ask(&two, 4, &request).await.groups[0].group_state.to_string()
    };
    while state("other").await != "PreparingRebalance" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(state("g").await, "PreparingRebalance");
    assert_eq!(waiting.answer().await.unwrap().error_code, 0);
    assert_eq!(behind.answer().await.unwrap().error_code, 0);
}

#[tokio::test]
async fn a_stopping_broker_sends_waiting_members_away() {
    let server = broker_with(|config| config.groups.initial_rebalance_delay = Duration::from_secs(60)).await;
    let client = client(&server).await;
    let waiting = client
        .dispatch(3, &join("g", &StrBytes::default(), 3))
        .await
        .unwrap();
    let request = ListGroupsRequest::default();
    let watching = crate::start::client(&server).await;
    while ask(&watching, 4, &request).await.groups.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(
        waiting.answer().await.unwrap().error_code,
        ErrorCode::NotCoordinator.code()
    );
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn committed_offsets_outlive_a_restart_and_members_are_told_to_join_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = || {
        let mut config = ServerConfig::in_memory().unwrap();
        config.store.location = StoreLocation::File {
            dir: dir.path().to_owned(),
            fsync: true,
        };
        config
    };
    let server = Server::start(config()).await.unwrap();
    let first = client(&server).await;
    first.create_topic("t", 1, -1).await.unwrap();
    let id = member(&first, "g").await;
    let answer = ask(&first, 8, &commit("g", Some((&id, 1)), 33)).await;
    assert_eq!(committed(&answer), 0);
    server.shutdown().await.unwrap();

    let server = Server::start(config()).await.unwrap();
    let second = client(&server).await;
    assert_eq!(offset(&second, "g").await, 33);
    let unknown = ErrorCode::UnknownMemberId.code();
    assert_eq!(ask(&second, 4, &heartbeat("g", &id, 1)).await.error_code, unknown);
    assert_eq!(
        committed(&ask(&second, 9, &commit("g", Some((&id, 1)), 34)).await),
        unknown
    );
    assert_eq!(ask(&second, 9, &join("g", &id, 9)).await.error_code, unknown);
    let listed = ask(&second, 5, &ListGroupsRequest::default()).await.groups;
    assert_eq!((&*listed[0].group_id.0, &*listed[0].group_state), ("g", "Empty"));
    let again = member(&second, "g").await;
    assert_eq!(
        committed(&ask(&second, 9, &commit("g", Some((&again, 1)), 35)).await),
        0
    );
    assert_eq!(offset(&second, "g").await, 35);
}
