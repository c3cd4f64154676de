//! `kafscale consume`: prints the records of a topic.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use bytes::Bytes;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafscale_core::format::batch::Batches;
use kafscale_core::format::records::Records;
use kafscale_wire::ErrorCode;
use kafscale_wire::client::Client;

use super::client::{bootstrap_argument, connect, partitions, separator_argument, text, topic_argument};

/// The subcommand.
pub(super) const NAME: &str = "consume";

/// The highest version of Fetch that names topics by their name (KIP-516).
const LAST_WITH_TOPIC_NAMES: i16 = 12;
/// ListOffsets' timestamps for the two ends of a partition.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// How long the broker waits for records.
const MAX_WAIT: Duration = Duration::from_millis(500);
/// How long to wait before asking again after an error that passes.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes asked of one partition, and of all.
const PARTITION_BYTES: i32 = 1 << 20;
const MAX_BYTES: i32 = 16 << 20;
/// Most that one batch may decompress to.
const DECOMPRESSED_BYTES: usize = 256 << 20;

const EXAMPLES: &str = "\
Examples:
  kafscale consume numbers --exit-at-end > numbers.txt
  kafscale consume pairs --key-separator : --max-messages 10";

/// The subcommand's flags.
pub(super) fn command() -> Command {
    Command::new(NAME)
        .about(
            "Prints the values of a topic's records, one a line, and waits for more until it is interrupted",
        )
        .after_help(EXAMPLES)
        .arg(topic_argument())
        .arg(bootstrap_argument())
        .arg(separator_argument(
            "Prints the key before the value, with this text between them",
        ))
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("WORD")
                .value_parser(["beginning", "end"])
                .default_value("beginning")
                .help("Where to begin"),
        )
        .arg(
            Arg::new("partition")
                .long("partition")
                .value_name("N")
                .value_parser(value_parser!(i32).range(0..))
                .help("Reads this partition only"),
        )
        .arg(
            Arg::new("max-messages")
                .long("max-messages")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("Ends after this many records"),
        )
        .arg(
            Arg::new("exit-at-end")
                .long("exit-at-end")
                .action(ArgAction::SetTrue)
                .help("Ends when everything is printed that was there at the start"),
        )
}

/// Prints records until there is a reason to stop.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), String> {
    let topic = text(matches, "topic")?;
    let client = connect(matches).await?;
    let mut partitions = partitions(&client, topic, false).await?;
    if let Some(wanted) = matches.get_one::<i32>("partition") {
        partitions.retain(|partition| partition == wanted);
        if partitions.is_empty() {
            return Err(format!("topic {topic} has no partition {wanted}"));
        }
    }
    let start = if text(matches, "from")? == "end" {
        LATEST
    } else {
        EARLIEST
    };
    let (mut positions, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for partition in partitions {
        positions.insert(partition, offset(&client, topic, partition, start).await?);
        ends.insert(partition, offset(&client, topic, partition, LATEST).await?);
    }
    let mut consumer = Consumer {
        client,
        topic: topic.to_owned(),
        positions,
        ends: matches.get_flag("exit-at-end").then_some(ends),
        left: matches.get_one::<u64>("max-messages").copied(),
        separator: matches.get_one::<String>("key-separator").cloned(),
        output: BufWriter::new(io::stdout()),
    };
    let consumed = tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Stop::from),
        consumed = consumer.consume() => consumed,
    };
    let flushed = consumer.output.flush();
    match (consumed, flushed) {
        // Whoever reads the output has had enough: `| head`.
        (Err(Stop::PipeClosed), _) => Ok(()),
        (Err(Stop::Failed(message)), _) => Err(message),
        (Ok(()), flushed) => flushed.map_err(|error| error.to_string()),
    }
}

async fn offset(client: &Client, topic: &str, partition: i32, timestamp: i64) -> Result<i64, String> {
    client
        .list_offset(topic, partition, timestamp)
        .await
        .map_err(|error| error.to_string())
}

/// Why consuming ended without being asked to.
#[derive(Debug)]
enum Stop {
    PipeClosed,
    Failed(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Stop {
        Stop::Failed(message)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::PipeClosed,
            _ => Stop::Failed(format!("the standard output cannot be written: {error}")),
        }
    }
}

struct Consumer {
    client: Client,
    topic: String,
    /// The next offset of each partition.
    positions: BTreeMap<i32, i64>,
    /// Where to end, if anywhere.
    ends: Option<BTreeMap<i32, i64>>,
    /// Records that may still be printed.
    left: Option<u64>,
    separator: Option<String>,
    output: BufWriter<io::Stdout>,
}

impl Consumer {
    async fn consume(&mut self) -> Result<(), Stop> {
        while !self.is_done() {
            let answer = self.fetch().await?;
            let mut failed = false;
            for partition in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
                let error =
                    ErrorCode::from_code(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
                if error != ErrorCode::None && !error.retriable() {
                    let number = partition.partition_index;
                    return Err(Stop::Failed(format!("{}-{number}: {}", self.topic, error.name())));
                }
                failed |= error != ErrorCode::None;
                if let Some(records) = partition.records {
                    self.print(partition.partition_index, &records)?;
                }
            }
            self.output.flush()?;
            if failed {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let at_end = self.ends.as_ref().is_some_and(|ends| {
            self.positions
                .iter()
                .all(|(partition, position)| ends.get(partition).is_none_or(|end| position >= end))
        });
        at_end || self.left == Some(0)
    }

    async fn fetch(&self) -> Result<FetchResponse, Stop> {
        let partitions = self.positions.iter().map(|(partition, offset)| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(*offset)
                .with_partition_max_bytes(PARTITION_BYTES)
        });
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(self.topic.clone())))
            .with_partitions(partitions.collect());
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(MAX_WAIT.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(MAX_BYTES)
            .with_topics(vec![topic]);
        let answer = self.client.send_up_to(LAST_WITH_TOPIC_NAMES, &request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => Ok(answer),
            other => Err(Stop::Failed(format!("fetching {}: {other:?}", self.topic))),
        }
    }

    fn print(&mut self, partition: i32, records: &Bytes) -> Result<(), Stop> {
        let Some(&from) = self.positions.get(&partition) else {
            return Ok(());
        };
        let damaged = |error: &dyn std::fmt::Display| Stop::Failed(format!("partition {partition}: {error}"));
        for batch in Batches::lenient(records) {
            let (header, place) = batch.map_err(|error| damaged(&error))?;
            if !header.is_control() {
                let opened = Records::open(&records.slice(place), DECOMPRESSED_BYTES);
                for record in opened.map_err(|error| damaged(&error))? {
                    let record = record.map_err(|error| damaged(&error))?;
                    // The first batch may begin below the offset that was asked for.
                    if record.offset < from {
                        continue;
                    }
                    if self.left == Some(0) {
                        return Ok(());
                    }
                    self.left = self.left.map(|left| left - 1);
                    self.print_record(record.key.as_deref(), record.value.as_deref())?;
                    self.positions.insert(partition, record.offset + 1);
                }
            }
            self.positions.insert(partition, header.next_offset());
        }
        Ok(())
    }

    fn print_record(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> io::Result<()> {
        if let Some(separator) = &self.separator {
            self.output.write_all(key.unwrap_or_default())?;
            self.output.write_all(separator.as_bytes())?;
        }
        self.output.write_all(value.unwrap_or_default())?;
        self.output.write_all(b"\n")
    }
}
