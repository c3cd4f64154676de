//! ListOffsets and OffsetForLeaderEpoch: which offset belongs to a time, an end or an epoch.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use kafscale_core::{ListedOffset, OffsetSpec};
use kafscale_wire::ErrorCode;

use super::topics::check_epoch;
use super::{Reply, RequestContext, records_error};
use crate::broker::Broker;

/// Timestamps that stand for places in the log, and the first version that knows them.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// KIP-734.
const MAX_TIMESTAMP: (i64, i16) = (-3, 7);
/// KIP-405: the first offset that is not only in remote storage.
const EARLIEST_LOCAL: (i64, i16) = (-4, 8);
/// KIP-1005: the last offset in remote storage.
const LATEST_TIERED: (i64, i16) = (-5, 9);
/// First version that carries leader epochs.
const LEADER_EPOCHS: i16 = 4;

/// Answers offsets. Times may need a look into the bucket, so that the requests that follow do not wait.
pub(crate) fn list_offsets(context: RequestContext, request: ListOffsetsRequest) -> Reply {
    Reply::later(async move {
        let mut seen = HashSet::new();
        let mut repeated = HashSet::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let key = (topic.name.to_string(), partition.partition_index);
                if !seen.insert(key.clone()) {
                    repeated.insert(key);
                }
            }
        }
        let (broker, repeated) = (&context.broker, &repeated);
        let topics = request
            .topics
            .into_iter()
            .map(|topic| list_topic(broker, context.api_version, topic, repeated));
        ListOffsetsResponse::default().with_topics(join_all(topics).await)
    })
}

async fn list_topic(
    broker: &Arc<Broker>,
    version: i16,
    topic: ListOffsetsTopic,
    repeated: &HashSet<(String, i32)>,
) -> ListOffsetsTopicResponse {
    let name = topic.name.to_string();
    let partitions = topic.partitions.iter().map(async |asked| {
        let outcome = if repeated.contains(&(name.clone(), asked.partition_index)) {
            Err(ErrorCode::InvalidRequest)
        } else {
            list(broker, version, &name, asked).await
        };
        let response = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
        match outcome {
            Ok(listed) => {
                let response = response
                    .with_offset(listed.offset)
                    .with_timestamp(listed.timestamp);
                if version >= LEADER_EPOCHS {
                    response.with_leader_epoch(listed.leader_epoch)
                } else {
                    response
                }
            }
            Err(error) => response
                .with_error_code(error.code())
                .with_offset(-1)
                .with_timestamp(-1),
        }
    });
    let partitions = join_all(partitions).await;
    ListOffsetsTopicResponse::default()
        .with_name(topic.name)
        .with_partitions(partitions)
}

async fn list(
    broker: &Broker,
    version: i16,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<ListedOffset, ErrorCode> {
    let engine = &broker.engine;
    let topic = engine.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_epoch(
        engine,
        topic.id,
        asked.partition_index,
        asked.current_leader_epoch,
    )?;
    let since = |(timestamp, first): (i64, i16)| asked.timestamp == timestamp && version >= first;
    let spec = match asked.timestamp {
        LATEST => OffsetSpec::Latest,
        EARLIEST => OffsetSpec::Earliest,
        _ if since(MAX_TIMESTAMP) => OffsetSpec::MaxTimestamp,
        // The bucket is the log: nothing is only remote, and nothing is tiered.
        _ if since(EARLIEST_LOCAL) => OffsetSpec::Earliest,
        _ if since(LATEST_TIERED) => {
            engine
                .partition_info(topic.id, asked.partition_index)
                .map_err(|error| records_error(&error))?;
            return Ok(ListedOffset {
                offset: -1,
                timestamp: -1,
                leader_epoch: -1,
            });
        }
        timestamp if timestamp >= 0 => OffsetSpec::Timestamp(timestamp),
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    engine
        .list_offsets(topic.id, asked.partition_index, spec)
        .await
        .map_err(|error| records_error(&error))
}

/// Answers where epochs end (KIP-320).
pub(crate) fn offset_for_leader_epoch(
    context: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> Reply {
    let engine = &context.broker.engine;
    let topics = request.topics.into_iter().map(|topic| {
        let found = engine
            .topic(&topic.topic)
            .ok_or(ErrorCode::UnknownTopicOrPartition);
        let partitions = topic.partitions.iter().map(|asked| {
            let end = found.as_ref().map_err(|error| *error).and_then(|topic| {
                check_epoch(engine, topic.id, asked.partition, asked.current_leader_epoch)?;
                engine
                    .leader_epoch_end(topic.id, asked.partition, asked.leader_epoch)
                    .map_err(|error| records_error(&error))
            });
            let response = EpochEndOffset::default().with_partition(asked.partition);
            match end {
                Ok((epoch, end_offset)) => response.with_leader_epoch(epoch).with_end_offset(end_offset),
                Err(error) => response
                    .with_error_code(error.code())
                    .with_leader_epoch(-1)
                    .with_end_offset(-1),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions)
    });
    Reply::ready(OffsetForLeaderEpochResponse::default().with_topics(topics.collect()))
}
