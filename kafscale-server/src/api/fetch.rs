//! Fetch: records out, as the batches that came in.

use std::time::Duration;

use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchPartition as AskedPartition;
use kafka_protocol::protocol::StrBytes;
use kafscale_core::{Engine, Fetched, TopicId};
use kafscale_wire::ErrorCode;
use kafscale_wire::fetch_response::{EpochEndOffset, FetchResponse, FetchablePartition, FetchableTopic};

use super::produce::count_records;
use super::topics::{check_epoch, find};
use super::{Reply, RequestContext, ResponseBody, records_error};
use crate::broker::Broker;

/// First version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// First version with fetch sessions (KIP-227).
const SESSIONS: i16 = 7;
/// A client that asks for no session, or for a new one.
const NO_SESSION_EPOCHS: std::ops::RangeInclusive<i32> = -1..=0;
const READ_COMMITTED: i8 = 1;
/// Longest long poll, whatever the client asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Where in the answer a partition of the engine's request stands.
struct Place {
    topic: usize,
    partition: usize,
}

/// Reads from all partitions that are named, and waits for records when there are too few.
pub(crate) fn fetch(context: RequestContext, request: FetchRequest) -> Reply {
    if context.api_version >= SESSIONS {
        // Every fetch here names all its partitions: a session would only be state that can be lost.
        let error = if request.session_id != 0 {
            ErrorCode::FetchSessionIdNotFound
        } else if !NO_SESSION_EPOCHS.contains(&request.session_epoch) {
            ErrorCode::InvalidFetchSessionEpoch
        } else {
            ErrorCode::None
        };
        if error != ErrorCode::None {
            return Reply::Ready(ResponseBody::Fetched(FetchResponse {
                error,
                ..FetchResponse::default()
            }));
        }
    }
    let (mut topics, partitions, places) = look_up(&context, &request);
    let answered = topics.iter().flat_map(|topic| &topic.partitions);
    // An error is news: a client that waits would learn of it late.
    let has_news = answered
        .clone()
        .any(|p| p.error != ErrorCode::None || p.diverging_epoch.is_some());
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(LONGEST_WAIT);
    let net = &context.broker.config.net;
    let asked = kafscale_core::FetchRequest {
        max_bytes: usize::try_from(request.max_bytes)
            .unwrap_or(0)
            .min(net.fetch_max_bytes),
        min_bytes: usize::try_from(request.min_bytes)
            .unwrap_or(0)
            .min(net.fetch_max_bytes),
        max_wait: if has_news || partitions.is_empty() {
            Duration::ZERO
        } else {
            wait
        },
        partitions,
    };
    let committed = request.isolation_level == READ_COMMITTED;
    let broker = context.broker;
    Reply::Later(Box::pin(async move {
        let fetched = if asked.partitions.is_empty() {
            Vec::new()
        } else {
            long_poll(&broker, asked).await
        };
        for (place, result) in places.into_iter().zip(fetched) {
            let slot = topics
                .get_mut(place.topic)
                .and_then(|topic| topic.partitions.get_mut(place.partition));
            if let Some(slot) = slot {
                fill(&broker, slot, result, committed);
            }
        }
        ResponseBody::Fetched(FetchResponse {
            topics,
            ..FetchResponse::default()
        })
    }))
}

/// The engine's long poll, which a stopping broker cuts short.
async fn long_poll(
    broker: &Broker,
    asked: kafscale_core::FetchRequest,
) -> Vec<kafscale_core::Result<Fetched>> {
    let at_once = kafscale_core::FetchRequest {
        max_wait: Duration::ZERO,
        ..asked.clone()
    };
    tokio::select! {
        biased;
        fetched = broker.engine.fetch(asked) => fetched,
        () = broker.draining.cancelled() => broker.engine.fetch(at_once).await,
    }
}

/// The answer's shape, with the errors that are known already; what to ask the engine for; and where that goes.
fn look_up(
    context: &RequestContext,
    request: &FetchRequest,
) -> (
    Vec<FetchableTopic>,
    Vec<kafscale_core::FetchPartition>,
    Vec<Place>,
) {
    let engine = &context.broker.engine;
    let (mut topics, mut partitions, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for asked_topic in &request.topics {
        let found = find(
            engine,
            context.api_version >= TOPIC_IDS,
            &asked_topic.topic,
            asked_topic.topic_id,
        );
        let mut answers = Vec::with_capacity(asked_topic.partitions.len());
        for asked in &asked_topic.partitions {
            let mut answer = FetchablePartition {
                partition: asked.partition,
                ..FetchablePartition::default()
            };
            let checked = match &found {
                Ok(topic) => check(engine, topic.id, asked).map(|diverging| (topic.id, diverging)),
                Err(error) => Err(*error),
            };
            match checked {
                Err(error) => answer.error = error,
                Ok((id, Some(diverging))) => {
                    answer.diverging_epoch = Some(diverging);
                    if let Ok(info) = engine.partition_info(id, asked.partition) {
                        answer.high_watermark = info.high_watermark;
                        answer.last_stable_offset = info.high_watermark;
                        answer.log_start_offset = info.log_start_offset;
                    }
                }
                Ok((topic, None)) => {
                    places.push(Place {
                        topic: topics.len(),
                        partition: answers.len(),
                    });
                    partitions.push(kafscale_core::FetchPartition {
                        topic,
                        partition: asked.partition,
                        offset: asked.fetch_offset,
                        max_bytes: usize::try_from(asked.partition_max_bytes).unwrap_or(0),
                    });
                }
            }
            answers.push(answer);
        }
        topics.push(FetchableTopic {
            name: StrBytes::from(asked_topic.topic.clone()),
            topic_id: asked_topic.topic_id,
            partitions: answers,
        });
    }
    (topics, partitions, places)
}

/// Compares what the client knows of the log's epochs with the log (KIP-320, KIP-595).
fn check(
    engine: &Engine,
    topic: TopicId,
    asked: &AskedPartition,
) -> Result<Option<EpochEndOffset>, ErrorCode> {
    check_epoch(engine, topic, asked.partition, asked.current_leader_epoch)?;
    if asked.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let (epoch, end_offset) = engine
        .leader_epoch_end(topic, asked.partition, asked.last_fetched_epoch)
        .map_err(|error| records_error(&error))?;
    if epoch < 0 || end_offset < 0 {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let diverges = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
    Ok(diverges.then_some(EpochEndOffset { epoch, end_offset }))
}

fn fill(
    broker: &Broker,
    answer: &mut FetchablePartition,
    result: kafscale_core::Result<Fetched>,
    committed: bool,
) {
    match result {
        Ok(fetched) => {
            let records = fetched.records.iter().map(count_records).sum();
            broker.metrics.fetched(records);
            answer.high_watermark = fetched.high_watermark;
            // Without transactions every record below the high watermark is stable.
            answer.last_stable_offset = fetched.high_watermark;
            answer.log_start_offset = fetched.log_start_offset;
            answer.aborted_transactions = committed.then(Vec::new);
            answer.records = fetched.records;
        }
        Err(error) => answer.error = records_error(&error),
    }
}
