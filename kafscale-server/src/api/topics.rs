//! Finds the topics that requests name, by name or by id.

use std::sync::Arc;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use kafscale_core::{Engine, TopicId, TopicInfo};
use kafscale_wire::ErrorCode;
use uuid::Uuid;

/// The topic's id as the codec wants it.
pub(crate) fn uuid(id: TopicId) -> Uuid {
    Uuid::from_bytes(id.0)
}

/// The topic's name as the codec wants it.
pub(crate) fn topic_name(topic: &TopicInfo) -> TopicName {
    TopicName(StrBytes::from_string(topic.name.to_string()))
}

/// The topic that a request names: by id in the versions that have ids, else by name.
///
/// # Errors
/// Kafka's error for a topic that does not exist, which differs between the two.
pub(crate) fn find(engine: &Engine, by_id: bool, name: &str, id: Uuid) -> Result<Arc<TopicInfo>, ErrorCode> {
    if by_id {
        engine
            .topic_by_id(TopicId(id.into_bytes()))
            .ok_or(ErrorCode::UnknownTopicId)
    } else {
        engine.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)
    }
}

/// Compares the leader epoch that a client knows with the partition's (KIP-320); -1 is not compared.
///
/// # Errors
/// The client or the broker has to learn of a newer one, or the partition does not exist.
pub(crate) fn check_epoch(
    engine: &Engine,
    topic: TopicId,
    partition: i32,
    known: i32,
) -> Result<(), ErrorCode> {
    if known < 0 {
        return Ok(());
    }
    let ours = engine
        .partition_info(topic, partition)
        .map_err(|error| super::records_error(&error))?
        .leader_epoch;
    match known.cmp(&ours) {
        std::cmp::Ordering::Less => Err(ErrorCode::FencedLeaderEpoch),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
    }
}
