//! What the engine counts, as Prometheus metrics.

mod engine;

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::health::Health;
use crate::store::{Operation, Purpose};

pub use engine::EngineMetrics;

/// Upper bounds of the store's latency histogram in seconds: a local create takes under a millisecond, an S3 PUT tens
/// of milliseconds, a try that hangs ends at its timeout.
const STORE_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0,
];

/// Which calls a store metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StoreLabels {
    /// What the store was asked to do.
    pub operation: Operation,
    /// What for.
    pub purpose: Purpose,
}

impl EncodeLabelValue for Operation {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

impl EncodeLabelValue for Purpose {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

/// What is counted about one store. Every try counts, not every call: requests cost money.
pub struct StoreMetrics {
    requests: Family<StoreLabels, Counter>,
    errors: Family<StoreLabels, Counter>,
    throttled: Family<StoreLabels, Counter>,
    retries: Family<StoreLabels, Counter>,
    written: Family<StoreLabels, Counter>,
    read: Family<StoreLabels, Counter>,
    seconds: Family<StoreLabels, Histogram, fn() -> Histogram>,
    health: OnceLock<HealthSource>,
}

type HealthSource = Box<dyn Fn() -> Option<(Health, Duration)> + Send + Sync>;

impl Default for StoreMetrics {
    fn default() -> Self {
        StoreMetrics::new()
    }
}

impl fmt::Debug for StoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreMetrics")
    }
}

impl StoreMetrics {
    /// Metrics of a store that has not been asked anything.
    pub fn new() -> StoreMetrics {
        StoreMetrics {
            requests: Family::default(),
            errors: Family::default(),
            throttled: Family::default(),
            retries: Family::default(),
            written: Family::default(),
            read: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(STORE_SECONDS)),
            health: OnceLock::new(),
        }
    }

    /// Makes the metrics visible in `registry`, which keeps them alive.
    pub fn register(self: &std::sync::Arc<Self>, registry: &mut Registry) {
        // The client adds `_total` to counters itself.
        let name = |part: &str| format!("kafscale_store_{part}");
        registry.register(
            name("requests"),
            "Tries of calls to the store",
            self.requests.clone(),
        );
        registry.register(name("errors"), "Tries that failed", self.errors.clone());
        registry.register(
            name("throttled"),
            "Failed tries in which the store asked for less",
            self.throttled.clone(),
        );
        registry.register(
            name("retries"),
            "Tries after the first of the same call",
            self.retries.clone(),
        );
        registry.register(
            name("written_bytes"),
            "Bytes sent in tries that succeeded",
            self.written.clone(),
        );
        registry.register(name("read_bytes"), "Bytes received", self.read.clone());
        registry.register(name("request_seconds"), "Time of one try", self.seconds.clone());
        registry.register_collector(Box::new(HealthCollector(std::sync::Arc::clone(self))));
        // A rate needs a first sample: what never failed shows as 0.
        let labels = StoreLabels {
            operation: Operation::Create,
            purpose: Purpose::Wal,
        };
        for family in [&self.errors, &self.throttled, &self.retries] {
            drop(family.get_or_create(&labels));
        }
    }

    /// The number of tries so far of `operation` for `purpose`.
    pub fn requests(&self, operation: Operation, purpose: Purpose) -> u64 {
        self.requests
            .get_or_create(&StoreLabels { operation, purpose })
            .get()
    }

    /// The number of failed tries so far of `operation` for `purpose`.
    pub fn errors(&self, operation: Operation, purpose: Purpose) -> u64 {
        self.errors
            .get_or_create(&StoreLabels { operation, purpose })
            .get()
    }

    /// The number of tries after the first so far of `operation` for `purpose`.
    pub fn retries(&self, operation: Operation, purpose: Purpose) -> u64 {
        self.retries
            .get_or_create(&StoreLabels { operation, purpose })
            .get()
    }

    pub(crate) fn tried(&self, labels: StoreLabels, took: Duration, failed: bool, throttled: bool) {
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        if failed {
            self.errors.get_or_create(&labels).inc();
        }
        if throttled {
            self.throttled.get_or_create(&labels).inc();
        }
    }

    pub(crate) fn retried(&self, labels: StoreLabels) {
        self.retries.get_or_create(&labels).inc();
    }

    pub(crate) fn wrote(&self, labels: StoreLabels, bytes: u64) {
        self.written.get_or_create(&labels).inc_by(bytes);
    }

    pub(crate) fn received(&self, labels: StoreLabels, bytes: u64) {
        self.read.get_or_create(&labels).inc_by(bytes);
    }

    /// Where the health gauges come from: health now and the time now. The first store that uses these metrics wins.
    pub(crate) fn set_health_source(
        &self,
        source: impl Fn() -> Option<(Health, Duration)> + Send + Sync + 'static,
    ) {
        self.health.get_or_init(|| Box::new(source));
    }
}

/// Asks for the health when it is scraped, so that a quiet broker's gauges are not old.
#[derive(Debug)]
struct HealthCollector(std::sync::Arc<StoreMetrics>);

impl Collector for HealthCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some((health, now)) = self.0.health.get().and_then(|source| source()) else {
            return Ok(());
        };
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)
        };
        gauge(
            "kafscale_s3_health_state",
            "The store is healthy (0), degraded (1) or unavailable (2)",
            health.state.as_number() as f64,
        )?;
        gauge(
            "kafscale_s3_latency_ms_avg",
            "Mean latency of calls to the store in the health window",
            health.latency_ms_avg,
        )?;
        gauge(
            "kafscale_s3_error_rate",
            "Failed calls to the store in the health window, as a fraction",
            health.error_rate,
        )?;
        gauge(
            "kafscale_s3_state_duration_seconds",
            "How long the store has been in its state",
            now.saturating_sub(health.since).as_secs_f64(),
        )
    }
}
