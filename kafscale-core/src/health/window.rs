//! A sliding window of calls to the store.

use std::collections::VecDeque;
use std::time::Duration;

/// At most this many calls are remembered, however long the window: what keeps memory bounded on a busy broker.
const MAX_SAMPLES: usize = 4096;

/// One call to the store, as it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it ended, on the monotonic clock.
    pub at: Duration,
    /// How long it took. `None` when its length says nothing about the store: a LIST of unknown size, a bulk delete.
    pub latency: Option<Duration>,
    /// Whether the store failed. "Not found" and "exists already" are answers, not failures.
    pub failed: bool,
}

/// What a window holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Calls in the window.
    pub samples: usize,
    /// Calls in the window whose latency counts.
    pub timed_samples: usize,
    /// The mean of those latencies, in milliseconds; 0 without any.
    pub latency_ms_avg: f64,
    /// Failed calls as a fraction of all, 0 to 1; 0 without any.
    pub error_rate: f64,
}

/// The calls of the last [`Window::new`] span.
#[derive(Clone, Debug)]
pub struct Window {
    span: Duration,
    samples: VecDeque<Sample>,
    failed: usize,
    timed: usize,
    latency_sum: Duration,
}

impl Window {
    /// An empty window that remembers calls for `span`.
    pub fn new(span: Duration) -> Window {
        Window {
            span,
            samples: VecDeque::new(),
            failed: 0,
            timed: 0,
            latency_sum: Duration::ZERO,
        }
    }

    /// Adds a call and forgets those that have become too old.
    pub fn push(&mut self, sample: Sample) {
        self.expire(sample.at);
        if self.samples.len() >= MAX_SAMPLES {
            self.forget_oldest();
        }
        self.failed += usize::from(sample.failed);
        if let Some(latency) = sample.latency {
            self.timed += 1;
            self.latency_sum += latency;
        }
        self.samples.push_back(sample);
    }

    /// Forgets the calls that ended a whole span or more before `now`.
    pub fn expire(&mut self, now: Duration) {
        while self
            .samples
            .front()
            .is_some_and(|oldest| oldest.at + self.span <= now)
        {
            self.forget_oldest();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Window::new(self.span);
    }

    /// Counts what is in the window. Call [`Window::expire`] first.
    pub fn summary(&self) -> Summary {
        let samples = self.samples.len();
        Summary {
            samples,
            timed_samples: self.timed,
            latency_ms_avg: ratio(self.latency_sum.as_secs_f64() * 1000.0, self.timed),
            error_rate: ratio(self.failed as f64, samples),
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.samples.pop_front() {
            self.failed -= usize::from(oldest.failed);
            if let Some(latency) = oldest.latency {
                self.timed -= 1;
                self.latency_sum = self.latency_sum.saturating_sub(latency);
            }
        }
    }
}

fn ratio(sum: f64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}
