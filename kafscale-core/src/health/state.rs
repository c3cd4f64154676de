//! From a window of calls to healthy, degraded or unavailable.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::{Sample, Window};
use crate::error::{Error, ErrorKind, Result};

/// When the store counts as degraded and as unavailable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthSettings {
    /// Calls older than this are forgotten, in milliseconds.
    pub window_ms: u64,
    /// Mean latency at or above which the store is degraded, in milliseconds.
    pub latency_warn_ms: u64,
    /// Mean latency at or above which the store is unavailable, in milliseconds.
    pub latency_crit_ms: u64,
    /// Fraction of failed calls at or above which the store is degraded.
    pub error_rate_warn: f64,
    /// Fraction of failed calls at or above which the store is unavailable.
    pub error_rate_crit: f64,
    /// Fewer calls than this in the window say nothing: one failed call on a quiet broker changes nothing.
    pub min_samples: usize,
    /// This many good calls in a row end "unavailable" before the bad ones have left the window.
    pub recover_after: u32,
}

impl Default for HealthSettings {
    fn default() -> Self {
        HealthSettings {
            window_ms: 60_000,
            latency_warn_ms: 500,
            latency_crit_ms: 3_000,
            error_rate_warn: 0.2,
            error_rate_crit: 0.6,
            min_samples: 5,
            recover_after: 5,
        }
    }
}

impl HealthSettings {
    /// Refuses settings that contradict themselves.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::new(ErrorKind::Precondition, what));
        if self.window_ms == 0 {
            return refuse("the health window must be longer than 0 ms");
        }
        if self.latency_warn_ms > self.latency_crit_ms {
            return refuse(
                "the latency at which the store is degraded is above the one at which it is unavailable",
            );
        }
        let rates = [self.error_rate_warn, self.error_rate_crit];
        if rates.iter().any(|rate| !(*rate > 0.0 && *rate <= 1.0)) {
            return refuse("the error rates of store health must be above 0 and at most 1");
        }
        if self.error_rate_warn > self.error_rate_crit {
            return refuse(
                "the error rate at which the store is degraded is above the one at which it is unavailable",
            );
        }
        if self.min_samples == 0 || self.recover_after == 0 {
            return refuse("the sample counts of store health must be at least 1");
        }
        Ok(())
    }
}

/// How the store is. The numbers are those of `kafscale_s3_health_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HealthState {
    /// 0: as it should be.
    #[default]
    Healthy = 0,
    /// 1: slow or failing at times; everything is served.
    Degraded = 1,
    /// 2: produce is refused, fetch serves what memory and cache hold.
    Unavailable = 2,
}

impl HealthState {
    /// The metric's value.
    pub fn as_number(self) -> i64 {
        self as i64
    }

    /// The state's name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthState::Healthy => "healthy",
            HealthState::Degraded => "degraded",
            HealthState::Unavailable => "unavailable",
        }
    }
}

/// The store's health at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// Mean latency of the calls in the window, in milliseconds.
    pub latency_ms_avg: f64,
    /// Failed calls in the window as a fraction of all.
    pub error_rate: f64,
    /// When the state began, on the monotonic clock.
    pub since: Duration,
}

/// Turns calls into health.
#[derive(Clone, Debug)]
pub struct HealthTracker {
    settings: HealthSettings,
    window: Window,
    state: HealthState,
    since: Duration,
    good_in_a_row: u32,
}

impl HealthTracker {
    /// Healthy since `now`.
    pub fn new(settings: HealthSettings, now: Duration) -> HealthTracker {
        let window = Window::new(Duration::from_millis(settings.window_ms));
        HealthTracker {
            settings,
            window,
            state: HealthState::Healthy,
            since: now,
            good_in_a_row: 0,
        }
    }

    /// Counts one call and says how the store is after it.
    pub fn record(&mut self, sample: Sample) -> Health {
        self.good_in_a_row = if sample.failed {
            0
        } else {
            self.good_in_a_row.saturating_add(1)
        };
        if self.state == HealthState::Unavailable && self.good_in_a_row >= self.settings.recover_after {
            // The store is back: what it did before would only delay saying so. A slow store stays what it is,
            // because the good calls are counted again from here.
            let slow = sample
                .latency
                .is_some_and(|latency| latency >= Duration::from_millis(self.settings.latency_crit_ms));
            if !slow {
                self.window.clear();
            }
        }
        self.window.push(sample);
        self.evaluate(sample.at)
    }

    /// How the store is at `now`, when no call has ended since.
    pub fn evaluate(&mut self, now: Duration) -> Health {
        self.window.expire(now);
        let summary = self.window.summary();
        let mut state = HealthState::Healthy;
        if summary.samples >= self.settings.min_samples {
            let by_rate = grade(
                summary.error_rate,
                self.settings.error_rate_warn,
                self.settings.error_rate_crit,
            );
            state = state.max(by_rate);
        }
        if summary.timed_samples >= self.settings.min_samples {
            let (warn, crit) = (
                self.settings.latency_warn_ms as f64,
                self.settings.latency_crit_ms as f64,
            );
            state = state.max(grade(summary.latency_ms_avg, warn, crit));
        }
        if state != self.state {
            self.state = state;
            self.since = now;
        }
        Health {
            state,
            latency_ms_avg: summary.latency_ms_avg,
            error_rate: summary.error_rate,
            since: self.since,
        }
    }
}

fn grade(value: f64, warn: f64, crit: f64) -> HealthState {
    if value >= crit {
        HealthState::Unavailable
    } else if value >= warn {
        HealthState::Degraded
    } else {
        HealthState::Healthy
    }
}
