//! Time, injected: the only place of the engine that reads a clock or starts a timer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A wall clock, a monotonic clock and a timer.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC, as Kafka's timestamps.
    fn unix_ms(&self) -> i64;
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The machine's clock, with Tokio's timers.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that counts [`Clock::elapsed`] from now.
    #[allow(clippy::disallowed_methods, reason = "this file is the door to the clock")]
    pub fn new() -> SystemClock {
        SystemClock {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

#[allow(clippy::disallowed_methods, reason = "this file is the door to the clock")]
impl Clock for SystemClock {
    fn unix_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(_) => 0,
        }
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands where it was set and moves with Tokio's (pausable) time: for repeatable runs.
#[cfg(feature = "testing")]
#[derive(Debug)]
pub struct SimClock {
    start: Instant,
    base_unix_ms: i64,
}

#[cfg(feature = "testing")]
#[allow(clippy::disallowed_methods, reason = "this file is the door to the clock")]
impl SimClock {
    /// A clock whose wall time is `base_unix_ms` now.
    pub fn new(base_unix_ms: i64) -> SimClock {
        SimClock {
            start: Instant::now(),
            base_unix_ms,
        }
    }
}

#[cfg(feature = "testing")]
#[allow(clippy::disallowed_methods, reason = "this file is the door to the clock")]
impl Clock for SimClock {
    fn unix_ms(&self) -> i64 {
        self.base_unix_ms + i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Runs `work` for at most `limit`; `None` when the time is over first.
pub async fn within<F: Future>(clock: &dyn Clock, limit: Duration, work: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(limit) => None,
    }
}
