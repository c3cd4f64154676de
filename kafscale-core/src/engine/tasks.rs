//! The engine's background work: cutting, trimming, forgetting idle producers, and noticing that it was fenced.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::task::AbortOnDropHandle;

use super::builder::millis;
use super::trimmer::TrimProgress;
use super::{Engine, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::partition::Partition;

/// How often ages are looked at: at least so often, and four times in the age at which a segment is cut.
const TICK: Duration = Duration::from_secs(5);
/// Objects that are worth a trim of their own.
const TRIM_OBJECTS: usize = 32;
/// Kafka's `producer.id.expiration.ms`.
const PRODUCER_EXPIRATION_MS: i64 = 86_400_000;
/// Pause after background work failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// When the backlog is over its limits, cutting goes on until it is down to this share of them.
const RELIEVED: f64 = 0.5;

/// Starts all background work. It ends with the engine.
pub(super) fn start(engine: &Engine, cut_requests: UnboundedReceiver<Arc<Partition>>) {
    engine.spawn(cutting(
        Arc::downgrade(&engine.0.inner),
        Arc::clone(&engine.0.clock),
        cut_requests,
    ));
    engine.spawn(watching(
        Arc::downgrade(&engine.0.inner),
        engine.0.wal.stopped(),
        engine.0.metadata.fenced(),
    ));
}

impl Engine {
    /// Runs `work` until it is done or the engine is dropped.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.tasks.lock();
        tasks.retain(|task| !task.is_finished());
        tasks.push(AbortOnDropHandle::new(tokio::spawn(work)));
    }
}

async fn cutting(
    engine: Weak<Inner>,
    clock: Arc<dyn crate::clock::Clock>,
    mut requests: UnboundedReceiver<Arc<Partition>>,
) {
    let mut progress = TrimProgress::default();
    let tick = match engine.upgrade() {
        Some(inner) => TICK.min(Duration::from_millis(inner.settings.segment.max_age_ms / 4 + 1)),
        None => return,
    };
    let Some(backlog) = engine.upgrade().map(|inner| Arc::clone(&inner.backlog)) else {
        return;
    };
    loop {
        let wanted = tokio::select! {
            biased;
            request = requests.recv() => match request {
                Some(partition) => Some(partition),
                None => return,
            },
            () = backlog.pressure() => None,
            () = clock.sleep(tick) => None,
        };
        let Some(inner) = engine.upgrade() else { return };
        let engine = Engine::of_background_work(inner);
        if engine.0.wal.check_running().is_err() {
            return;
        }
        let outcome = engine.one_round(wanted.as_ref(), &mut progress).await;
        if let Err(error) = outcome {
            if engine.0.wal.check_running().is_err() {
                return;
            }
            tracing::warn!(%error, "cutting or trimming failed; it is tried again");
            clock.sleep(RETRY_PAUSE).await;
        }
    }
}

impl Engine {
    async fn one_round(&self, wanted: Option<&Arc<Partition>>, progress: &mut TrimProgress) -> Result<()> {
        match wanted {
            Some(partition) => {
                partition.leave_cut_queue();
                self.cut_full(partition).await?;
            }
            None => {
                self.cut_old().await?;
                self.expire_producers();
            }
        }
        self.relieve().await?;
        if wanted.is_none() || self.0.backlog.released() >= TRIM_OBJECTS {
            self.trim(progress).await?;
        }
        Ok(())
    }

    /// Cuts a partition as long as it holds a whole segment.
    async fn cut_full(&self, partition: &Arc<Partition>) -> Result<()> {
        while partition.state().tail.bytes() >= partition.config().segment_bytes {
            if !self.cut_or_stopped(partition).await? {
                break;
            }
        }
        Ok(())
    }

    /// A partition that has stopped says so to whoever uses it; it does not keep others from being cut.
    async fn cut_or_stopped(&self, partition: &Arc<Partition>) -> Result<bool> {
        match self.cut(partition).await {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                tracing::debug!(%partition, %error, "not cut");
                Ok(false)
            }
            outcome => outcome,
        }
    }

    /// Cuts partitions whose oldest records are older than the maximum age.
    async fn cut_old(&self) -> Result<()> {
        let now = millis(self.0.clock.elapsed());
        let too_old =
            |committed_at_ms: u64| now.saturating_sub(committed_at_ms) >= self.0.settings.segment.max_age_ms;
        if !self
            .0
            .backlog
            .oldest(1)
            .iter()
            .any(|object| too_old(object.committed_at_ms))
        {
            return Ok(());
        }
        for partition in self.partitions() {
            self.load_if_found(&partition).await?;
            let old = |partition: &Partition| {
                partition
                    .state()
                    .tail
                    .first()
                    .is_some_and(|run| too_old(run.object.committed_at_ms))
            };
            while old(&partition) && self.cut_or_stopped(&partition).await? {}
        }
        Ok(())
    }

    /// Cuts the partitions that hold back the oldest objects, until the backlog is well within its limits.
    async fn relieve(&self) -> Result<()> {
        if !self.0.backlog.is_over(1.0) {
            return Ok(());
        }
        while self.0.backlog.unreleased_is_over(RELIEVED) {
            let Some(oldest) = self.0.backlog.oldest(1).pop() else {
                break;
            };
            let mut cut = false;
            for partition in self.partitions() {
                self.load_if_found(&partition).await?;
                let holds = partition.state().tail.first().is_some_and(|run| {
                    (run.object.session.epoch, run.object.slot) <= (oldest.session.epoch, oldest.slot)
                });
                cut |= holds && self.cut_or_stopped(&partition).await?;
            }
            if !cut {
                break;
            }
        }
        Ok(())
    }

    async fn load_if_found(&self, partition: &Arc<Partition>) -> Result<()> {
        if !partition.is_loaded() && partition.has_unread_findings() {
            partition.ensure_loaded(&self.0.store).await?;
        }
        Ok(())
    }

    fn expire_producers(&self) {
        let before = self.0.clock.unix_ms() - PRODUCER_EXPIRATION_MS;
        for partition in self.partitions() {
            let mut state = partition.state();
            let high_watermark = state.high_watermark;
            state.producers.expire(before, high_watermark);
        }
    }

    /// Nothing more is acknowledged: whoever waits learns it now.
    pub(super) fn stop_serving(&self, kind: ErrorKind, reason: &Arc<str>) {
        self.0.wal.stop(kind, Arc::clone(reason));
        for partition in self.partitions() {
            partition.stop(kind, reason);
        }
        if kind != ErrorKind::Closed {
            self.0.fenced.send_replace(Some(Arc::clone(reason)));
        }
    }
}

async fn watching(
    engine: Weak<Inner>,
    mut log: tokio::sync::watch::Receiver<Option<crate::wal::Stopped>>,
    mut metadata: tokio::sync::watch::Receiver<Option<Arc<Error>>>,
) {
    let (kind, reason) = tokio::select! {
        biased;
        stopped = log.wait_for(Option::is_some) => match stopped.as_deref() {
            Ok(Some(stopped)) => (stopped.kind, Arc::clone(&stopped.reason)),
            _ => return,
        },
        lost = metadata.wait_for(Option::is_some) => match lost.as_deref() {
            Ok(Some(error)) => (error.kind(), Arc::from(error.to_string())),
            _ => return,
        },
    };
    if let Some(inner) = engine.upgrade() {
        Engine::of_background_work(inner).stop_serving(kind, &reason);
    }
}
