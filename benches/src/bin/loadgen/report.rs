//! The result, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::args::{Acks, Args};
use crate::histogram::Histogram;
use crate::metrics::Difference;
use crate::run::Run;
use crate::stats::Stats;

const MIB: f64 = 1_048_576.0;

/// The result of a run. Field names are the JSON's.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    load: Load,
    /// How long was measured.
    seconds: f64,
    /// Records acknowledged in that time; with acks=0, sent.
    acknowledged: Throughput,
    /// Bytes of batches for one byte of values: below 1 when compression helps.
    wire_ratio: f64,
    /// Records in one produce request.
    records_per_request: f64,
    consumed: Option<Throughput>,
    /// From when a record was due to its acknowledgement.
    ack_ms: Option<Latency>,
    /// From when a record was due until the consumer had it.
    end_to_end_ms: Option<Latency>,
    /// Records that were due and never sent: the broker, or this machine, did not keep up.
    never_sent: u64,
    failed_records: u64,
    /// Records acknowledged in the whole run that the consumers did not see.
    not_consumed: Option<u64>,
    errors: BTreeMap<String, u64>,
    store: Option<Store>,
    broker: Option<Broker>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize)]
struct Load {
    bootstrap: String,
    topic: String,
    partitions: usize,
    /// Records per second, of all producers; none for as fast as acknowledged.
    rate: Option<f64>,
    record_size: usize,
    batch_bytes: usize,
    linger_ms: f64,
    acks: i16,
    idempotent: bool,
    compression: String,
    producers: usize,
    consumers: usize,
    in_flight: u32,
}

/// Records over the measured time.
#[derive(Debug, Clone, Copy, Serialize)]
struct Throughput {
    records: u64,
    records_per_second: f64,
    /// Of values.
    mib_per_second: f64,
}

/// Quantiles, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Latency {
    records: u64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// Requests to the store during the measurement.
#[derive(Debug, Clone, Serialize)]
struct Store {
    put: Requests,
    get: Requests,
    list: Requests,
    delete: Requests,
    /// By operation and purpose.
    by_purpose: BTreeMap<String, f64>,
}

/// Requests of one kind.
#[derive(Debug, Clone, Copy, Serialize)]
struct Requests {
    total: f64,
    per_second: f64,
    /// For each GiB of values acknowledged; none when nothing was.
    per_gib: Option<f64>,
}

/// The broker's process during the measurement.
#[derive(Debug, Clone, Copy, Serialize)]
struct Broker {
    cpu_cores: Option<f64>,
    cpu_seconds_per_gib: Option<f64>,
    resident_mib: Option<f64>,
    peak_mib: Option<f64>,
}

fn latency(histogram: &Histogram) -> Option<Latency> {
    let ms = |ns: u64| ns as f64 / 1e6;
    (histogram.total() > 0).then(|| Latency {
        records: histogram.total(),
        p50: ms(histogram.quantile(0.5)),
        p90: ms(histogram.quantile(0.9)),
        p99: ms(histogram.quantile(0.99)),
        p999: ms(histogram.quantile(0.999)),
        max: ms(histogram.max()),
    })
}

impl Report {
    pub(crate) fn new(
        args: &Args,
        partitions: usize,
        run: &Run,
        stats: &Stats,
        difference: Option<Difference>,
    ) -> Report {
        let seconds = run.measured().as_secs_f64();
        let per_second = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let throughput = |records: u64| Throughput {
            records,
            records_per_second: per_second(records as f64),
            mib_per_second: per_second(records as f64 * args.record_size as f64 / MIB),
        };
        let bytes = stats.acked as f64 * args.record_size as f64;
        let per_gib = |count: f64| (bytes > 0.0).then(|| count / (bytes / MIB / 1024.0));
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let consumers = args.consumers > 0;
        Report {
            load: Load {
                bootstrap: args.bootstrap.clone(),
                topic: args.topic.clone(),
                partitions,
                rate: args.rate.records(args.record_size),
                record_size: args.record_size,
                batch_bytes: args.batch_bytes,
                linger_ms: args.linger.as_secs_f64() * 1e3,
                acks: args.acks.number(),
                idempotent: args.idempotent,
                compression: args.compression.compression().name().to_owned(),
                producers: args.producers,
                consumers: args.consumers,
                in_flight: args.in_flight,
            },
            seconds,
            acknowledged: throughput(stats.acked),
            wire_ratio: share(stats.wire_bytes as f64, bytes),
            records_per_request: share(stats.acked as f64, stats.requests as f64),
            consumed: consumers.then(|| throughput(stats.consumed)),
            ack_ms: latency(&stats.ack),
            end_to_end_ms: latency(&stats.end_to_end),
            never_sent: stats.behind,
            failed_records: stats.failed,
            not_consumed: consumers.then(|| stats.all_acked.saturating_sub(stats.all_consumed)),
            errors: stats.errors.clone(),
            store: difference.as_ref().map(|difference| {
                let of = |operations: &[&str]| {
                    let total = difference
                        .store
                        .iter()
                        .filter(|((operation, _), _)| operations.contains(&operation.as_str()))
                        .map(|(_, count)| count)
                        .sum();
                    Requests {
                        total,
                        per_second: per_second(total),
                        per_gib: per_gib(total),
                    }
                };
                let named = difference.store.iter().filter(|&(_, &count)| count > 0.0);
                Store {
                    put: of(&["create", "put"]),
                    get: of(&["get"]),
                    list: of(&["list"]),
                    delete: of(&["delete"]),
                    by_purpose: named
                        .map(|((o, p), &count)| (format!("{o} {p}"), count))
                        .collect(),
                }
            }),
            broker: difference.map(|difference| Broker {
                cpu_cores: difference.cpu_seconds.map(per_second),
                cpu_seconds_per_gib: difference.cpu_seconds.and_then(per_gib),
                resident_mib: difference.resident_bytes.map(|bytes| bytes / MIB),
                peak_mib: difference.peak_bytes.map(|bytes| bytes / MIB),
            }),
        }
    }

    /// Whether anything went wrong: errors, or acknowledged records that nobody saw.
    pub(crate) fn failed(&self) -> bool {
        let lost =
            self.not_consumed.is_some_and(|records| records > 0) && self.load.acks != Acks::None.number();
        !self.errors.is_empty() || lost || self.acknowledged.records == 0
    }

    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let load = &self.load;
        let rate = load.rate.map_or("as fast as acknowledged".to_owned(), |rate| {
            format!("{rate:.0} records/s")
        });
        let acks = if load.acks < 0 {
            "all".to_owned()
        } else {
            load.acks.to_string()
        };
        let idempotent = if load.idempotent { ", idempotent" } else { "" };
        writeln!(
            out,
            "{} on {}: {rate} of {} bytes, {} partitions, acks={acks}{idempotent}, {}, {} producers, {} consumers",
            load.topic,
            load.bootstrap,
            load.record_size,
            load.partitions,
            load.compression,
            load.producers,
            load.consumers
        )?;
        writeln!(out, "measured {:.1} s\n", self.seconds)?;
        let what = if load.acks == 0 { "sent" } else { "acknowledged" };
        for (name, found) in [(what, Some(self.acknowledged)), ("consumed", self.consumed)] {
            if let Some(found) = found {
                writeln!(
                    out,
                    "{name:<13}{:>12} records{:>12.0} /s{:>10.1} MiB/s",
                    found.records, found.records_per_second, found.mib_per_second
                )?;
            }
        }
        writeln!(
            out,
            "{:<13}{:>12.1} records, {:.2} bytes sent for each byte of a value\n",
            "per request", self.records_per_request, self.wire_ratio
        )?;
        let quantiles = [("to the ack", self.ack_ms), ("end to end", self.end_to_end_ms)];
        if quantiles.iter().any(|(_, found)| found.is_some()) {
            writeln!(
                out,
                "{:<13}{:>10}{:>10}{:>10}{:>10}{:>10}",
                "latency, ms", "p50", "p90", "p99", "p99.9", "max"
            )?;
        }
        for (name, found) in quantiles {
            if let Some(found) = found {
                writeln!(
                    out,
                    "{name:<13}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>10.2}",
                    found.p50, found.p90, found.p99, found.p999, found.max
                )?;
            }
        }
        if let Some(store) = &self.store {
            writeln!(
                out,
                "\n{:<13}{:>12}{:>12}{:>12}",
                "store", "requests", "/s", "/GiB"
            )?;
            let kinds = [
                ("PUT", store.put),
                ("GET", store.get),
                ("LIST", store.list),
                ("DELETE", store.delete),
            ];
            for (name, found) in kinds {
                let per_gib = found
                    .per_gib
                    .map_or("-".to_owned(), |count| format!("{count:.1}"));
                writeln!(
                    out,
                    "{name:<13}{:>12.0}{:>12.1}{per_gib:>12}",
                    found.total, found.per_second
                )?;
            }
            for (name, count) in &store.by_purpose {
                writeln!(out, "  {name:<20}{count:>3.0}")?;
            }
        }
        if let Some(Broker {
            cpu_cores: Some(cores),
            cpu_seconds_per_gib,
            resident_mib,
            peak_mib,
        }) = self.broker
        {
            write!(out, "\nbroker       {cores:>12.2} cores")?;
            if let Some(seconds) = cpu_seconds_per_gib {
                write!(out, ", {seconds:.2} CPU seconds a GiB")?;
            }
            for (what, mib) in [("resident", resident_mib), ("at its peak", peak_mib)] {
                if let Some(mib) = mib {
                    write!(out, ", {mib:.0} MiB {what}")?;
                }
            }
            writeln!(out)?;
        }
        if self.never_sent > 0 {
            writeln!(
                out,
                "\n{} records were due and never sent: the broker or this machine did not keep up. The latencies are those of\nthe records that were sent, and would grow with a longer run.",
                self.never_sent
            )?;
        }
        if let Some(lost) = self.not_consumed.filter(|&lost| lost > 0) {
            writeln!(out, "\n{lost} acknowledged records did not reach the consumers.")?;
        }
        if self.failed_records > 0 {
            writeln!(
                out,
                "\n{} records failed and were not sent again.",
                self.failed_records
            )?;
        }
        for (what, count) in &self.errors {
            writeln!(out, "error: {what}: {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
