//! Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::FutureExt;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafscale_core::{CommittedOffset, OffsetCommit, TopicId, TopicInfo};
use kafscale_wire::ErrorCode;

use super::errors::{Asked, error_code, group_error};
use super::group_admin::has_offsets;
use super::{Reply, RequestContext};
use crate::broker::Broker;
use crate::group::{GroupError, MemberClaim};

/// OffsetCommit: answered when the offsets are durable.
pub(crate) fn offset_commit(context: &RequestContext, request: &OffsetCommitRequest) -> Reply {
    let broker = &context.broker;
    let claim = MemberClaim {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
    };
    let refused = broker
        .groups
        .check_commit(&request.group_id, claim)
        .err()
        .map(group_error);
    let mut commits = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let info = broker.engine.topic(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let checked = match refused {
                Some(error) => Err(error),
                None => check_commit(broker, info.as_deref(), partition),
            };
            partitions.push((partition.partition_index, checked.as_ref().err().copied()));
            commits.extend(checked);
        }
        topics.push((topic.name.clone(), partitions));
    }
    if commits.is_empty() {
        return Reply::ready(commit_response(topics, ErrorCode::None));
    }
    let engine = broker.engine.clone();
    let group = request.group_id.clone();
    let mut commit = Box::pin(async move { engine.commit_offsets(&group, commits).await });
    // Begun here, so that a later commit of the same connection cannot come before it.
    let begun = commit.as_mut().now_or_never();
    let respond = |topics, outcome: kafscale_core::Result<()>| {
        let error = outcome.map_or_else(|error| error_code(&error, Asked::Group), |()| ErrorCode::None);
        commit_response(topics, error)
    };
    match begun {
        Some(outcome) => Reply::ready(respond(topics, outcome)),
        None => Reply::later(async move { respond(topics, commit.await) }),
    }
}

fn check_commit(
    broker: &Broker,
    topic: Option<&TopicInfo>,
    partition: &OffsetCommitRequestPartition,
) -> Result<OffsetCommit, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if !(0..topic.partitions).contains(&partition.partition_index) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
    if metadata.len() > broker.config.groups.offset_metadata_max_bytes {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    Ok(OffsetCommit {
        topic: topic.id,
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: metadata.to_owned(),
    })
}

/// A topic with its partitions, each with the error that kept its offset out of the commit.
type CheckedTopic = (TopicName, Vec<(i32, Option<ErrorCode>)>);

/// `outcome` is what became of the partitions that had no error of their own.
fn commit_response(topics: Vec<CheckedTopic>, outcome: ErrorCode) -> OffsetCommitResponse {
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, error)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error.unwrap_or(outcome).code())
        });
        OffsetCommitResponseTopic::default()
            .with_name(name)
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// A topic with the offsets that are committed in it.
struct Fetched {
    name: TopicName,
    partitions: Vec<(i32, Option<CommittedOffset>)>,
}

/// OffsetFetch. Offsets are given to anyone who asks, whatever the state of the group; a group that is not known has
/// none. There are no transactions, so every offset is stable.
pub(crate) fn offset_fetch(context: &RequestContext, request: &OffsetFetchRequest) -> Reply {
    let broker = &context.broker;
    if context.api_version >= 8 {
        let groups = request.groups.iter().map(|group| {
            let fetched = match &group.topics {
                None => all(broker, &group.group_id),
                Some(topics) => topics
                    .iter()
                    .map(|t| some(broker, &group.group_id, &t.name, &t.partition_indexes))
                    .collect(),
            };
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id.clone())
                .with_topics(fetched.into_iter().map(fetched_topics).collect())
        });
        return Reply::ready(OffsetFetchResponse::default().with_groups(groups.collect()));
    }
    let fetched = match &request.topics {
        None => all(broker, &request.group_id),
        Some(topics) => topics
            .iter()
            .map(|t| some(broker, &request.group_id, &t.name, &t.partition_indexes))
            .collect(),
    };
    let version = context.api_version;
    let topics = fetched.into_iter().map(|topic| fetched_topic(topic, version));
    Reply::ready(OffsetFetchResponse::default().with_topics(topics.collect()))
}

/// The offsets of the partitions that were asked for, committed or not.
fn some(broker: &Broker, group: &str, name: &TopicName, partitions: &[i32]) -> Fetched {
    let id = broker.engine.topic(name).map(|topic| topic.id);
    let committed = |index: i32| broker.engine.committed_offset(group, id?, index);
    Fetched {
        name: name.clone(),
        partitions: partitions
            .iter()
            .map(|index| (*index, committed(*index)))
            .collect(),
    }
}

/// All offsets that the group has committed in topics that exist; by topic and partition.
fn all(broker: &Broker, group: &str) -> Vec<Fetched> {
    let mut topics: BTreeMap<Arc<str>, Vec<(i32, Option<CommittedOffset>)>> = BTreeMap::new();
    for (topic, partition, committed) in broker.engine.committed_offsets(group) {
        if let Some(info) = broker.engine.topic_by_id(topic) {
            topics
                .entry(Arc::clone(&info.name))
                .or_default()
                .push((partition, Some(committed)));
        }
    }
    let fetched = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|(index, _)| *index);
        Fetched {
            name: TopicName(StrBytes::from_string(name.to_string())),
            partitions,
        }
    });
    fetched.collect()
}

/// Offset, leader epoch and metadata as Kafka says them: -1, -1 and nothing when nothing is committed.
fn committed_parts(committed: Option<CommittedOffset>) -> (i64, i32, Option<StrBytes>) {
    match committed {
        Some(c) => (c.offset, c.leader_epoch, Some(StrBytes::from_string(c.metadata))),
        None => (-1, -1, Some(StrBytes::default())),
    }
}

fn fetched_topics(topic: Fetched) -> OffsetFetchResponseTopics {
    let partitions = topic.partitions.into_iter().map(|(index, committed)| {
        let (offset, epoch, metadata) = committed_parts(committed);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(metadata)
    });
    OffsetFetchResponseTopics::default()
        .with_name(topic.name)
        .with_partitions(partitions.collect())
}

fn fetched_topic(topic: Fetched, version: i16) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|(index, committed)| {
        let (offset, epoch, metadata) = committed_parts(committed);
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(if version >= 5 { epoch } else { -1 })
            .with_metadata(metadata)
    });
    OffsetFetchResponseTopic::default()
        .with_name(topic.name)
        .with_partitions(partitions.collect())
}

/// OffsetDelete: of topics that no member consumes.
pub(crate) fn offset_delete(context: RequestContext, request: &OffsetDeleteRequest) -> Reply {
    let broker = &context.broker;
    let names: Vec<&str> = request.topics.iter().map(|topic| &**topic.name).collect();
    let deletable = match broker.groups.check_offset_delete(&request.group_id, &names) {
        Ok(deletable) => deletable,
        Err(GroupError::GroupIdNotFound) if has_offsets(broker, &request.group_id) => vec![true; names.len()],
        Err(error) => {
            return Reply::ready(OffsetDeleteResponse::default().with_error_code(group_error(error).code()));
        }
    };
    let mut doomed: Vec<(TopicId, i32)> = Vec::new();
    let topics = request.topics.iter().zip(deletable).map(|(topic, deletable)| {
        let info = broker.engine.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let error = match &info {
                None => ErrorCode::UnknownTopicOrPartition,
                Some(_) if !deletable => ErrorCode::GroupSubscribedToTopic,
                Some(info) => {
                    if broker
                        .engine
                        .committed_offset(&request.group_id, info.id, index)
                        .is_some()
                    {
                        doomed.push((info.id, index));
                    }
                    ErrorCode::None
                }
            };
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    let response = OffsetDeleteResponse::default().with_topics(topics.collect());
    if doomed.is_empty() {
        return Reply::ready(response);
    }
    let group = request.group_id.clone();
    Reply::later(async move {
        match context.broker.engine.delete_offsets(&group, Some(doomed)).await {
            Ok(()) => response,
            Err(error) => {
                OffsetDeleteResponse::default().with_error_code(error_code(&error, Asked::Group).code())
            }
        }
    })
}
