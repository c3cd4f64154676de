//! Produce and InitProducerId: records in, offsets out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
};
use kafscale_core::format::batch::Batches;
use kafscale_core::{AppendOptions, Appended, TopicInfo};
use kafscale_wire::ErrorCode;
use tokio::time::{Instant, timeout_at};

use super::errors::{Asked, Refusal};
use super::topics::find;
use super::{Reply, RequestContext, admin_error};
use crate::broker::Broker;

/// First version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// First version in which a partition's error has words (KIP-467).
const ERROR_MESSAGES: i16 = 8;
/// Longest wait for durability, whatever the client asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// One partition of the answer, on its way.
struct Partition {
    index: i32,
    outcome: Result<Appended, Refusal>,
}

struct Topic {
    name: kafka_protocol::messages::TopicName,
    id: uuid::Uuid,
    partitions: Vec<Partition>,
}

/// Gives the records their offsets, in the order of the request; the answer waits until they are in the bucket.
pub(crate) async fn produce(context: RequestContext, request: ProduceRequest) -> Reply {
    let (version, acks) = (context.api_version, request.acks);
    let refused = refusal_of_all(&request);
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        topics.push(append_topic(&context, topic, acks, refused).await);
    }
    if acks == 0 {
        return match topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .find_map(|p| p.outcome.as_ref().err())
        {
            // The client reads no answer: a closed connection is the only way to tell it.
            Some(refusal) => {
                let words = refusal.message.as_deref().unwrap_or_default();
                Reply::Close(format!(
                    "a produce with acks=0 failed: {} {words}",
                    refusal.error.name()
                ))
            }
            None => Reply::None,
        };
    }
    let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)).min(LONGEST_WAIT);
    let deadline = Instant::now() + wait;
    Reply::later(async move {
        let responses = join_all(
            topics
                .into_iter()
                .map(|topic| finish_topic(topic, version, deadline)),
        )
        .await;
        ProduceResponse::default().with_responses(responses)
    })
}

/// Why no partition of the request can be written, if that is so.
fn refusal_of_all(request: &ProduceRequest) -> Option<(ErrorCode, &'static str)> {
    if !(-1..=1).contains(&request.acks) {
        return Some((ErrorCode::InvalidRequiredAcks, "acks must be -1, 0 or 1"));
    }
    if request.transactional_id.is_some() {
        return Some((ErrorCode::UnsupportedVersion, "transactions are not supported"));
    }
    None
}

async fn append_topic(
    context: &RequestContext,
    topic: TopicProduceData,
    acks: i16,
    refused: Option<(ErrorCode, &'static str)>,
) -> Topic {
    let broker = &context.broker;
    let found = find(
        &broker.engine,
        context.api_version >= TOPIC_IDS,
        &topic.name,
        topic.topic_id,
    );
    let mut partitions = Vec::with_capacity(topic.partition_data.len());
    for data in topic.partition_data {
        let index = data.index;
        let outcome = match (&refused, &found) {
            (Some((error, words)), _) => Err(Refusal::new(*error, *words)),
            (None, Err(error)) => Err(Refusal::from(*error)),
            (None, Ok(topic)) => append(broker, topic, data, acks).await,
        };
        partitions.push(Partition { index, outcome });
    }
    Topic {
        name: topic.name,
        id: topic.topic_id,
        partitions,
    }
}

async fn append(
    broker: &Arc<Broker>,
    topic: &TopicInfo,
    data: PartitionProduceData,
    acks: i16,
) -> Result<Appended, Refusal> {
    let records = data
        .records
        .filter(|records| !records.is_empty())
        .ok_or_else(|| Refusal::new(ErrorCode::InvalidRecord, "the partition has no record batch"))?;
    let count = count_records(&records);
    let options = AppendOptions { wait: acks != 0 };
    let appended = broker
        .engine
        .append(topic.id, data.index, records, options)
        .await
        .map_err(refusal)?;
    broker.metrics.produced(count);
    Ok(appended)
}

fn refusal(error: kafscale_core::Error) -> Refusal {
    Refusal::from_engine(&error, Asked::Records)
}

/// Records in whole batches; what is not a batch counts nothing.
pub(super) fn count_records(batches: &Bytes) -> u64 {
    let headers = Batches::lenient(batches).map_while(Result::ok);
    headers
        .map(|(header, _)| u64::try_from(header.record_count).unwrap_or(0))
        .sum()
}

async fn finish_topic(topic: Topic, version: i16, deadline: Instant) -> TopicProduceResponse {
    let partitions = topic
        .partitions
        .into_iter()
        .map(|partition| finish(partition, version, deadline));
    let response = TopicProduceResponse::default().with_partition_responses(join_all(partitions).await);
    if version >= TOPIC_IDS {
        response.with_topic_id(topic.id)
    } else {
        response.with_name(topic.name)
    }
}

/// Waits until the records are durable. After a timeout they stay on their way, and a retry of an idempotent producer
/// finds them.
async fn finish(partition: Partition, version: i16, deadline: Instant) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(partition.index);
    let outcome = match partition.outcome {
        Ok(appended) => {
            let answer = response
                .clone()
                .with_base_offset(appended.base_offset)
                .with_log_append_time_ms(appended.log_append_time_ms.unwrap_or(-1))
                .with_log_start_offset(appended.log_start_offset);
            match timeout_at(deadline, appended.durable()).await {
                Ok(durable) => durable.map(|()| answer).map_err(refusal),
                Err(_) => Err(Refusal::new(
                    ErrorCode::RequestTimedOut,
                    "the records are not in the bucket yet; they may still arrive there",
                )),
            }
        }
        Err(refusal) => Err(refusal),
    };
    outcome.unwrap_or_else(|refusal| {
        let code = refusal.error.code();
        let message = refusal.words().filter(|_| version >= ERROR_MESSAGES);
        response
            .with_error_code(code)
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1)
            .with_error_message(message)
    })
}

/// Hands out a producer id. Like Kafka's, an id that the client already has is not looked at without a transaction:
/// idempotent clients raise their epoch themselves (KIP-360).
pub(crate) fn init_producer_id(context: RequestContext, request: InitProducerIdRequest) -> Reply {
    let refused = |error: ErrorCode| {
        let response = InitProducerIdResponse::default().with_error_code(error.code());
        Reply::ready(response.with_producer_id(ProducerId(-1)).with_producer_epoch(-1))
    };
    match &request.transactional_id {
        Some(id) if id.is_empty() => return refused(ErrorCode::InvalidRequest),
        Some(_) => return refused(ErrorCode::UnsupportedVersion),
        None => {}
    }
    if (request.producer_id.0 == -1) != (request.producer_epoch == -1) {
        return refused(ErrorCode::InvalidRequest);
    }
    Reply::later(async move {
        let response = InitProducerIdResponse::default();
        match context.broker.engine.allocate_producer_id().await {
            Ok(id) => response.with_producer_id(ProducerId(id)).with_producer_epoch(0),
            Err(error) => response
                .with_error_code(admin_error(&error).code())
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1),
        }
    })
}
