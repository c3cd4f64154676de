//! The command line.

use std::str::FromStr;
use std::time::Duration;

use clap::{CommandFactory, Parser, ValueEnum};
use kafscale_core::format::codec::Compression;
use url::Url;

use crate::payload::STAMP_LEN;

const NOTES: &str = "\
Records are due at fixed times, and their latency counts from then, whether or not the broker kept up. The report comes
at the end, or at Ctrl-C for the time until then. Exit status 1: something failed.

Examples:
  A steady load, latencies at that load, and what it costs in requests to the bucket:
    loadgen --rate 20000 --record-size 1KiB --metrics-url http://127.0.0.1:9093/metrics

  How much goes through at all (acknowledged as fast as it can be):
    loadgen --rate 0 --producers 4 --consumers 0 --duration 20s

  As Kafka's own producers are by default (idempotent, acks=all, lz4), 50 MB/s, result for a script:
    loadgen --rate 50MB/s --idempotent --acks all --compression lz4 --payload words --json";

/// Measures a Kafka-compatible broker: throughput, time to the acknowledgement, time to the consumer.
#[derive(Debug, Clone, Parser)]
#[command(name = "loadgen", version, after_help = NOTES)]
pub(crate) struct Args {
    /// Brokers to begin with: host:port, several with commas between them.
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "ADDRESSES")]
    pub(crate) bootstrap: String,
    /// The topic; created if it is not there.
    #[arg(long, default_value = "loadgen")]
    pub(crate) topic: String,
    /// Partitions of the topic when it is created.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub(crate) partitions: i32,
    /// Replication factor of the topic when it is created; -1 is the broker's default.
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    pub(crate) replicas: i16,
    /// All producers' records per second (`20000`) or bytes of values per second (`50MB/s`, `48MiB/s`). 0: as fast as
    /// they are acknowledged; latency then counts from sending.
    #[arg(long, default_value = "10000")]
    pub(crate) rate: Rate,
    /// Bytes of each record's value (`1024`, `1KiB`).
    #[arg(long, default_value = "1KiB", value_parser = size)]
    pub(crate) record_size: usize,
    /// Bytes of records, before compression, that close a batch.
    #[arg(long, default_value = "16KiB", value_parser = size)]
    pub(crate) batch_bytes: usize,
    /// How long a batch waits for more records (`5ms`). Counts into the latency.
    #[arg(long, default_value = "5ms", value_parser = duration)]
    pub(crate) linger: Duration,
    /// Bytes of batches, before compression, in one request (one batch for each partition at the most).
    #[arg(long, default_value = "1MiB", value_parser = size)]
    pub(crate) request_bytes: usize,
    /// Requests of each producer that wait for their answer at a time.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) in_flight: u32,
    /// Whose acknowledgement is waited for: nobody's, the leader's, that of all in-sync replicas.
    #[arg(long, default_value = "all")]
    pub(crate) acks: Acks,
    /// Sends with a producer id and sequence numbers, which the broker checks. Needs acks=all.
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Producers, each with connections of its own.
    #[arg(long, default_value_t = 1, value_parser = count)]
    pub(crate) producers: usize,
    /// Consumers, which share the partitions. 0: nobody reads.
    #[arg(long, default_value_t = 1, value_parser = count)]
    pub(crate) consumers: usize,
    /// How long to measure (`30s`, `2m`).
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// How long to run before that.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub(crate) warm_up: Duration,
    /// How batches are compressed.
    #[arg(long, default_value = "none")]
    pub(crate) compression: Codec,
    /// What values are made of: random bytes do not compress, words do about as well as logs.
    #[arg(long, default_value = "random")]
    pub(crate) payload: Content,
    /// How long to wait for each answer of the broker.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// The broker's metrics, for the requests to its store that the load costs: http://HOST:9093/metrics.
    #[arg(long, value_parser = metrics_url)]
    pub(crate) metrics_url: Option<Url>,
    /// Reports in JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress on standard error.
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Args {
    /// What single options cannot know.
    pub(crate) fn checked(self) -> Result<Args, clap::Error> {
        let refused =
            |what: String| Err(Args::command().error(clap::error::ErrorKind::ArgumentConflict, what));
        if self.record_size < STAMP_LEN {
            return refused(format!(
                "--record-size must be at least {STAMP_LEN}: every record carries its time"
            ));
        }
        if self.idempotent && self.acks != Acks::All {
            return refused("--idempotent needs --acks all, as Kafka does".to_owned());
        }
        if self.duration.is_zero() {
            return refused("--duration must be longer than nothing".to_owned());
        }
        Ok(self)
    }

    /// Records that make a batch full.
    pub(crate) fn records_per_batch(&self) -> u32 {
        u32::try_from((self.batch_bytes / self.record_size).max(1)).unwrap_or(u32::MAX)
    }
}

/// How fast records come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// As fast as they are acknowledged.
    Unlimited,
    /// Records per second.
    Records(f64),
    /// Bytes of values per second.
    Bytes(f64),
}

impl Rate {
    /// Records per second, if that is limited.
    pub(crate) fn records(self, record_size: usize) -> Option<f64> {
        match self {
            Rate::Unlimited => None,
            Rate::Records(rate) => Some(rate),
            Rate::Bytes(rate) => Some(rate / record_size as f64),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = match text.strip_suffix("/s") {
            Some(bytes) => Rate::Bytes(unit(bytes, &BYTES)?),
            None => Rate::Records(number(text)?),
        };
        match rate {
            Rate::Records(0.0) | Rate::Bytes(0.0) => Ok(Rate::Unlimited),
            rate => Ok(rate),
        }
    }
}

/// Which acknowledgement a producer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acks {
    #[value(name = "0")]
    None,
    #[value(name = "1")]
    Leader,
    #[value(name = "all", alias = "-1")]
    All,
}

impl Acks {
    pub(crate) fn number(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    None,
    Lz4,
    Zstd,
    Snappy,
    Gzip,
}

impl Codec {
    pub(crate) fn compression(self) -> Compression {
        match self {
            Codec::None => Compression::None,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
            Codec::Snappy => Compression::Snappy,
            Codec::Gzip => Compression::Gzip,
        }
    }
}

/// What values are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Content {
    Random,
    Words,
}

const BYTES: [(&str, f64); 8] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
];
const TIMES: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

fn number(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(format!("{text:?} is not a number that can be used here")),
    }
}

/// A number with one of these units.
fn unit(text: &str, units: &[(&str, f64)]) -> Result<f64, String> {
    for (name, factor) in units {
        if let Some(text) = text.strip_suffix(name) {
            return Ok(number(text)? * factor);
        }
    }
    let names: Vec<&str> = units.iter().map(|&(name, _)| name).collect();
    Err(format!("{text:?} has none of the units {}", names.join(", ")))
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = number(text).or_else(|_| unit(text, &BYTES))?;
    if (1.0..=f64::from(1 << 30)).contains(&bytes) {
        Ok(bytes as usize)
    } else {
        Err(format!("{text:?} is not between 1 byte and 1 GiB"))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = if text == "0" { 0.0 } else { unit(text, &TIMES)? };
    if seconds <= 7.0 * 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("{text:?} is more than a week"))
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= 10_000 => Ok(count),
        _ => Err(format!("{text:?} is not a number up to 10000")),
    }
}

fn metrics_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() == "http" && url.host_str().is_some() {
        Ok(url)
    } else {
        Err("only http://HOST:PORT/PATH can be read".to_owned())
    }
}

#[cfg(test)]
mod tests;
