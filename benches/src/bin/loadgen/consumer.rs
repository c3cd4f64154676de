//! A consumer: reads its partitions from where they ended when the run began, and says how old each record is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafscale_core::format::batch::Batches;
use kafscale_core::format::records::Records;
use kafscale_wire::client::{Client, ClientError};
use kafscale_wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafscale_wire::kafka_protocol::messages::{FetchRequest, TopicName};
use kafscale_wire::kafka_protocol::protocol::StrBytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::args::Args;
use crate::cluster::{Cluster, is_moved, name};
use crate::histogram::Histogram;
use crate::payload::due;
use crate::run::Run;
use crate::stats::Shared;

/// The highest version of Fetch that names topics by their name (KIP-516).
const LAST_WITH_TOPIC_NAMES: i16 = 12;
/// Kafka's `fetch.max.wait.ms`.
const MAX_WAIT: Duration = Duration::from_millis(500);
/// Kafka's `fetch.max.bytes` and `max.partition.fetch.bytes`.
const MAX_BYTES: i32 = 50 << 20;
const MAX_PARTITION_BYTES: i32 = 1 << 20;
/// Bytes that a batch may have after decompression.
const MAX_BATCH: usize = 256 << 20;
/// How long a consumer without anything new waits for the rest once the producers are done.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after an error.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

struct Consumer {
    args: Arc<Args>,
    run: Arc<Run>,
    stats: Arc<Shared>,
}

/// The partitions that one connection reads: each one's next offset and whether it was at its end.
type Positions = BTreeMap<i32, (i64, bool)>;

/// Reads `starts` (partition and offset) until the producers are done and everything is read.
pub(crate) async fn run(args: Arc<Args>, run: Arc<Run>, stats: Arc<Shared>, starts: Vec<(i32, i64)>) {
    let consumer = Arc::new(Consumer { args, run, stats });
    let mut positions: Positions = starts
        .into_iter()
        .map(|(partition, offset)| (partition, (offset, false)))
        .collect();
    let mut patience = Instant::now() + PATIENCE;
    // One round ends when a leader changes or a connection breaks.
    while !positions.is_empty() {
        let cluster = match Cluster::connect(&consumer.args).await {
            Ok(cluster) => cluster,
            Err(error) => {
                consumer.stats.error(format!("consumer: {error}"), 1);
                if consumer.run.is_drained() && Instant::now() >= patience {
                    return;
                }
                sleep(RETRY_PAUSE).await;
                continue;
            }
        };
        let mut by_node: BTreeMap<usize, Positions> = BTreeMap::new();
        for &(partition, node) in &cluster.partitions {
            if let Some(position) = positions.get(&partition) {
                by_node.entry(node).or_default().insert(partition, *position);
            }
        }
        let mut readers = JoinSet::new();
        for (node, positions) in by_node {
            if let Some(client) = cluster.nodes.get(node).cloned() {
                readers.spawn(Arc::clone(&consumer).read(client, positions));
            }
        }
        let mut left = Positions::new();
        while let Some(reader) = readers.join_next().await {
            match reader {
                Ok(more) => left.extend(more),
                Err(error) => consumer.stats.error(format!("consumer: {error}"), 1),
            }
        }
        if left
            .iter()
            .any(|(partition, position)| positions.get(partition) != Some(position))
        {
            patience = Instant::now() + PATIENCE;
        }
        positions = left;
        if !consumer.run.is_drained() {
            patience = Instant::now() + PATIENCE;
        } else if Instant::now() >= patience {
            return;
        }
    }
}

impl Consumer {
    /// Reads from one broker until everything is read (then no position is left) or something goes wrong.
    async fn read(self: Arc<Self>, client: Client, mut positions: Positions) -> Positions {
        let mut patience = Instant::now() + PATIENCE;
        loop {
            let last_round = self.run.is_drained();
            match self.fetch(&client, &mut positions).await {
                Ok(Outcome::Read(records)) => {
                    if records > 0 || !last_round {
                        patience = Instant::now() + PATIENCE;
                    }
                }
                Ok(Outcome::Moved) => {
                    sleep(RETRY_PAUSE).await;
                    return positions;
                }
                Err(error) => {
                    self.stats.error(format!("consumer: {error}"), 1);
                    sleep(RETRY_PAUSE).await;
                    return positions;
                }
            }
            let complete = positions.values().all(|&(_, at_end)| at_end);
            if last_round && (complete || Instant::now() >= patience) {
                return Positions::new();
            }
        }
    }

    async fn fetch(&self, client: &Client, positions: &mut Positions) -> Result<Outcome, ClientError> {
        let wanted = |(&partition, &(offset, _)): (&i32, &(i64, bool))| {
            FetchPartition::default()
                .with_partition(partition)
                .with_fetch_offset(offset)
                .with_partition_max_bytes(MAX_PARTITION_BYTES)
        };
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(self.args.topic.clone())))
            .with_partitions(positions.iter().map(wanted).collect());
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(MAX_WAIT.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(MAX_BYTES)
            .with_topics(vec![topic]);
        let version = client.version_of::<FetchRequest>(LAST_WITH_TOPIC_NAMES)?;
        let answer = client
            .dispatch(version, &request)
            .await?
            .extend(MAX_WAIT)
            .answer()
            .await?;
        if answer.error_code != 0 {
            return Err(ClientError::Answer(name(answer.error_code)));
        }
        let mut read = 0;
        for partition in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            let Some((offset, at_end)) = positions.get_mut(&partition.partition_index) else {
                return Err(ClientError::Answer(
                    "a partition that was not asked for".to_owned(),
                ));
            };
            match partition.error_code {
                0 => {
                    let records = partition.records.unwrap_or_default();
                    read += self.take(&records, offset)?;
                    *at_end = *offset >= partition.high_watermark;
                }
                code if is_moved(code) => return Ok(Outcome::Moved),
                code => {
                    return Err(ClientError::Answer(format!(
                        "{} at offset {offset} of partition {}",
                        name(code),
                        partition.partition_index
                    )));
                }
            }
        }
        Ok(Outcome::Read(read))
    }

    /// Counts the records from `offset` on, and moves it behind them.
    fn take(&self, bytes: &Bytes, offset: &mut i64) -> Result<u64, ClientError> {
        let broken = |what: String| ClientError::Answer(format!("a batch that cannot be read: {what}"));
        let (now, now_ns) = (self.run.now(), self.run.now_ns());
        let from = self.run.from.as_nanos() as u64;
        let mut latencies = Histogram::default();
        let mut count = 0;
        for batch in Batches::lenient(bytes) {
            let (header, range) = batch.map_err(|error| broken(error.to_string()))?;
            if header.is_control() {
                *offset = header.next_offset();
                continue;
            }
            let records =
                Records::open(&bytes.slice(range), MAX_BATCH).map_err(|error| broken(error.to_string()))?;
            for record in records {
                let record = record.map_err(|error| broken(error.to_string()))?;
                let Some(due) = record.value.as_ref().and_then(|value| due(self.run.id, value)) else {
                    continue;
                };
                if record.offset < *offset {
                    continue;
                }
                count += 1;
                if due >= from {
                    latencies.record(now_ns.saturating_sub(due));
                }
            }
            *offset = header.next_offset();
        }
        self.stats.count(|stats| {
            stats.all_consumed += count;
            if self.run.counts(now) {
                stats.consumed += count;
            }
            stats.end_to_end.merge(&latencies);
        });
        Ok(count)
    }
}

/// How a fetch ended.
enum Outcome {
    /// With so many records.
    Read(u64),
    /// Somebody else leads a partition now.
    Moved,
}
