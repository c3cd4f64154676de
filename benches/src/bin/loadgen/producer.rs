//! A producer: makes batches when they are due, sends them without waiting for the answers, counts the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafscale_core::format::batch::add_sequence;
use kafscale_core::format::records::{BatchBuilder, RecordError};
use kafscale_wire::ErrorCode;
use kafscale_wire::client::{Client, ClientError, Pending};
use kafscale_wire::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafscale_wire::kafka_protocol::messages::{
    InitProducerIdRequest, ProduceRequest, ProduceResponse, ProducerId, TopicName,
};
use kafscale_wire::kafka_protocol::protocol::StrBytes;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::args::{Acks, Args};
use crate::cluster::{Cluster, is_moved, name};
use crate::payload::Payload;
use crate::run::Run;
use crate::schedule::{Planned, Schedule};
use crate::stats::Shared;

/// The highest version of Produce that names topics by their name (KIP-516).
const LAST_WITH_TOPIC_NAMES: i16 = 12;
/// How long after the end what was due before it may still be sent: sleeping is exact to a millisecond or so.
const GRACE: Duration = Duration::from_millis(100);
/// How long a broker may take until it has a producer id.
const ID_WITHIN: Duration = Duration::from_secs(30);
/// Pause after a broker could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A batch that was sent.
#[derive(Debug)]
struct Sent {
    partition: i32,
    records: Planned,
    bytes: usize,
}

/// Answers, counted by the tasks that wait for them.
#[derive(Debug)]
struct Answers {
    run: Arc<Run>,
    stats: Arc<Shared>,
    /// Somebody else leads a partition, or the connection is gone.
    reconnect: AtomicBool,
    /// A batch is lost, so that the sequence numbers after it mean nothing any more.
    new_id: AtomicBool,
}

/// What makes a producer idempotent (KIP-98).
#[derive(Debug)]
struct Identity {
    id: i64,
    epoch: i16,
    /// The next sequence number of each partition, in the cluster's order.
    sequences: Vec<i32>,
}

struct Producer {
    args: Arc<Args>,
    cluster: Cluster,
    schedule: Schedule,
    payload: Payload,
    identity: Option<Identity>,
    /// Index of the partition that gets the next batch.
    next: usize,
    answers: Arc<Answers>,
    places: Arc<Semaphore>,
}

/// Sends what is due until the run is over, then waits for the answers.
pub(crate) async fn run(args: Arc<Args>, run: Arc<Run>, stats: Arc<Shared>, shared: Cluster, number: usize) {
    let rate = args
        .rate
        .records(args.record_size)
        .map(|rate| rate / args.producers as f64);
    // Producers take turns instead of sending at the same moments.
    let turn = rate.map_or(Duration::ZERO, |rate| {
        Duration::from_secs_f64(number as f64 / args.producers as f64 / rate)
    });
    let schedule = Schedule::new(rate, turn, run.until(), args.records_per_batch(), args.linger);
    let payload = Payload::new(run.id, args.payload, args.record_size, number as u64);
    let answers = Arc::new(Answers {
        run,
        stats,
        // The connections that found the topic are the first producer's; the others make their own.
        reconnect: AtomicBool::new(number > 0),
        new_id: AtomicBool::new(args.idempotent),
    });
    let mut producer = Producer {
        next: number % shared.partitions.len().max(1),
        cluster: shared,
        schedule,
        payload,
        identity: None,
        places: Arc::new(Semaphore::new(args.in_flight as usize)),
        answers,
        args,
    };
    let run = Arc::clone(&producer.answers.run);
    while let Some(ready) = producer.schedule.ready_at() {
        if run.is_stopped() || run.now() >= run.until() + GRACE {
            break;
        }
        run.sleep_until(ready).await;
        if run.unless_stopped(producer.step()).await.is_none() {
            break;
        }
    }
    let behind = producer.schedule.due(run.until());
    producer.answers.stats.count(|stats| stats.behind += behind);
    // All places free again: every answer is counted.
    let _all = producer.places.acquire_many(producer.args.in_flight).await;
}

impl Producer {
    /// Sends one request, or gets ready to.
    async fn step(&mut self) {
        if let Err(error) = self.get_ready().await {
            self.answers.stats.error(error.to_string(), 1);
            self.answers.reconnect.store(true, Ordering::Release);
            return sleep(RETRY_PAUSE).await;
        }
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return;
        };
        let (client, sent, request) = match self.request() {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(error) => return self.answers.stats.error(error.to_string(), 1),
        };
        let answers = Arc::clone(&self.answers);
        match dispatch(&client, self.args.acks, &request).await {
            Ok(None) => answers.sent(&sent),
            Ok(Some(pending)) => {
                tokio::spawn(async move {
                    answers.count(&sent, pending.answer().await);
                    drop(place);
                });
            }
            Err(error) => answers.count(&sent, Err(error)),
        }
    }

    /// Connects anew and gets a new producer id, where that is needed, after all answers of before have come.
    async fn get_ready(&mut self) -> Result<(), ClientError> {
        let reconnect = self.answers.reconnect.load(Ordering::Acquire);
        let new_id = self.answers.new_id.load(Ordering::Acquire);
        if !reconnect && !new_id {
            return Ok(());
        }
        let _all = self.places.acquire_many(self.args.in_flight).await;
        if reconnect {
            self.cluster = Cluster::connect(&self.args).await?;
            self.answers.reconnect.store(false, Ordering::Release);
        }
        if self.args.idempotent {
            let client = self
                .cluster
                .nodes
                .first()
                .ok_or_else(|| ClientError::Answer("the topic has no partitions".to_owned()))?;
            let (id, epoch) = producer_id(client).await?;
            self.identity = Some(Identity {
                id,
                epoch,
                sequences: vec![0; self.cluster.partitions.len()],
            });
            self.answers.new_id.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// The batches that are due, for partitions of one leader, in one request.
    fn request(&mut self) -> Result<Option<(Client, Vec<Sent>, ProduceRequest)>, RecordError> {
        let now = self.answers.run.now();
        let partitions = self.cluster.partitions.len();
        let Some(&(_, leader)) = self.cluster.partitions.get(self.next % partitions) else {
            return Ok(None);
        };
        let Some(client) = self.cluster.nodes.get(leader).cloned() else {
            return Ok(None);
        };
        let (mut sent, mut data, mut bytes) = (Vec::new(), Vec::new(), 0);
        while sent.len() < partitions && bytes < self.args.request_bytes {
            let index = self.next % partitions;
            let Some(&(partition, node)) = self.cluster.partitions.get(index) else {
                break;
            };
            if node != leader {
                break;
            }
            let Some(records) = self.schedule.take(now) else {
                break;
            };
            let batch = self.batch(index, records)?;
            bytes += records.count as usize * self.args.record_size;
            sent.push(Sent {
                partition,
                records,
                bytes: batch.len(),
            });
            data.push(
                PartitionProduceData::default()
                    .with_index(partition)
                    .with_records(Some(batch)),
            );
            self.next = (index + 1) % partitions;
        }
        if sent.is_empty() {
            return Ok(None);
        }
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(self.args.topic.clone())))
            .with_partition_data(data);
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(self.args.acks.number())
            .with_timeout_ms(i32::try_from(self.args.timeout.as_millis()).unwrap_or(i32::MAX))
            .with_topic_data(vec![topic]);
        Ok(Some((client, sent, request)))
    }

    fn batch(&mut self, index: usize, records: Planned) -> Result<Bytes, RecordError> {
        let mut builder = BatchBuilder::new().compression(self.args.compression.compression(), None);
        if let Some(identity) = &mut self.identity
            && let Some(sequence) = identity.sequences.get_mut(index)
        {
            builder = builder.producer(identity.id, identity.epoch, *sequence);
            *sequence = add_sequence(*sequence, i32::try_from(records.count).unwrap_or(i32::MAX));
        }
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        for due in records.times() {
            builder.append(now_ms, None, Some(self.payload.value(due)), &[])?;
        }
        builder.build()
    }
}

/// A producer id and its epoch. A broker that has just started may need a moment until it has one.
pub(crate) async fn producer_id(client: &Client) -> Result<(i64, i16), ClientError> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let patience = Instant::now() + ID_WITHIN;
    loop {
        let answer = client.send(&request).await?;
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => return Ok((answer.producer_id.0, answer.producer_epoch)),
            Some(ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable)
                if Instant::now() < patience =>
            {
                sleep(RETRY_PAUSE).await;
            }
            _ => {
                let what = format!("InitProducerId: {}", name(answer.error_code));
                return Err(ClientError::Answer(what));
            }
        }
    }
}

async fn dispatch(
    client: &Client,
    acks: Acks,
    request: &ProduceRequest,
) -> Result<Option<Pending<ProduceResponse>>, ClientError> {
    let version = client.version_of::<ProduceRequest>(LAST_WITH_TOPIC_NAMES)?;
    if acks == Acks::None {
        client.post(version, request).await.map(|()| None)
    } else {
        client.dispatch(version, request).await.map(Some)
    }
}

impl Answers {
    /// Counts the answer to a request.
    fn count(&self, sent: &[Sent], answer: Result<ProduceResponse, ClientError>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.reconnect.store(true, Ordering::Release);
                for batch in sent {
                    self.failed(batch, error.to_string());
                }
                return;
            }
        };
        let (now, now_ns) = (self.run.now(), self.run.now_ns());
        for batch in sent {
            let found = answer
                .responses
                .iter()
                .flat_map(|topic| &topic.partition_responses);
            match found.clone().find(|found| found.index == batch.partition) {
                Some(found) if found.error_code == 0 => {
                    self.stats.wrote(u64::from(batch.records.count));
                    self.stats.count(|stats| {
                        stats.all_acked += u64::from(batch.records.count);
                        if self.run.counts(now) {
                            stats.acked += u64::from(batch.records.count);
                            stats.wire_bytes += batch.bytes as u64;
                        }
                        let from = self.run.from.as_nanos() as u64;
                        for due in batch.records.times().filter(|&due| due >= from) {
                            stats.ack.record(now_ns.saturating_sub(due));
                        }
                    });
                }
                Some(found) => {
                    if is_moved(found.error_code) {
                        self.reconnect.store(true, Ordering::Release);
                    }
                    self.failed(batch, name(found.error_code));
                }
                None => self.failed(batch, "the answer lacks the partition".to_owned()),
            }
        }
        if self.run.counts(now) {
            self.stats.count(|stats| stats.requests += 1);
        }
    }

    /// Counts a request that has no answer (acks=0).
    fn sent(&self, sent: &[Sent]) {
        let counts = self.run.counts(self.run.now());
        self.stats.count(|stats| {
            for batch in sent {
                stats.all_acked += u64::from(batch.records.count);
                if counts {
                    stats.acked += u64::from(batch.records.count);
                    stats.wire_bytes += batch.bytes as u64;
                }
            }
            stats.requests += u64::from(counts);
        });
        self.stats
            .wrote(sent.iter().map(|batch| u64::from(batch.records.count)).sum());
    }

    fn failed(&self, batch: &Sent, why: String) {
        self.new_id.store(true, Ordering::Release);
        self.stats
            .count(|stats| stats.failed += u64::from(batch.records.count));
        self.stats.error(why, u64::from(batch.records.count));
    }
}
