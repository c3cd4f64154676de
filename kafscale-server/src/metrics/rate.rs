//! How much happened per second over the last so many seconds.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// Counts per second over a sliding window. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    started: Instant,
    window: u64,
    /// Second since `started`, and what was counted in it; at most one entry for each second of the window.
    seconds: Arc<Mutex<VecDeque<(u64, u64)>>>,
}

impl Rate {
    /// A rate over `window`, at least one second.
    pub(crate) fn new(window: Duration) -> Rate {
        Rate {
            started: Instant::now(),
            window: window.as_secs().max(1),
            seconds: Arc::default(),
        }
    }

    /// Counts `amount` now.
    pub(crate) fn add(&self, amount: u64) {
        self.add_at(amount, self.started.elapsed());
    }

    /// Per second now.
    pub(crate) fn per_second(&self) -> f64 {
        self.per_second_at(self.started.elapsed())
    }

    fn add_at(&self, amount: u64, now: Duration) {
        let now = now.as_secs();
        let mut seconds = self.seconds.lock();
        match seconds.back_mut() {
            Some((second, count)) if *second >= now => *count = count.saturating_add(amount),
            _ => seconds.push_back((now, amount)),
        }
        self.forget(&mut seconds, now);
    }

    fn per_second_at(&self, now: Duration) -> f64 {
        let mut seconds = self.seconds.lock();
        self.forget(&mut seconds, now.as_secs());
        let total: u64 = seconds.iter().map(|(_, count)| count).sum();
        // A broker younger than the window has had less time.
        let span = now.as_secs_f64().clamp(1.0, self.window as f64);
        total as f64 / span
    }

    fn forget(&self, seconds: &mut VecDeque<(u64, u64)>, now: u64) {
        while seconds
            .front()
            .is_some_and(|(second, _)| second.saturating_add(self.window) <= now)
        {
            seconds.pop_front();
        }
    }
}

/// Shows rates as they are when they are asked for.
#[derive(Debug)]
pub(super) struct RateCollector {
    /// Name, help and rate.
    pub(super) rates: Vec<(&'static str, &'static str, Rate)>,
}

impl Collector for RateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, rate) in &self.rates {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(rate.per_second()).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let rate = Rate::new(Duration::from_secs(10));
        let at = Duration::from_millis;
        rate.add_at(100, at(500));
        rate.add_at(100, at(900));
        assert_eq!(rate.per_second_at(at(900)), 200.0);
        assert_eq!(rate.per_second_at(at(5_000)), 40.0);
        rate.add_at(300, at(9_500));
        assert_eq!(rate.per_second_at(at(10_000)), 30.0);
        assert_eq!(rate.per_second_at(at(60_000)), 0.0);
        assert!(rate.seconds.lock().is_empty());
    }
}
