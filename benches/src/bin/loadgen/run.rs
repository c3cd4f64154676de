//! The run: its clock, when it measures, and how it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// One run. Times are counted from its beginning.
#[derive(Debug)]
pub(crate) struct Run {
    epoch: Instant,
    /// Tells this run's records from those of others.
    pub(crate) id: u64,
    /// From here on what happens is counted.
    pub(crate) from: Duration,
    /// Until here, in nanoseconds; Ctrl-C brings it forward.
    until: AtomicU64,
    stopped: watch::Sender<bool>,
    drained: watch::Sender<bool>,
}

impl Run {
    pub(crate) fn start(warm_up: Duration, duration: Duration) -> Run {
        Run {
            epoch: Instant::now(),
            id: fastrand::u64(..),
            from: warm_up,
            until: AtomicU64::new(nanos(warm_up + duration)),
            stopped: watch::channel(false).0,
            drained: watch::channel(false).0,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(crate) fn now_ns(&self) -> u64 {
        nanos(self.now())
    }

    /// When the measurement ends.
    pub(crate) fn until(&self) -> Duration {
        Duration::from_nanos(self.until.load(Ordering::Acquire))
    }

    /// How long was measured.
    pub(crate) fn measured(&self) -> Duration {
        self.until().saturating_sub(self.from)
    }

    /// Whether what happens at `now` counts.
    pub(crate) fn counts(&self, now: Duration) -> bool {
        now >= self.from && now < self.until()
    }

    /// Ends the measurement now.
    pub(crate) fn stop(&self) {
        self.until.fetch_min(self.now_ns(), Ordering::AcqRel);
        self.stopped.send_replace(true);
    }

    /// Whether the run was stopped before its time.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Sleeps until `at`, or until the run is stopped.
    pub(crate) async fn sleep_until(&self, at: Duration) {
        self.unless_stopped(tokio::time::sleep_until((self.epoch + at).into()))
            .await;
    }

    /// Does `work`; `None` when the run is stopped before it is done.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|&stopped| stopped) => None,
            done = work => Some(done),
        }
    }

    /// All records that will be acknowledged are.
    pub(crate) fn producers_are_done(&self) {
        self.drained.send_replace(true);
    }

    /// Whether all records that will be acknowledged are.
    pub(crate) fn is_drained(&self) -> bool {
        *self.drained.borrow()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
