//! Metadata and DescribeCluster: which broker, which topics, who leads them.

use std::sync::Arc;

use futures::future::join_all;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafscale_core::{ErrorKind, NewTopic, TopicId, TopicInfo};
use kafscale_wire::ErrorCode;

use super::topics::{topic_name, uuid};
use super::{Reply, RequestContext, admin_error, records_error};
use crate::broker::Broker;

/// First version that can name topics by id (KIP-516); two versions before that carry ids in answers only.
const TOPIC_IDS: i16 = 12;
/// DescribeCluster's number for brokers; 2 stands for controllers (KIP-919).
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers which topics there are. Creates those that are missing when client and configuration allow it.
pub(crate) fn metadata(context: RequestContext, request: MetadataRequest) -> Reply {
    let broker = context.broker;
    let topics = match request.topics {
        None => return Reply::ready(answer(&broker, all_topics(&broker))),
        // Version 0 has no null: an empty list means all.
        Some(topics) if topics.is_empty() && context.api_version == 0 => {
            return Reply::ready(answer(&broker, all_topics(&broker)));
        }
        Some(topics) => topics,
    };
    if context.api_version < TOPIC_IDS
        && topics
            .iter()
            .any(|topic| topic.name.is_none() || !topic.topic_id.is_nil())
    {
        let refused = topics.into_iter().map(|topic| {
            let name = topic
                .name
                .unwrap_or_else(|| TopicName(StrBytes::from_static_str("")));
            failed(ErrorCode::InvalidRequest, Some(name))
        });
        return Reply::ready(answer(&broker, refused.collect()));
    }
    let create = request.allow_auto_topic_creation && broker.config.topics.auto_create;
    let missing = |topic: &MetadataRequestTopic| {
        topic.topic_id.is_nil()
            && topic
                .name
                .as_ref()
                .is_some_and(|name| broker.engine.topic(name).is_none())
    };
    if create && topics.iter().any(missing) {
        // A change of the metadata takes a request to the store: what follows does not wait for it.
        return Reply::later(async move {
            let found = join_all(topics.into_iter().map(|topic| find_or_create(&broker, topic))).await;
            answer(&broker, found)
        });
    }
    let found = topics.into_iter().map(|topic| find(&broker, topic)).collect();
    Reply::ready(answer(&broker, found))
}

fn all_topics(broker: &Broker) -> Vec<MetadataResponseTopic> {
    broker
        .engine
        .topics()
        .iter()
        .map(|topic| describe(broker, topic))
        .collect()
}

fn answer(broker: &Broker, topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
    let identity = &broker.identity;
    let node = MetadataResponseBroker::default()
        .with_node_id(identity.broker_id())
        .with_host(identity.host.clone())
        .with_port(i32::from(identity.port))
        .with_rack(identity.rack.clone());
    MetadataResponse::default()
        .with_brokers(vec![node])
        .with_cluster_id(Some(identity.cluster_id.clone()))
        .with_controller_id(identity.broker_id())
        .with_topics(topics)
}

fn failed(error: ErrorCode, name: Option<TopicName>) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(name)
}

fn find(broker: &Broker, topic: MetadataRequestTopic) -> MetadataResponseTopic {
    if !topic.topic_id.is_nil() {
        return match broker.engine.topic_by_id(TopicId(topic.topic_id.into_bytes())) {
            Some(found) => describe(broker, &found),
            None => failed(ErrorCode::UnknownTopicId, None).with_topic_id(topic.topic_id),
        };
    }
    let Some(name) = topic.name else {
        return failed(ErrorCode::UnknownTopicId, None);
    };
    match broker.engine.topic(&name) {
        Some(found) => describe(broker, &found),
        None => {
            let unnameable = broker.engine.check_topic(&new_topic(broker, &name));
            let unnameable = unnameable.is_err_and(|error| error.kind() == ErrorKind::InvalidTopic);
            let error = if unnameable {
                ErrorCode::InvalidTopicException
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            failed(error, Some(name))
        }
    }
}

async fn find_or_create(broker: &Broker, topic: MetadataRequestTopic) -> MetadataResponseTopic {
    let name = match &topic.name {
        Some(name) if topic.topic_id.is_nil() && broker.engine.topic(name).is_none() => name.clone(),
        _ => return find(broker, topic),
    };
    match broker.engine.create_topic(new_topic(broker, &name)).await {
        Ok(created) => describe(broker, &created),
        // Another client was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => find(broker, topic),
        Err(error) => failed(admin_error(&error), Some(name)),
    }
}

fn new_topic(broker: &Broker, name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: broker.config.topics.default_partitions,
        configs: Default::default(),
    }
}

fn describe(broker: &Broker, topic: &Arc<TopicInfo>) -> MetadataResponseTopic {
    let partitions = (0..topic.partitions).map(|partition| describe_partition(broker, topic, partition));
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(topic)))
        .with_topic_id(uuid(topic.id))
        .with_partitions(partitions.collect())
}

fn describe_partition(broker: &Broker, topic: &TopicInfo, partition: i32) -> MetadataResponsePartition {
    let node = broker.identity.broker_id();
    let described = MetadataResponsePartition::default()
        .with_partition_index(partition)
        .with_replica_nodes(vec![node])
        .with_isr_nodes(vec![node]);
    match broker.engine.partition_info(topic.id, partition) {
        Ok(info) => described
            .with_leader_id(node)
            .with_leader_epoch(info.leader_epoch),
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::NotFound => records_error(&error),
                _ => ErrorCode::LeaderNotAvailable,
            };
            described
                .with_error_code(code.code())
                .with_leader_id(BrokerId(-1))
                .with_leader_epoch(-1)
        }
    }
}

/// Answers which brokers there are (KIP-700).
pub(crate) fn describe_cluster(context: &RequestContext, request: &DescribeClusterRequest) -> Reply {
    let refused = |error: ErrorCode, message: &'static str| {
        let response = DescribeClusterResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str(message)))
            .with_endpoint_type(request.endpoint_type);
        Reply::ready(response)
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            return refused(
                ErrorCode::MismatchedEndpointType,
                "this is a broker's endpoint; there are no controllers apart",
            );
        }
        _ => return refused(ErrorCode::UnsupportedEndpointType, "no such type of endpoint"),
    }
    let identity = &context.broker.identity;
    let node = DescribeClusterBroker::default()
        .with_broker_id(identity.broker_id())
        .with_host(identity.host.clone())
        .with_port(i32::from(identity.port))
        .with_rack(identity.rack.clone());
    let response = DescribeClusterResponse::default()
        .with_endpoint_type(request.endpoint_type)
        .with_cluster_id(identity.cluster_id.clone())
        .with_controller_id(identity.broker_id())
        .with_brokers(vec![node]);
    Reply::ready(response)
}
