//! `kafscale produce`: one record for each line of the standard input.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgMatches, Command};
use kafka_protocol::messages::ProduceResponse;
use kafscale_core::format::codec::Compression;
use kafscale_core::format::records::BatchBuilder;
use kafscale_wire::client::{Client, Pending, produced};
use tokio::sync::mpsc;

use super::client::{bootstrap_argument, connect, partitions, separator_argument, text, topic_argument};

/// The subcommand.
pub(super) const NAME: &str = "produce";

/// Bytes of records after which a batch is sent even if more lines are waiting.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that may be on their way.
const IN_FLIGHT: usize = 8;
/// Lines that are read ahead.
const LINES_AHEAD: usize = 10_000;

const EXAMPLES: &str = "\
Examples:
  kafscale produce numbers < numbers.txt
  printf 'a:1\\nb:2\\n' | kafscale produce pairs --key-separator :";

/// The subcommand's flags.
pub(super) fn command() -> Command {
    Command::new(NAME)
        .about("Writes one record for each line of the standard input")
        .after_help(EXAMPLES)
        .arg(topic_argument())
        .arg(bootstrap_argument())
        .arg(separator_argument(
            "What ends the key in a line; without it records have no key",
        ))
        .arg(
            Arg::new("acks")
                .long("acks")
                .value_name("WORD")
                .value_parser(["all", "1"])
                .default_value("all")
                .help("What an acknowledgement means; the broker waits for the bucket in both cases"),
        )
        .arg(
            Arg::new("compression")
                .long("compression")
                .value_name("CODEC")
                .value_parser(["none", "gzip", "snappy", "lz4", "zstd"])
                .default_value("none")
                .help("How batches are compressed"),
        )
}

/// Reads lines and writes records until the input ends.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), String> {
    let topic = text(matches, "topic")?;
    let client = connect(matches).await?;
    let partitions = partitions(&client, topic, true).await?;
    let compression = match text(matches, "compression")? {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    };
    let mut producer = Producer {
        client,
        topic: topic.to_owned(),
        separator: matches.get_one::<String>("key-separator").cloned(),
        acks: if text(matches, "acks")? == "1" { 1 } else { -1 },
        compression,
        batches: partitions.iter().map(|_| batch(compression)).collect(),
        partitions,
        next: 0,
        in_flight: VecDeque::new(),
    };
    let mut lines = read_lines();
    let mut written: u64 = 0;
    while let Some(line) = lines.recv().await {
        written += 1;
        producer.add(line?.as_slice()).await?;
        // Whoever types lines wants each of them sent; whoever pipes a file wants large batches.
        if lines.is_empty() {
            producer.send_all().await?;
        }
    }
    producer.finish().await?;
    super::complain(format_args!("{written} records written to {topic}"));
    Ok(())
}

/// The lines of the standard input, read by a thread, because reading it cannot be waited for otherwise.
fn read_lines() -> mpsc::Receiver<Result<Vec<u8>, String>> {
    let (sender, lines) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    Ok(line)
                }
                Err(error) => Err(format!("the standard input cannot be read: {error}")),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    lines
}

struct Producer {
    client: Client,
    topic: String,
    separator: Option<String>,
    acks: i16,
    compression: Compression,
    partitions: Vec<i32>,
    /// One batch for each partition.
    batches: Vec<BatchBuilder>,
    /// Which partition gets the next record without a key.
    next: usize,
    in_flight: VecDeque<Pending<ProduceResponse>>,
}

fn batch(compression: Compression) -> BatchBuilder {
    BatchBuilder::new().compression(compression, None)
}

impl Producer {
    async fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let (key, value) = match &self.separator {
            Some(separator) => split(line, separator.as_bytes()),
            None => (None, line),
        };
        let count = self.partitions.len().max(1);
        // Records without a key stay in one partition until its batch is full, as Kafka's producer does (KIP-480).
        let index = key.map_or(self.next % count, |key| partition_of(key, count));
        let batch = self.batches.get_mut(index).ok_or("the topic has no partitions")?;
        batch
            .append(now_ms(), key, Some(value), &[])
            .map_err(|error| error.to_string())?;
        if batch.uncompressed_len() >= BATCH_BYTES {
            self.send(index).await?;
        }
        Ok(())
    }

    async fn send(&mut self, index: usize) -> Result<(), String> {
        let (Some(batch_of_partition), Some(&partition)) =
            (self.batches.get_mut(index), self.partitions.get(index))
        else {
            return Ok(());
        };
        if batch_of_partition.record_count() == 0 {
            return Ok(());
        }
        let full = std::mem::replace(batch_of_partition, batch(self.compression));
        let bytes = full.build().map_err(|error| error.to_string())?;
        self.next = self.next.wrapping_add(1);
        while self.in_flight.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        let sent = self
            .client
            .begin_produce(&self.topic, partition, bytes, self.acks)
            .await;
        self.in_flight.push_back(sent.map_err(|error| error.to_string())?);
        Ok(())
    }

    async fn send_all(&mut self) -> Result<(), String> {
        for index in 0..self.batches.len() {
            self.send(index).await?;
        }
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<(), String> {
        let Some(pending) = self.in_flight.pop_front() else {
            return Ok(());
        };
        let answer = pending.answer().await.map_err(|error| error.to_string())?;
        produced(&answer).map(|_| ()).map_err(|error| error.to_string())
    }

    async fn finish(mut self) -> Result<(), String> {
        self.send_all().await?;
        while !self.in_flight.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }
}

/// Key and value of a line. A line without the separator has no key.
fn split<'a>(line: &'a [u8], separator: &[u8]) -> (Option<&'a [u8]>, &'a [u8]) {
    let place = line
        .windows(separator.len().max(1))
        .position(|window| window == separator);
    match place.and_then(|place| Some((line.get(..place)?, line.get(place + separator.len()..)?))) {
        Some((key, value)) => (Some(key), value),
        None => (None, line),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The partition of a key, as Kafka's own producer chooses it.
fn partition_of(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// MurmurHash2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        let tail = rest
            .iter()
            .rev()
            .fold(0u32, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `org.apache.kafka.common.utils.Utils.murmur2`, from its own test.
    #[test]
    fn keys_hash_as_in_kafkas_producer() {
        for (key, hash) in [
            ("21", -973932308i32),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_line_is_split_at_the_first_separator() {
        assert_eq!(split(b"k::v::w", b"::"), (Some(&b"k"[..]), &b"v::w"[..]));
        assert_eq!(split(b"v", b"::"), (None, &b"v"[..]));
        assert_eq!(split(b":v", b":"), (Some(&b""[..]), &b"v"[..]));
    }
}
