//! The topic and who leads its partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use kafscale_wire::ErrorCode;
use kafscale_wire::client::{Client, ClientError, ClientOptions};
use kafscale_wire::kafka_protocol::messages::MetadataResponse;
use tokio::time::{Instant, sleep};

use crate::args::Args;

/// How long a new topic may take until all its partitions have leaders.
const LEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Connections to the leaders of a topic's partitions.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// One connection for each leader.
    pub(crate) nodes: Vec<Client>,
    /// Each partition and the index of its leader, those of one leader together.
    pub(crate) partitions: Vec<(i32, usize)>,
}

fn options(args: &Args) -> ClientOptions {
    ClientOptions {
        client_id: "loadgen".to_owned(),
        deadline: args.timeout,
        ..ClientOptions::default()
    }
}

/// Connects to the first of the given brokers that answers.
async fn bootstrap(args: &Args) -> Result<Client, ClientError> {
    let mut last = ClientError::Connect("--bootstrap names no broker".to_owned());
    for address in args
        .bootstrap
        .split(',')
        .map(str::trim)
        .filter(|address| !address.is_empty())
    {
        match Client::connect(address, options(args)).await {
            Ok(client) => return Ok(client),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Cluster {
    /// Creates the topic if it is not there and connects to the leaders of its partitions.
    pub(crate) async fn prepare(args: &Args) -> Result<Cluster, ClientError> {
        let client = bootstrap(args).await?;
        let metadata = client.metadata(Some(&[&args.topic])).await?;
        if topic_error(&metadata) == ErrorCode::UnknownTopicOrPartition.code() {
            match client
                .create_topic(&args.topic, args.partitions, args.replicas)
                .await
            {
                // Somebody else may create it at the same time.
                Err(ClientError::Refused {
                    error: ErrorCode::TopicAlreadyExists,
                    ..
                })
                | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Cluster::connect(args).await
    }

    /// Connects to the leaders of the topic's partitions, once all have one.
    pub(crate) async fn connect(args: &Args) -> Result<Cluster, ClientError> {
        let client = bootstrap(args).await?;
        let patience = Instant::now() + LEADERS_WITHIN;
        let metadata = loop {
            let metadata = client.metadata(Some(&[&args.topic])).await?;
            match leaderless(&metadata) {
                None => break metadata,
                Some(why) if Instant::now() >= patience => {
                    return Err(ClientError::Answer(format!("topic {}: {why}", args.topic)));
                }
                Some(_) => sleep(Duration::from_millis(100)).await,
            }
        };
        let mut leaders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in metadata.topics.iter().flat_map(|topic| &topic.partitions) {
            leaders
                .entry(partition.leader_id.0)
                .or_default()
                .push(partition.partition_index);
        }
        let mut cluster = Cluster {
            nodes: Vec::new(),
            partitions: Vec::new(),
        };
        for (leader, mut partitions) in leaders {
            let broker = metadata.brokers.iter().find(|broker| broker.node_id.0 == leader);
            let broker = broker.ok_or_else(|| {
                ClientError::Answer(format!("broker {leader} leads a partition but has no address"))
            })?;
            let port = u16::try_from(broker.port)
                .map_err(|_| ClientError::Answer(format!("broker {leader} has port {}", broker.port)))?;
            cluster
                .nodes
                .push(Client::connect((broker.host.as_str(), port), options(args)).await?);
            partitions.sort_unstable();
            let node = cluster.nodes.len() - 1;
            cluster
                .partitions
                .extend(partitions.into_iter().map(|partition| (partition, node)));
        }
        Ok(cluster)
    }

    /// Where each partition ends now. Leaders of a new topic may need a moment until they know that they are.
    pub(crate) async fn ends(&self, topic: &str) -> Result<Vec<(i32, i64)>, ClientError> {
        let patience = Instant::now() + LEADERS_WITHIN;
        let mut ends = Vec::with_capacity(self.partitions.len());
        for &(partition, node) in &self.partitions {
            let Some(client) = self.nodes.get(node) else {
                continue;
            };
            loop {
                match client.list_offset(topic, partition, -1).await {
                    Ok(end) => break ends.push((partition, end)),
                    Err(ClientError::Refused { error, .. })
                        if is_moved(error.code()) && Instant::now() < patience =>
                    {
                        sleep(Duration::from_millis(50)).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(ends)
    }
}

fn topic_error(metadata: &MetadataResponse) -> i16 {
    metadata
        .topics
        .first()
        .map_or(ErrorCode::UnknownTopicOrPartition.code(), |topic| {
            topic.error_code
        })
}

/// Why the topic cannot be used yet, if so.
fn leaderless(metadata: &MetadataResponse) -> Option<String> {
    let code = topic_error(metadata);
    if code != 0 {
        return Some(name(code));
    }
    let partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
    if partitions.clone().count() == 0 {
        return Some("it has no partitions".to_owned());
    }
    partitions
        .into_iter()
        .find(|partition| partition.leader_id.0 < 0)
        .map(|partition| format!("partition {} has no leader", partition.partition_index))
}

/// The name of an error number.
pub(crate) fn name(code: i16) -> String {
    ErrorCode::from_code(code).map_or_else(|| format!("error {code}"), |error| error.to_string())
}

/// Whether the error number says that the partition is led by somebody else.
pub(crate) fn is_moved(code: i16) -> bool {
    code == ErrorCode::NotLeaderOrFollower.code() || code == ErrorCode::UnknownTopicOrPartition.code()
}
