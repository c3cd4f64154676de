//! The writing end of the log: takes batches that have their offsets, and says when they are durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use super::backlog::Backlog;
use super::gather::{FlushRules, Gather};
use super::pacer::Pacer;
use super::{LogMember, Stopped, upload};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::SessionId;
use crate::metrics::EngineMetrics;
use crate::random::Random;
use crate::settings::WalSettings;
use crate::slotlog::{LogName, SlotWriter};
use crate::store::{Purpose, Store, StoreKind};

/// A batch that has its offsets and waits to be written.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) member: Arc<dyn LogMember>,
    pub(crate) bytes: Bytes,
    pub(crate) base_offset: i64,
    pub(crate) leader_epoch: i32,
    /// The memory that the batch occupies until it is durable.
    pub(crate) permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// What a log is made of.
#[derive(Debug)]
pub(crate) struct WalParts {
    pub(crate) store: Store,
    pub(crate) namespace: Arc<str>,
    pub(crate) session: SessionId,
    pub(crate) settings: WalSettings,
    pub(crate) in_flight_bytes: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<Random>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) metrics: Arc<EngineMetrics>,
}

/// The writing end of one session's log. Cheap to clone; when the last one is dropped, writing ends as in a crash.
#[derive(Clone, Debug)]
pub(crate) struct Wal {
    shared: Arc<Shared>,
    _task: Arc<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) writer: SlotWriter,
    pub(super) session: SessionId,
    pub(super) rules: FlushRules,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) metrics: Arc<EngineMetrics>,
    pub(super) gather: Mutex<Gather<Entry>>,
    pub(super) pacer: Mutex<Pacer>,
    /// Something was gathered, forced or closed.
    pub(super) wake: Notify,
    /// Announced in the header of the next slot: all slots below it may be gone.
    pub(super) trim: AtomicU64,
    /// Number of slots that are committed: all below it exist.
    pub(super) committed: watch::Sender<u64>,
    pub(super) stopped: watch::Sender<Option<Stopped>>,
    pub(super) closing: AtomicBool,
    sync_flush: bool,
    budget: Arc<Semaphore>,
    budget_bytes: usize,
}

const MIB: usize = 1 << 20;

impl Wal {
    /// Starts the log of a new session, at slot 0.
    pub(crate) fn start(parts: WalParts) -> Wal {
        let WalParts {
            store,
            namespace,
            session,
            settings,
            in_flight_bytes,
            clock,
            random,
            backlog,
            metrics,
        } = parts;
        let kind = store.kind();
        let local = kind == StoreKind::Local;
        let free = kind != StoreKind::Remote;
        let rules = FlushRules {
            object_bytes: settings.object_bytes.unwrap_or(if local { MIB } else { 4 * MIB }),
            gather: Duration::from_millis(settings.gather_ms.unwrap_or(if free { 0 } else { 2 })),
            flush_interval: settings.flush_interval(),
            in_flight_objects: settings.in_flight_objects.unwrap_or(if local { 4 } else { 16 }),
            stall: Duration::from_secs(1),
        };
        let rate = settings.puts_per_second.or(if free { None } else { Some(20.0) });
        let shared = Arc::new(Shared {
            writer: SlotWriter::new(
                store,
                LogName::wal(&namespace, session),
                session,
                Arc::clone(&clock),
                Arc::clone(&random),
                Purpose::Wal,
            ),
            session,
            rules,
            clock,
            backlog,
            metrics,
            gather: Mutex::new(Gather::new()),
            pacer: Mutex::new(Pacer::new(rate)),
            wake: Notify::new(),
            trim: AtomicU64::new(0),
            committed: watch::channel(0).0,
            stopped: watch::channel(None).0,
            closing: AtomicBool::new(false),
            sync_flush: settings.sync_flush,
            budget: Arc::new(Semaphore::new(in_flight_bytes)),
            budget_bytes: in_flight_bytes,
        });
        let task = AbortOnDropHandle::new(tokio::spawn(upload::run(Arc::clone(&shared))));
        Wal {
            shared,
            _task: Arc::new(task),
        }
    }

    /// Stops the log: nothing more is acknowledged.
    pub(crate) fn stop(&self, kind: ErrorKind, reason: Arc<str>) {
        self.shared.stop(kind, reason);
        self.shared.wake.notify_one();
    }

    /// Waits until there is memory for `bytes` more that are not durable.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Arc<OwnedSemaphorePermit>> {
        let bytes = u32::try_from(bytes.min(self.shared.budget_bytes)).unwrap_or(u32::MAX);
        match Arc::clone(&self.shared.budget).acquire_many_owned(bytes).await {
            Ok(permit) => Ok(Arc::new(permit)),
            Err(_) => Err(self.stopped_error()),
        }
    }

    /// Takes the batches of one append. To be called under the partition's lock, so that batches are gathered in offset
    /// order. Fails when nobody would write them any more.
    pub(crate) fn push(&self, entries: impl IntoIterator<Item = Entry>, waited_for: bool) -> Result<()> {
        let now = self.shared.clock.elapsed();
        let waited_for = waited_for && self.shared.sync_flush;
        {
            let mut gather = self.shared.gather.lock();
            for entry in entries {
                let bytes = entry.bytes.len();
                if !gather.push(entry, bytes, waited_for, now) {
                    drop(gather);
                    return Err(self.stopped_error());
                }
            }
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Whether answers wait for durability at all.
    pub(crate) fn sync_flush(&self) -> bool {
        self.shared.sync_flush
    }

    /// Announces a higher trim point and waits until a committed slot carries it.
    pub(crate) async fn announce_trim(&self, below: u64) -> Result<()> {
        self.shared.trim.fetch_max(below, Ordering::AcqRel);
        // The next slot that is numbered carries it; those that have their number do not.
        let carrier = {
            let mut gather = self.shared.gather.lock();
            gather.force();
            self.shared.writer.next_slot()
        };
        self.shared.wake.notify_one();
        self.wait_committed(carrier).await
    }

    async fn wait_committed(&self, slot: u64) -> Result<()> {
        let mut committed = self.shared.committed.subscribe();
        let mut stopped = self.shared.stopped.subscribe();
        tokio::select! {
            biased;
            done = committed.wait_for(|&count| count > slot) => match done {
                Ok(_) => Ok(()),
                Err(_) => Err(self.stopped_error()),
            },
            _ = stopped.wait_for(Option::is_some) => Err(self.stopped_error()),
        }
    }

    /// Becomes `Some` when nothing more will be acknowledged.
    pub(crate) fn stopped(&self) -> watch::Receiver<Option<Stopped>> {
        self.shared.stopped.subscribe()
    }

    /// Refuses when nothing more will be acknowledged.
    pub(crate) fn check_running(&self) -> Result<()> {
        if self.shared.stopped.borrow().is_some() || self.shared.closing.load(Ordering::Acquire) {
            return Err(self.stopped_error());
        }
        Ok(())
    }

    fn stopped_error(&self) -> Error {
        match &*self.shared.stopped.borrow() {
            Some(stopped) => Error::new(stopped.kind, &*stopped.reason),
            None => Error::new(ErrorKind::Closed, "the engine is closing"),
        }
    }

    /// Writes all that was taken, then seals the log: nothing more can come.
    pub(crate) async fn close(&self) -> Result<()> {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        let mut stopped = self.shared.stopped.subscribe();
        let outcome = match stopped.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        self.shared.budget.close();
        match outcome {
            Some(Stopped {
                kind: ErrorKind::Closed,
                ..
            }) => self.shared.writer.seal("").await.map_err(Error::from),
            Some(Stopped { kind, reason }) => Err(Error::new(kind, &*reason)),
            None => Err(Error::new(ErrorKind::Closed, "the log's task ended early")),
        }
    }
}

impl Shared {
    /// Nothing more is acknowledged from now on.
    pub(super) fn stop(&self, kind: ErrorKind, reason: impl Into<Arc<str>>) {
        let stopped = Stopped {
            kind,
            reason: reason.into(),
        };
        self.stopped.send_if_modified(|state| {
            let first = state.is_none();
            if first {
                *state = Some(stopped);
            }
            first
        });
        self.budget.close();
        self.gather.lock().drain();
    }
}
