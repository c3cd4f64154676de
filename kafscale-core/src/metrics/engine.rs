//! What the engine counts about its log, its segments and its readers.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the commit latency histogram, in seconds.
const COMMIT_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0,
];

/// Counters of one engine.
#[derive(Debug)]
pub struct EngineMetrics {
    appended_bytes: Counter,
    fetched_bytes: Counter,
    log_objects: Counter,
    log_runs: Counter,
    log_bytes: Counter,
    commit_seconds: Histogram,
    segments: Counter,
    segment_bytes: Counter,
    trimmed_objects: Counter,
}

impl Default for EngineMetrics {
    fn default() -> Self {
        EngineMetrics {
            appended_bytes: Counter::default(),
            fetched_bytes: Counter::default(),
            log_objects: Counter::default(),
            log_runs: Counter::default(),
            log_bytes: Counter::default(),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            segments: Counter::default(),
            segment_bytes: Counter::default(),
            trimmed_objects: Counter::default(),
        }
    }
}

impl EngineMetrics {
    /// Makes the metrics visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        // The client adds `_total` to counters itself.
        registry.register(
            "kafscale_appended_bytes",
            "Bytes of record batches that were taken",
            self.appended_bytes.clone(),
        );
        registry.register(
            "kafscale_fetched_bytes",
            "Bytes of record batches that were read",
            self.fetched_bytes.clone(),
        );
        registry.register(
            "kafscale_wal_objects",
            "Log objects that were sealed: one flush each",
            self.log_objects.clone(),
        );
        registry.register(
            "kafscale_wal_runs",
            "Partitions in log objects",
            self.log_runs.clone(),
        );
        registry.register(
            "kafscale_wal_bytes",
            "Bytes of log objects that were sealed",
            self.log_bytes.clone(),
        );
        registry.register(
            "kafscale_wal_commit_seconds",
            "Time from sealing a log object until it and all before it are durable",
            self.commit_seconds.clone(),
        );
        registry.register(
            "kafscale_segments_cut",
            "Segments that were cut",
            self.segments.clone(),
        );
        registry.register(
            "kafscale_segment_bytes",
            "Bytes of segments that were cut",
            self.segment_bytes.clone(),
        );
        registry.register(
            "kafscale_wal_trimmed_objects",
            "Log objects that were trimmed",
            self.trimmed_objects.clone(),
        );
    }

    /// Log objects sealed so far.
    pub fn log_objects(&self) -> u64 {
        self.log_objects.get()
    }

    /// Segments cut so far.
    pub fn segments(&self) -> u64 {
        self.segments.get()
    }

    pub(crate) fn appended(&self, bytes: usize) {
        self.appended_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn fetched(&self, bytes: usize) {
        self.fetched_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn sealed(&self, bytes: usize, runs: usize) {
        self.log_objects.inc();
        self.log_bytes.inc_by(bytes as u64);
        self.log_runs.inc_by(runs as u64);
    }

    pub(crate) fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn cut(&self, bytes: u64) {
        self.segments.inc();
        self.segment_bytes.inc_by(bytes);
    }

    pub(crate) fn trimmed(&self, objects: usize) {
        self.trimmed_objects.inc_by(objects as u64);
    }
}
