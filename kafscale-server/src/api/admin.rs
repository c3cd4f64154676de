//! CreateTopics, DeleteTopics and CreatePartitions.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafscale_core::{NewTopic, TopicId, TopicInfo};
use kafscale_wire::ErrorCode;
use tokio::time::{Instant, timeout_at};

use super::configs::effective;
use super::errors::{Asked, Refusal};
use super::topics::uuid;
use super::{Reply, RequestContext};
use crate::broker::Broker;

/// Changes of one request that run at the same time; the metadata store writes them with one request.
const AT_ONCE: usize = 32;
/// First versions with what the answer says beyond an error.
const CREATE_RETURNS_CONFIGS: i16 = 5;
const CREATE_RETURNS_ID: i16 = 7;
const DELETE_BY_ID: i16 = 6;
const DELETE_RETURNS_WORDS: i16 = 5;
/// Longest wait for a change, whatever the client asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Whether clients may change topics and configs here.
///
/// # Errors
/// Kafka's answer to clients without the right to do it.
pub(super) fn check_allowed(broker: &Broker) -> Result<(), Refusal> {
    if broker.config.topics.allow_admin {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::ClusterAuthorizationFailed,
        "admin APIs disabled",
    ))
}

/// When a request with this timeout gives up.
pub(super) fn deadline(timeout_ms: i32) -> Instant {
    let wait = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    Instant::now() + wait.min(LONGEST_WAIT)
}

/// Runs a change of the metadata to its end, whether or not the client waits so long.
pub(super) async fn change<T: Send + 'static>(
    deadline: Instant,
    work: impl Future<Output = kafscale_core::Result<T>> + Send + 'static,
) -> Result<T, Refusal> {
    match timeout_at(deadline, tokio::spawn(work)).await {
        Ok(Ok(outcome)) => outcome.map_err(|error| Refusal::from_engine(&error, Asked::Admin)),
        Ok(Err(failed)) => Err(Refusal::new(ErrorCode::UnknownServerError, failed.to_string())),
        Err(_) => Err(Refusal::new(
            ErrorCode::RequestTimedOut,
            "the change is not in the bucket yet; it may still arrive there",
        )),
    }
}

/// How often each name occurs.
fn occurrences<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for name in names {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

/// Creates topics, or only checks whether they could be created.
pub(crate) fn create_topics(context: RequestContext, request: CreateTopicsRequest) -> Reply {
    Reply::later(async move {
        let (version, broker) = (context.api_version, context.broker);
        let counts = occurrences(request.topics.iter().map(|topic| &**topic.name));
        let (validate_only, deadline) = (request.validate_only, deadline(request.timeout_ms));
        let results = stream::iter(request.topics).map(|topic| {
            let repeated = counts.get(&**topic.name).is_some_and(|count| *count > 1);
            let broker = Arc::clone(&broker);
            async move {
                let name = topic.name.clone();
                let outcome = create(&broker, topic, repeated, validate_only, deadline).await;
                create_result(&broker, version, name, outcome)
            }
        });
        CreateTopicsResponse::default().with_topics(results.buffered(AT_ONCE).collect().await)
    })
}

async fn create(
    broker: &Arc<Broker>,
    topic: CreatableTopic,
    repeated: bool,
    validate_only: bool,
    deadline: Instant,
) -> Result<(TopicInfo, bool), Refusal> {
    check_allowed(broker)?;
    if repeated {
        return Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "the request names the topic more than once",
        ));
    }
    let new = NewTopic {
        name: topic.name.to_string(),
        partitions: partition_count(broker, &topic)?,
        configs: configs(&topic)?,
    };
    let engine = broker.engine.clone();
    if let Err(error) = engine.check_topic(&new) {
        return Err(Refusal::from_engine(&error, Asked::Admin));
    }
    if engine.topic(&new.name).is_some() {
        return Err(Refusal::new(
            ErrorCode::TopicAlreadyExists,
            format!("Topic '{}' already exists.", new.name),
        ));
    }
    if validate_only {
        let id = TopicId::ZERO;
        let NewTopic {
            name,
            partitions,
            configs,
        } = new;
        return Ok((
            TopicInfo {
                id,
                name: name.into(),
                partitions,
                configs,
                created_ms: 0,
            },
            true,
        ));
    }
    let created = change(deadline, async move { engine.create_topic(new).await }).await?;
    Ok((TopicInfo::clone(&created), false))
}

/// The number of partitions that is asked for: as a number, as an assignment to brokers, or the default.
fn partition_count(broker: &Broker, topic: &CreatableTopic) -> Result<i32, Refusal> {
    let node = broker.identity.broker_id();
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "a manual assignment takes the place of the number of partitions and the replication factor: both \
                 must be -1",
            ));
        }
        return assigned_partitions(&topic.assignments, node);
    }
    // The bucket keeps the copies; Kafka's replicas would all be on this broker.
    if topic.replication_factor != -1 && topic.replication_factor != 1 {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "The target replication factor of {} cannot be reached because only 1 broker(s) are registered. The \
                 bucket replicates the records; use 1 or -1.",
                topic.replication_factor
            ),
        ));
    }
    match topic.num_partitions {
        -1 => Ok(broker.config.topics.default_partitions),
        count if count > 0 => Ok(count),
        _ => Err(Refusal::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        )),
    }
}

fn assigned_partitions(assignments: &[CreatableReplicaAssignment], node: BrokerId) -> Result<i32, Refusal> {
    let mut numbers: Vec<i32> = assignments
        .iter()
        .map(|assignment| assignment.partition_index)
        .collect();
    numbers.sort_unstable();
    let consecutive = numbers
        .iter()
        .zip(0..)
        .all(|(number, expected)| *number == expected);
    let ours = assignments
        .iter()
        .all(|assignment| assignment.broker_ids == [node]);
    if !consecutive || !ours {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "partitions must be numbered from 0 without a gap, each on broker {} alone",
                node.0
            ),
        ));
    }
    i32::try_from(numbers.len()).map_err(|_| ErrorCode::InvalidPartitions.into())
}

fn configs(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, Refusal> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            return Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Null value not supported for topic configs: {}", config.name),
            ));
        };
        configs.insert(config.name.to_string(), value.to_string());
    }
    Ok(configs)
}

fn create_result(
    broker: &Broker,
    version: i16,
    name: TopicName,
    outcome: Result<(TopicInfo, bool), Refusal>,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(name);
    let (topic, only_validated) = match outcome {
        Ok(created) => created,
        Err(refusal) => {
            let result = result
                .with_error_code(refusal.error.code())
                .with_error_message(refusal.words());
            return result.with_num_partitions(-1).with_replication_factor(-1);
        }
    };
    let result = if version >= CREATE_RETURNS_ID && !only_validated {
        result.with_topic_id(uuid(topic.id))
    } else {
        result
    };
    if version < CREATE_RETURNS_CONFIGS {
        return result;
    }
    let configs = effective(&topic, &broker.config.engine.topic)
        .into_iter()
        .map(|config| {
            CreatableTopicConfigs::default()
                .with_name(config.name())
                .with_value(Some(config.value()))
                .with_config_source(config.source())
        });
    result
        .with_num_partitions(topic.partitions)
        .with_replication_factor(1)
        .with_configs(Some(configs.collect()))
}

/// Deletes topics, named or by id.
pub(crate) fn delete_topics(context: RequestContext, request: DeleteTopicsRequest) -> Reply {
    Reply::later(async move {
        let (version, broker) = (context.api_version, context.broker);
        let deadline = deadline(request.timeout_ms);
        let topics: Vec<DeleteTopicState> = if version >= DELETE_BY_ID {
            request.topics
        } else {
            let named = |name| DeleteTopicState::default().with_name(Some(name));
            request.topic_names.into_iter().map(named).collect()
        };
        let results = stream::iter(topics).map(|topic| {
            let broker = Arc::clone(&broker);
            async move { delete(&broker, version, topic, deadline).await }
        });
        DeleteTopicsResponse::default().with_responses(results.buffered(AT_ONCE).collect().await)
    })
}

async fn delete(
    broker: &Arc<Broker>,
    version: i16,
    topic: DeleteTopicState,
    deadline: Instant,
) -> DeletableTopicResult {
    let found = find_to_delete(broker, &topic);
    let mut result = DeletableTopicResult::default()
        .with_name(topic.name)
        .with_topic_id(topic.topic_id);
    let outcome = match found {
        Err(refusal) => Err(refusal),
        Ok(found) => {
            if version >= DELETE_BY_ID {
                let name = TopicName(kafka_protocol::protocol::StrBytes::from_string(
                    found.name.to_string(),
                ));
                result = result.with_name(Some(name)).with_topic_id(uuid(found.id));
            }
            let engine = broker.engine.clone();
            change(deadline, async move { engine.delete_topic(&found.name).await }).await
        }
    };
    match outcome {
        Ok(()) => result,
        Err(refusal) => {
            let result = result.with_error_code(refusal.error.code());
            if version >= DELETE_RETURNS_WORDS {
                result.with_error_message(refusal.words())
            } else {
                result
            }
        }
    }
}

fn find_to_delete(broker: &Broker, topic: &DeleteTopicState) -> Result<Arc<TopicInfo>, Refusal> {
    check_allowed(broker)?;
    match &topic.name {
        Some(_) if !topic.topic_id.is_nil() => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "You may not specify both topic name and topic id.",
        )),
        Some(name) => broker
            .engine
            .topic(name)
            .ok_or_else(|| ErrorCode::UnknownTopicOrPartition.into()),
        None if topic.topic_id.is_nil() => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "Neither topic name nor id were specified.",
        )),
        None => {
            let id = TopicId(topic.topic_id.into_bytes());
            broker
                .engine
                .topic_by_id(id)
                .ok_or_else(|| ErrorCode::UnknownTopicId.into())
        }
    }
}

/// Adds partitions to topics, or only checks whether that could be done.
pub(crate) fn create_partitions(context: RequestContext, request: CreatePartitionsRequest) -> Reply {
    Reply::later(async move {
        let broker = context.broker;
        let counts = occurrences(request.topics.iter().map(|topic| &**topic.name));
        let (validate_only, deadline) = (request.validate_only, deadline(request.timeout_ms));
        let results = stream::iter(request.topics).map(|topic| {
            let repeated = counts.get(&**topic.name).is_some_and(|count| *count > 1);
            let broker = Arc::clone(&broker);
            async move {
                let outcome = add_partitions(&broker, &topic, repeated, validate_only, deadline).await;
                let result = CreatePartitionsTopicResult::default().with_name(topic.name);
                match outcome {
                    Ok(()) => result,
                    Err(refusal) => result
                        .with_error_code(refusal.error.code())
                        .with_error_message(refusal.words()),
                }
            }
        });
        CreatePartitionsResponse::default().with_results(results.buffered(AT_ONCE).collect().await)
    })
}

async fn add_partitions(
    broker: &Arc<Broker>,
    topic: &CreatePartitionsTopic,
    repeated: bool,
    validate_only: bool,
    deadline: Instant,
) -> Result<(), Refusal> {
    check_allowed(broker)?;
    if repeated {
        return Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "the request names the topic more than once",
        ));
    }
    let found = broker
        .engine
        .topic(&topic.name)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let (now, wanted) = (found.partitions, topic.count);
    if wanted <= now {
        let words = if wanted == now {
            format!("Topic already has {now} partition(s).")
        } else {
            format!(
                "The topic {} currently has {now} partition(s); {wanted} would not be an increase.",
                found.name
            )
        };
        return Err(Refusal::new(ErrorCode::InvalidPartitions, words));
    }
    if let Some(assignments) = &topic.assignments {
        let node = broker.identity.broker_id();
        let added = usize::try_from(wanted.saturating_sub(now)).unwrap_or(0);
        if assignments.len() != added
            || assignments
                .iter()
                .any(|assignment| assignment.broker_ids != [node])
        {
            return Err(Refusal::new(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "each of the {added} new partitions must be assigned to broker {} alone",
                    node.0
                ),
            ));
        }
    }
    let grown = NewTopic {
        name: found.name.to_string(),
        partitions: wanted,
        configs: BTreeMap::new(),
    };
    if let Err(error) = broker.engine.check_topic(&grown)
        && error.kind() != kafscale_core::ErrorKind::AlreadyExists
    {
        return Err(Refusal::from_engine(&error, Asked::Admin));
    }
    if validate_only {
        return Ok(());
    }
    let engine = broker.engine.clone();
    change(deadline, async move {
        engine.create_partitions(&found.name, wanted).await
    })
    .await
}
