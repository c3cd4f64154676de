//! What the broker counts beside its engine, and the registry that `/metrics` shows.

mod document;
mod groups;
mod process;
mod rate;

pub use document::markdown;
pub(crate) use groups::GroupCollector;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use kafscale_wire::versions::SERVED;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::net::Refused;
use process::ProcessCollector;
use rate::{Rate, RateCollector};

/// Upper bounds of `kafscale_produce_latency_ms`; the Go implementation has the same.
const PRODUCE_LATENCY_MS: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl From<Refused> for ReasonLabel {
    fn from(refused: Refused) -> ReasonLabel {
        let reason = match refused {
            Refused::Total => "total",
            Refused::PerIp => "per_ip",
        };
        ReasonLabel { reason }
    }
}

/// The broker's counters. Cheap to count with: no lock is taken on the way of records.
#[derive(Debug)]
pub(crate) struct Metrics {
    connections: Gauge,
    refused: Family<ReasonLabel, Counter>,
    failed: Counter,
    /// One counter for each served API, by its number.
    requests: BTreeMap<i16, Counter>,
    received_bytes: Counter,
    sent_bytes: Counter,
    produce_latency_ms: Histogram,
    produced_records: Counter,
    fetched_records: Counter,
    produced: Rate,
    fetched: Rate,
}

/// An open connection; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Counters that start at 0 and show in `registry`; the rates look back over `window`.
    pub(crate) fn new(registry: &mut Registry, window: Duration) -> Metrics {
        let requests: Family<ApiLabel, Counter> = Family::default();
        let by_api = SERVED.iter().map(|served| {
            let counter = requests.get_or_create_owned(&ApiLabel {
                api: api_name(served.key),
            });
            (served.key as i16, counter)
        });
        let metrics = Metrics {
            requests: by_api.collect(),
            connections: Gauge::default(),
            refused: Family::default(),
            failed: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            produce_latency_ms: Histogram::new(PRODUCE_LATENCY_MS),
            produced_records: Counter::default(),
            fetched_records: Counter::default(),
            produced: Rate::new(window),
            fetched: Rate::new(window),
        };
        for refused in [Refused::Total, Refused::PerIp] {
            // A rate needs a first sample.
            drop(metrics.refused.get_or_create(&ReasonLabel::from(refused)));
        }
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(format!("kafscale_{name}"), help, counter.clone());
        };
        counter(
            "connection_failures",
            "Connections that ended with an error",
            &metrics.failed,
        );
        counter(
            "request_bytes",
            "Bytes of requests received",
            &metrics.received_bytes,
        );
        counter("response_bytes", "Bytes of answers sent", &metrics.sent_bytes);
        counter(
            "produced_records",
            "Records that got their offsets",
            &metrics.produced_records,
        );
        counter(
            "fetched_records",
            "Records sent to consumers, in whole batches",
            &metrics.fetched_records,
        );
        registry.register("kafscale_requests", "Requests received, by API", requests);
        registry.register(
            "kafscale_connections",
            "Open connections",
            metrics.connections.clone(),
        );
        registry.register(
            "kafscale_connections_refused",
            "Connections closed at once because a limit was reached",
            metrics.refused.clone(),
        );
        registry.register(
            "kafscale_produce_latency_ms",
            "Time from a decoded Produce request to its answer, in milliseconds",
            metrics.produce_latency_ms.clone(),
        );
        registry.register_collector(Box::new(RateCollector {
            rates: vec![
                (
                    "kafscale_produce_rps",
                    "Records produced per second over the throughput window",
                    metrics.produced.clone(),
                ),
                (
                    "kafscale_fetch_rps",
                    "Records fetched per second over the throughput window",
                    metrics.fetched.clone(),
                ),
            ],
        }));
        registry.register_collector(Box::new(ProcessCollector::new()));
        metrics
    }

    /// A connection was let in.
    pub(crate) fn connection_opened(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// A connection was not let in.
    pub(crate) fn connection_refused(&self, refused: Refused) {
        self.refused.get_or_create(&ReasonLabel::from(refused)).inc();
    }

    /// A connection ended with an error.
    pub(crate) fn connection_failed(&self) {
        self.failed.inc();
    }

    /// A request of `bytes` was decoded.
    pub(crate) fn request(&self, api_key: i16, bytes: usize) {
        if let Some(counter) = self.requests.get(&api_key) {
            counter.inc();
        }
        self.received_bytes.inc_by(bytes as u64);
    }

    /// The answer to a request is known, this long after its handler began.
    pub(crate) fn answered(&self, api_key: i16, after: Duration) {
        if api_key == ApiKey::Produce as i16 {
            self.produce_latency_ms.observe(after.as_secs_f64() * 1000.0);
        }
    }

    /// Bytes of answers were written.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.inc_by(bytes as u64);
    }

    /// Records got their offsets.
    pub(crate) fn produced(&self, records: u64) {
        self.produced_records.inc_by(records);
        self.produced.add(records);
    }

    /// Records go to a consumer.
    pub(crate) fn fetched(&self, records: u64) {
        self.fetched_records.inc_by(records);
        self.fetched.add(records);
    }
}

/// The name of an API as Kafka writes it.
fn api_name(key: ApiKey) -> &'static str {
    macro_rules! names {
        ($($key:ident),*) => { match key { $(ApiKey::$key => stringify!($key),)* _ => "other" } };
    }
    names!(
        Produce,
        Fetch,
        ListOffsets,
        Metadata,
        OffsetCommit,
        OffsetFetch,
        FindCoordinator,
        JoinGroup,
        Heartbeat,
        LeaveGroup,
        SyncGroup,
        DescribeGroups,
        ListGroups,
        ApiVersions,
        CreateTopics,
        DeleteTopics,
        InitProducerId,
        OffsetForLeaderEpoch,
        DescribeConfigs,
        AlterConfigs,
        CreatePartitions,
        DeleteGroups,
        IncrementalAlterConfigs,
        OffsetDelete,
        DescribeCluster
    )
}

#[cfg(test)]
mod tests;
