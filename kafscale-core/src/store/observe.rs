//! One try of a call: its permit, its metrics, its health sample; and asking a store that fails until it is back.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, PutOptions, PutPayload};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::retry::{Class, Failure, TryError};
use super::{Inner, Operation, Purpose, Store, StoreKind};
use crate::clock::{Clock, within};
use crate::health::{Health, HealthSettings, HealthState, HealthTracker, Sample};
use crate::metrics::StoreLabels;

/// The store's health, shared with the metrics.
#[derive(Debug)]
pub(crate) struct HealthCell {
    tracker: Mutex<HealthTracker>,
    sender: watch::Sender<Health>,
    clock: Arc<dyn Clock>,
    watched: AtomicBool,
}

impl HealthCell {
    pub(crate) fn new(settings: HealthSettings, clock: Arc<dyn Clock>) -> HealthCell {
        let mut tracker = HealthTracker::new(settings, clock.elapsed());
        let (sender, _) = watch::channel(tracker.evaluate(clock.elapsed()));
        HealthCell {
            tracker: Mutex::new(tracker),
            sender,
            clock,
            watched: AtomicBool::new(false),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.sender.subscribe()
    }

    /// The health and the time, now.
    pub(crate) fn now(&self) -> (Health, Duration) {
        let now = self.clock.elapsed();
        let mut tracker = self.tracker.lock();
        let health = tracker.evaluate(now);
        self.publish(health);
        (health, now)
    }

    fn record(&self, latency: Option<Duration>, failed: bool) -> Health {
        let mut tracker = self.tracker.lock();
        let health = tracker.record(Sample {
            at: self.clock.elapsed(),
            latency,
            failed,
        });
        self.publish(health);
        health
    }

    /// Called with the tracker locked, so that states are published in their order.
    fn publish(&self, health: Health) {
        self.sender.send_if_modified(|seen| {
            let changed = seen.state != health.state;
            if changed {
                tracing::warn!(
                    from = seen.state.as_str(),
                    to = health.state.as_str(),
                    latency_ms_avg = health.latency_ms_avg,
                    error_rate = health.error_rate,
                    "the store's health has changed"
                );
            }
            *seen = health;
            changed
        });
    }
}

impl Store {
    /// Runs one try of a call: waits for a permit, measures, and says what a failure means.
    pub(crate) async fn attempt<T>(
        &self,
        operation: Operation,
        purpose: Purpose,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failure> {
        let inner = &*self.0;
        let permit = inner.budget.acquire(purpose).await;
        let start = inner.clock.elapsed();
        let outcome = work.await.map_err(|error| Failure::new(operation, error));
        let took = inner.clock.elapsed().saturating_sub(start);
        drop(permit);

        let class = outcome.as_ref().err().map(|failure| failure.class);
        if class == Some(Class::Unsupported) {
            return outcome;
        }
        let failed = class.is_some_and(Class::is_failure);
        let labels = StoreLabels { operation, purpose };
        inner
            .metrics
            .tried(labels, took, failed, class == Some(Class::Throttled));
        // The time of a listing or of a bulk delete depends on how much there is, not on how the store is.
        let timed = !matches!(operation, Operation::List | Operation::Delete);
        let health = inner.health.record(timed.then_some(took), failed);
        if health.state != HealthState::Healthy {
            self.watch_health();
        }
        outcome
    }

    /// `work` within the time that a try which moves `bytes` may take.
    pub(crate) async fn timed<T>(
        &self,
        bytes: u64,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        let limit = match self.0.kind {
            // A system call cannot be taken back: to give it up early only adds a second one behind it.
            StoreKind::Local => Duration::from_millis(self.0.settings.request_timeout_max_ms),
            StoreKind::Memory | StoreKind::Remote => self.0.settings.timeout_for(bytes),
        };
        match within(&*self.0.clock, limit, work).await {
            Some(outcome) => outcome,
            None => Err(TryError::TimedOut(limit).into()),
        }
    }

    /// Watches a store that is not healthy until it is: samples grow old without calls, and an unavailable store gets no
    /// calls, because produce is refused.
    fn watch_health(&self) {
        if self.0.health.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let weak = Arc::downgrade(&self.0);
        let clock = Arc::clone(&self.0.clock);
        let interval = Duration::from_millis(self.0.settings.probe_interval_ms);
        let longest = interval.max(Duration::from_millis(self.0.settings.backoff_cap_ms));
        tokio::spawn(async move {
            let mut pause = interval;
            loop {
                clock.sleep(pause).await;
                match ask(&weak).await {
                    Asked::Gone | Asked::Healthy => return,
                    Asked::Failed => pause = (pause * 2).min(longest),
                    Asked::Fine => pause = interval,
                }
            }
        });
    }

    /// Overwrites the probe object, or without one asks for an object that need not be there.
    async fn ask_once(&self) -> Result<(), Failure> {
        match self.0.probe_key.get() {
            Some(path) => self.put_probe(path).await,
            None => {
                let path = Path::from("_kafscale");
                let options = GetOptions::new().with_head(true);
                let work = self.timed(0, async {
                    self.0.objects.get_opts(&path, options).await.map(drop)
                });
                match self.attempt(Operation::Get, Purpose::Probe, work).await {
                    Err(failure) if failure.class.is_failure() => Err(failure),
                    _ => Ok(()),
                }
            }
        }
    }

    /// One try to overwrite the probe object.
    pub(crate) async fn put_probe(&self, path: &Path) -> Result<(), Failure> {
        let text = format!("written to probe the store at {} ms\n", self.0.clock.unix_ms());
        let payload = PutPayload::from(Bytes::from(text));
        let options = PutOptions::default();
        let work = self.timed(0, async {
            self.0.objects.put_opts(path, payload, options).await.map(drop)
        });
        self.attempt(Operation::Put, Purpose::Probe, work).await
    }
}

enum Asked {
    Gone,
    Healthy,
    Fine,
    Failed,
}

async fn ask(weak: &Weak<Inner>) -> Asked {
    let Some(inner) = weak.upgrade() else {
        return Asked::Gone;
    };
    let store = Store(inner);
    let cell = &store.0.health;
    if cell.now().0.state == HealthState::Unavailable
        && let Err(failure) = store.ask_once().await
    {
        tracing::debug!(error = %failure, "the store is still unavailable");
        return Asked::Failed;
    }
    if cell.now().0.state != HealthState::Healthy {
        return Asked::Fine;
    }
    cell.watched.store(false, Ordering::Release);
    // A call that failed in between found us watching and did not start another watch.
    if cell.now().0.state != HealthState::Healthy && !cell.watched.swap(true, Ordering::AcqRel) {
        return Asked::Fine;
    }
    Asked::Healthy
}
