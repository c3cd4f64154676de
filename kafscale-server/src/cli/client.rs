//! What `produce` and `consume` have in common: a connection to a broker, and the partitions of a topic.

use std::future::Future;
use std::time::Duration;

use clap::{Arg, ArgMatches};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafscale_wire::ErrorCode;
use kafscale_wire::client::{Client, ClientOptions};

/// How long a topic that was just created may take to have leaders.
const LEADER_PATIENCE: u32 = 50;
const LEADER_PAUSE: Duration = Duration::from_millis(100);

/// Runs a command's future on a small runtime.
pub(super) fn block_on(command: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the process cannot start: {error}"))?;
    let outcome = runtime.block_on(command);
    // A thread may still wait for the standard input.
    runtime.shutdown_background();
    outcome
}

/// The topic.
pub(super) fn topic_argument() -> Arg {
    Arg::new("topic")
        .value_name("TOPIC")
        .required(true)
        .help("The topic")
}

/// Where the broker is.
pub(super) fn bootstrap_argument() -> Arg {
    Arg::new("bootstrap")
        .long("bootstrap")
        .value_name("HOST:PORT")
        .default_value("127.0.0.1:9092")
        .help("The broker")
}

/// Text between key and value.
pub(super) fn separator_argument(help: &'static str) -> Arg {
    Arg::new("key-separator")
        .long("key-separator")
        .value_name("TEXT")
        .help(help)
}

/// A required or defaulted text argument.
pub(super) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Result<&'a str, String> {
    let value = matches.get_one::<String>(name).map(String::as_str);
    value.ok_or_else(|| format!("--{name} is missing"))
}

/// Connects to the broker that the arguments name.
pub(super) async fn connect(matches: &ArgMatches) -> Result<Client, String> {
    let address = text(matches, "bootstrap")?;
    let connected = Client::connect(address, ClientOptions::default()).await;
    connected
        .map_err(|error| format!("{address}: {error}. Is a broker running there? `kafscale broker --help`"))
}

/// The partitions of a topic, in order. Creates the topic when `create` is set and the broker allows it.
pub(super) async fn partitions(client: &Client, topic: &str, create: bool) -> Result<Vec<i32>, String> {
    let name = TopicName(StrBytes::from_string(topic.to_owned()));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name))]))
        .with_allow_auto_topic_creation(create);
    for _ in 0..LEADER_PATIENCE {
        let answer = client.send(&request).await.map_err(|error| error.to_string())?;
        let found = answer
            .topics
            .first()
            .ok_or("the broker's answer does not name the topic")?;
        let error = ErrorCode::from_code(found.error_code).unwrap_or(ErrorCode::UnknownServerError);
        let leaderless = found.partitions.iter().any(|partition| partition.leader_id.0 < 0);
        if error == ErrorCode::LeaderNotAvailable || (error == ErrorCode::None && leaderless) {
            tokio::time::sleep(LEADER_PAUSE).await;
            continue;
        }
        if error != ErrorCode::None {
            return Err(format!("topic {topic}: {}", error.name()));
        }
        let mut partitions: Vec<i32> = found
            .partitions
            .iter()
            .map(|partition| partition.partition_index)
            .collect();
        partitions.sort_unstable();
        return Ok(partitions);
    }
    Err(format!("topic {topic}: no partition has a leader"))
}
