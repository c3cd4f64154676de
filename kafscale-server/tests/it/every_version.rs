//! Every API of this file in every version that is served: nothing that a handler says may be impossible to encode.

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::incremental_alter_configs_request as incremental;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use kafscale_wire::ErrorCode;
use kafscale_wire::versions::served;

use crate::start::{ask, batch, broker, broker_with_topic, client, records, text, topic, topic_id};

fn versions(key: ApiKey) -> std::ops::RangeInclusive<i16> {
    let api = served(key as i16).unwrap();
    api.min..=api.max
}

#[tokio::test]
async fn metadata() {
    let (_server, client) = broker_with_topic("t", 2).await;
    let id = topic_id(&client, "t").await;
    for version in versions(ApiKey::Metadata) {
        let named = |name: &str| MetadataRequestTopic::default().with_name(Some(topic(name)));
        let names = MetadataRequest::default().with_allow_auto_topic_creation(version < 4);
        let answer = ask(
            &client,
            version,
            &names.clone().with_topics(Some(vec![named("t")])),
        )
        .await;
        let (broker, found) = (&answer.brokers[0], &answer.topics[0]);
        assert_eq!(broker.node_id, BrokerId(0));
        assert_eq!(&*broker.host, "127.0.0.1");
        assert_eq!(found.error_code, 0);
        assert_eq!(found.partitions.len(), 2);
        assert_eq!(found.partitions[1].leader_id, BrokerId(0));
        assert!(version < 10 || found.topic_id == id);
        assert!(version < 2 || answer.cluster_id.as_ref().is_some_and(|id| id.len() == 22));
        // Null is all, and in version 0, which has no null, an empty list is.
        if version > 0 {
            assert_eq!(
                ask(&client, version, &names.clone().with_topics(None))
                    .await
                    .topics
                    .len(),
                1
            );
        }
        let empty = ask(&client, version, &names.clone().with_topics(Some(Vec::new()))).await;
        assert_eq!(empty.topics.len(), usize::from(version == 0));
        if version >= 4 {
            let missing = ask(
                &client,
                version,
                &names.clone().with_topics(Some(vec![named("missing")])),
            )
            .await;
            assert_eq!(
                missing.topics[0].error_code,
                ErrorCode::UnknownTopicOrPartition.code()
            );
            let bad = ask(
                &client,
                version,
                &names.clone().with_topics(Some(vec![named("no such/name")])),
            )
            .await;
            assert_eq!(bad.topics[0].error_code, ErrorCode::InvalidTopicException.code());
        }
        if version >= 12 {
            let by_id = |id| MetadataRequestTopic::default().with_name(None).with_topic_id(id);
            let answer = ask(
                &client,
                version,
                &names.clone().with_topics(Some(vec![by_id(id)])),
            )
            .await;
            assert_eq!(answer.topics[0].name, Some(topic("t")));
            let unknown = by_id(uuid::Uuid::from_u128(1));
            let answer = ask(&client, version, &names.clone().with_topics(Some(vec![unknown]))).await;
            assert_eq!(answer.topics[0].error_code, ErrorCode::UnknownTopicId.code());
        }
    }
}

#[tokio::test]
async fn produce() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let id = topic_id(&client, "t").await;
    let mut next = 0;
    for version in versions(ApiKey::Produce) {
        for acks in [1, -1] {
            let partition = |index| {
                PartitionProduceData::default()
                    .with_index(index)
                    .with_records(Some(batch(&["a", "b"])))
            };
            let data = TopicProduceData::default().with_partition_data(vec![partition(0), partition(9)]);
            let data = if version >= 13 {
                data.with_topic_id(id)
            } else {
                data.with_name(topic("t"))
            };
            let request = ProduceRequest::default()
                .with_acks(acks)
                .with_timeout_ms(10_000)
                .with_topic_data(vec![data]);
            let answer = ask(&client, version, &request).await;
            let partitions = &answer.responses[0].partition_responses;
            assert_eq!(
                (partitions[0].error_code, partitions[0].base_offset),
                (0, next),
                "version {version}"
            );
            assert_eq!(partitions[0].log_append_time_ms, -1);
            assert_eq!(
                partitions[1].error_code,
                ErrorCode::UnknownTopicOrPartition.code()
            );
            assert_eq!(partitions[1].base_offset, -1);
            next += 2;
        }
    }
}

#[tokio::test]
async fn fetch() {
    let (_server, client) = broker_with_topic("t", 2).await;
    let id = topic_id(&client, "t").await;
    client.produce("t", 0, batch(&["a", "b", "c"]), -1).await.unwrap();
    for version in versions(ApiKey::Fetch) {
        let partition = |partition, offset| {
            FetchPartition::default()
                .with_partition(partition)
                .with_fetch_offset(offset)
                .with_partition_max_bytes(1 << 20)
        };
        let asked =
            FetchTopic::default().with_partitions(vec![partition(0, 1), partition(1, 0), partition(0, 99)]);
        let asked = if version >= 13 {
            asked.with_topic_id(id)
        } else {
            asked.with_topic(topic("t"))
        };
        for isolation in [0, 1] {
            let request = FetchRequest::default()
                .with_max_wait_ms(10_000)
                .with_min_bytes(1)
                .with_max_bytes(1 << 20)
                .with_isolation_level(isolation)
                .with_topics(vec![asked.clone()]);
            let answer = ask(&client, version, &request).await;
            assert_eq!((answer.error_code, answer.session_id), (0, 0));
            let partitions = &answer.responses[0].partitions;
            assert_eq!(partitions[0].error_code, 0, "version {version}");
            assert_eq!(partitions[0].high_watermark, 3);
            assert_eq!(partitions[0].last_stable_offset, 3);
            let found = records(partitions[0].records.as_ref().unwrap());
            assert_eq!(found.last().unwrap(), &(2, "c".to_owned()));
            // Empty, never null: librdkafka refuses null records.
            assert_eq!(
                partitions[1].records.as_ref().map(|records| records.len()),
                Some(0)
            );
            assert_eq!(partitions[2].error_code, ErrorCode::OffsetOutOfRange.code());
            assert_eq!(
                partitions[2].records.as_ref().map(|records| records.len()),
                Some(0)
            );
            assert_eq!(partitions[0].aborted_transactions.is_some(), isolation == 1);
        }
    }
}

#[tokio::test]
async fn list_offsets() {
    let (_server, client) = broker_with_topic("t", 1).await;
    client.produce("t", 0, batch(&["a", "b", "c"]), -1).await.unwrap();
    for version in versions(ApiKey::ListOffsets) {
        let list = async |timestamp, partition| {
            let partition = ListOffsetsPartition::default()
                .with_partition_index(partition)
                .with_timestamp(timestamp);
            let asked = ListOffsetsTopic::default()
                .with_name(topic("t"))
                .with_partitions(vec![partition]);
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_topics(vec![asked]);
            let answer = ask(&client, version, &request)
                .await
                .topics
                .remove(0)
                .partitions
                .remove(0);
            (answer.error_code, answer.offset, answer.timestamp)
        };
        assert_eq!(list(-1, 0).await, (0, 3, -1));
        assert_eq!(list(-2, 0).await, (0, 0, -1));
        assert_eq!(list(1001, 0).await, (0, 1, 1001));
        assert_eq!(list(5000, 0).await, (0, -1, -1));
        assert_eq!(
            list(-1, 7).await,
            (ErrorCode::UnknownTopicOrPartition.code(), -1, -1)
        );
        let unsupported = (ErrorCode::UnsupportedVersion.code(), -1, -1);
        assert_eq!(
            list(-3, 0).await,
            if version >= 7 { (0, 2, 1002) } else { unsupported }
        );
        assert_eq!(
            list(-4, 0).await,
            if version >= 8 { (0, 0, -1) } else { unsupported }
        );
        assert_eq!(
            list(-5, 0).await,
            if version >= 9 { (0, -1, -1) } else { unsupported }
        );
        assert_eq!(list(-99, 0).await, unsupported);
    }
}

#[tokio::test]
async fn create_and_delete_topics() {
    let server = broker().await;
    let client = client(&server).await;
    for version in versions(ApiKey::CreateTopics) {
        let name = format!("t{version}");
        let new = CreatableTopic::default()
            .with_name(topic(&name))
            .with_num_partitions(3)
            .with_replication_factor(1)
            .with_configs(vec![
                CreatableTopicConfig::default()
                    .with_name(text("retention.ms"))
                    .with_value(Some(text("1000"))),
            ]);
        let request = CreateTopicsRequest::default()
            .with_timeout_ms(10_000)
            .with_topics(vec![new]);
        let checked = ask(&client, version, &request.clone().with_validate_only(true)).await;
        assert_eq!(checked.topics[0].error_code, 0);
        assert!(server.engine().topic(&name).is_none());
        let created = ask(&client, version, &request).await;
        assert_eq!(created.topics[0].error_code, 0, "version {version}");
        if version >= 5 {
            assert_eq!(
                (
                    created.topics[0].num_partitions,
                    created.topics[0].replication_factor
                ),
                (3, 1)
            );
            let configs = created.topics[0].configs.as_ref().unwrap();
            let retention = configs
                .iter()
                .find(|config| &*config.name == "retention.ms")
                .unwrap();
            assert_eq!(
                (retention.value.as_deref(), retention.config_source),
                (Some("1000"), 1)
            );
        }
        let again = ask(&client, version, &request).await;
        assert_eq!(again.topics[0].error_code, ErrorCode::TopicAlreadyExists.code());
        if version >= 7 {
            assert_eq!(created.topics[0].topic_id, topic_id(&client, &name).await);
        }
    }
    for version in versions(ApiKey::DeleteTopics) {
        let name = format!("t{}", version + 1);
        client.create_topic(&name, 1, -1).await.ok();
        let request = DeleteTopicsRequest::default().with_timeout_ms(10_000);
        let request = if version >= 6 {
            let id = topic_id(&client, &name).await;
            let state = |name: Option<&str>, id| {
                DeleteTopicState::default()
                    .with_name(name.map(topic))
                    .with_topic_id(id)
            };
            request.with_topics(vec![
                state(None, id),
                state(None, uuid::Uuid::from_u128(1)),
                state(Some("missing"), uuid::Uuid::nil()),
                state(Some("t2"), id),
                state(None, uuid::Uuid::nil()),
            ])
        } else {
            request.with_topic_names(vec![topic(&name), topic("missing")])
        };
        let answer = ask(&client, version, &request).await;
        let codes: Vec<i16> = answer
            .responses
            .iter()
            .map(|response| response.error_code)
            .collect();
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        if version >= 6 {
            let invalid = ErrorCode::InvalidRequest.code();
            assert_eq!(
                codes,
                [0, ErrorCode::UnknownTopicId.code(), unknown, invalid, invalid]
            );
            assert_eq!(answer.responses[0].name, Some(topic(&name)));
        } else {
            assert_eq!(codes, [0, unknown], "version {version}");
        }
        assert!(server.engine().topic(&name).is_none());
    }
}

#[tokio::test]
async fn create_partitions() {
    let (server, client) = broker_with_topic("t", 1).await;
    for version in versions(ApiKey::CreatePartitions) {
        let count = 2 + i32::from(version);
        let grow = |name: &str, count| {
            let asked = CreatePartitionsTopic::default()
                .with_name(topic(name))
                .with_count(count)
                .with_assignments(None);
            CreatePartitionsRequest::default()
                .with_timeout_ms(10_000)
                .with_topics(vec![asked])
        };
        let checked = ask(&client, version, &grow("t", count).with_validate_only(true)).await;
        assert_eq!(checked.results[0].error_code, 0);
        assert_eq!(server.engine().topic("t").unwrap().partitions, count - 1);
        assert_eq!(
            ask(&client, version, &grow("t", count)).await.results[0].error_code,
            0
        );
        assert_eq!(server.engine().topic("t").unwrap().partitions, count);
        let shrink = ask(&client, version, &grow("t", 1)).await;
        assert_eq!(shrink.results[0].error_code, ErrorCode::InvalidPartitions.code());
        let missing = ask(&client, version, &grow("missing", 2)).await;
        assert_eq!(
            missing.results[0].error_code,
            ErrorCode::UnknownTopicOrPartition.code()
        );
    }
    client
        .produce("t", 4, batch(&["in a new partition"]), -1)
        .await
        .unwrap();
}

#[tokio::test]
async fn configs() {
    let (server, client) = broker_with_topic("t", 1).await;
    let set = |name: &str| server.engine().topic("t").unwrap().configs.get(name).cloned();
    for version in versions(ApiKey::AlterConfigs) {
        let config = AlterableConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("5000")));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(vec![config]);
        let request = AlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(ask(&client, version, &request).await.responses[0].error_code, 0);
        assert_eq!(set("retention.ms").as_deref(), Some("5000"));
    }
    for version in versions(ApiKey::IncrementalAlterConfigs) {
        let config = incremental::AlterableConfig::default()
            .with_name(text("segment.bytes"))
            .with_config_operation(0)
            .with_value(Some(text("1048576")));
        let resource = incremental::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(ask(&client, version, &request).await.responses[0].error_code, 0);
        assert_eq!(set("segment.bytes").as_deref(), Some("1048576"));
        assert_eq!(set("retention.ms").as_deref(), Some("5000"));
    }
    for version in versions(ApiKey::DescribeConfigs) {
        let resource = |kind, name: &str| {
            DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configuration_keys(None)
        };
        let request = DescribeConfigsRequest::default()
            .with_include_synonyms(true)
            .with_include_documentation(version >= 3)
            .with_resources(vec![
                resource(2, "t"),
                resource(4, "0"),
                resource(4, "5"),
                resource(9, "x"),
            ]);
        let answer = ask(&client, version, &request).await;
        let topic = &answer.results[0];
        assert_eq!(topic.error_code, 0);
        let retention = topic
            .configs
            .iter()
            .find(|config| &*config.name == "retention.ms")
            .unwrap();
        assert_eq!(
            (retention.value.as_deref(), retention.config_source),
            (Some("5000"), 1)
        );
        assert_eq!(retention.synonyms.len(), 2);
        assert!(
            version < 3
                || retention
                    .documentation
                    .as_ref()
                    .is_some_and(|words| !words.is_empty())
        );
        let id = answer.results[1]
            .configs
            .iter()
            .find(|config| &*config.name == "broker.id")
            .unwrap();
        assert_eq!((id.value.as_deref(), id.read_only), (Some("0"), true));
        assert_eq!(answer.results[2].error_code, ErrorCode::InvalidRequest.code());
        assert_eq!(answer.results[3].error_code, ErrorCode::InvalidRequest.code());
    }
}

#[tokio::test]
async fn init_producer_id() {
    let server = broker().await;
    let client = client(&server).await;
    let mut seen = std::collections::HashSet::new();
    for version in versions(ApiKey::InitProducerId) {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let answer = ask(&client, version, &request).await;
        assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
        assert!(answer.producer_id.0 >= 0 && seen.insert(answer.producer_id.0));
        let transactional = request.with_transactional_id(Some(TransactionalId(text("tx"))));
        let refused = ask(&client, version, &transactional).await;
        assert_eq!(refused.error_code, ErrorCode::UnsupportedVersion.code());
        assert_eq!(refused.producer_id, ProducerId(-1));
    }
}

#[tokio::test]
async fn describe_cluster() {
    let server = broker().await;
    let client = client(&server).await;
    for version in versions(ApiKey::DescribeCluster) {
        let answer = ask(&client, version, &DescribeClusterRequest::default()).await;
        assert_eq!((answer.error_code, answer.controller_id), (0, BrokerId(0)));
        assert_eq!(answer.cluster_id.len(), 22);
        assert_eq!(answer.brokers[0].port, i32::from(server.kafka_addr().port()));
        if version >= 1 {
            for (kind, error) in [
                (2, ErrorCode::MismatchedEndpointType),
                (9, ErrorCode::UnsupportedEndpointType),
            ] {
                let answer = ask(
                    &client,
                    version,
                    &DescribeClusterRequest::default().with_endpoint_type(kind),
                )
                .await;
                assert_eq!(answer.error_code, error.code());
            }
        }
    }
}

#[tokio::test]
async fn offset_for_leader_epoch() {
    let (server, client) = broker_with_topic("t", 1).await;
    client.produce("t", 0, batch(&["a", "b"]), -1).await.unwrap();
    let epoch = server
        .engine()
        .partition_info(server.engine().topic("t").unwrap().id, 0)
        .unwrap()
        .leader_epoch;
    for version in versions(ApiKey::OffsetForLeaderEpoch) {
        let end = async |partition, current, wanted| {
            let asked = OffsetForLeaderPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(current)
                .with_leader_epoch(wanted);
            let asked = OffsetForLeaderTopic::default()
                .with_topic(topic("t"))
                .with_partitions(vec![asked]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![asked]);
            let request = if version >= 3 {
                request.with_replica_id(BrokerId(-1))
            } else {
                request
            };
            let answer = ask(&client, version, &request)
                .await
                .topics
                .remove(0)
                .partitions
                .remove(0);
            (answer.error_code, answer.leader_epoch, answer.end_offset)
        };
        assert_eq!(end(0, -1, epoch).await, (0, epoch, 2), "version {version}");
        assert_eq!(end(0, epoch, epoch).await, (0, epoch, 2));
        assert_eq!(
            end(0, epoch + 1, epoch).await,
            (ErrorCode::UnknownLeaderEpoch.code(), -1, -1)
        );
        assert_eq!(
            end(0, epoch - 1, epoch).await,
            (ErrorCode::FencedLeaderEpoch.code(), -1, -1)
        );
        assert_eq!(
            end(5, -1, epoch).await,
            (ErrorCode::UnknownTopicOrPartition.code(), -1, -1)
        );
    }
}
