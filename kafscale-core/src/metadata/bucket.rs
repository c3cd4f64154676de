//! Metadata in the bucket itself, for a process that has no other service: see `docs/decisions/0002-embedded-metadata.md`.
//!
//! Every process session writes a slot log of its own: slot 0 is a snapshot of everything, each later slot holds the
//! changes of one flush. A new session seals the log before it, and its seal names the new log: so the logs form one
//! chain, exactly one of several openers wins each link, and a process that was paused finds the seal when it wakes.
//! Reads come from memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use self::flush::{Flusher, Request};
use super::state::State;
use super::txn::{Txn, TxnOutcome, Versioned};
use super::{Lost, MetadataStore};
use crate::clock::{Clock, within};
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::SessionId;
use crate::random::Random;
use crate::store::Store;

mod clean;
mod flush;
mod open;
mod record;

/// Settings of a [`BucketMetadata`]. Durations are in milliseconds, sizes in bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketMetadataSettings {
    /// After this many slots a snapshot begins a new log: what a start has to read.
    pub snapshot_after_slots: u64,
    /// After this many bytes of changes, and no fewer than the last snapshot had, a snapshot begins a new log.
    pub snapshot_after_bytes: u64,
    /// How long a transaction waits to become durable before its caller learns that the result is not known.
    pub commit_timeout_ms: u64,
    /// How many transactions may wait for the flush before theirs; more wait outside.
    pub queue: usize,
    /// Transactions of about so many bytes go into one flush.
    pub flush_bytes: usize,
    /// The least time from the start of one PUT to the start of the next. Zero where PUTs cost nothing.
    pub flush_gap_ms: u64,
}

impl Default for BucketMetadataSettings {
    fn default() -> Self {
        BucketMetadataSettings {
            snapshot_after_slots: 1024,
            snapshot_after_bytes: 64 << 20,
            commit_timeout_ms: 10_000,
            queue: 1024,
            flush_bytes: 4 << 20,
            flush_gap_ms: 0,
        }
    }
}

impl BucketMetadataSettings {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// `Precondition`, naming the setting.
    pub fn validate(&self) -> Result<()> {
        let least_one = [
            ("snapshot_after_slots", self.snapshot_after_slots),
            ("snapshot_after_bytes", self.snapshot_after_bytes),
            ("commit_timeout_ms", self.commit_timeout_ms),
            ("queue", self.queue as u64),
            ("flush_bytes", self.flush_bytes as u64),
        ];
        match least_one.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(Error::new(
                ErrorKind::Precondition,
                format!("the metadata setting {name} must be at least 1"),
            )),
            None => Ok(()),
        }
    }
}

/// Metadata as a chain of slot logs in the bucket.
pub struct BucketMetadata {
    shared: Arc<Shared>,
    phase: Mutex<Phase>,
}

/// What the handle and the flush task share.
struct Shared {
    store: Store,
    namespace: String,
    settings: BucketMetadataSettings,
    clock: Arc<dyn Clock>,
    random: Arc<Random>,
    epoch_floor: u64,
    /// What is durable.
    state: RwLock<State>,
    lost: watch::Sender<Option<Lost>>,
}

enum Phase {
    New,
    Opening,
    /// Dropping the handle ends the session as a crash would.
    Open {
        queue: mpsc::Sender<Request>,
        _task: AbortOnDropHandle<()>,
    },
    Closed,
}

impl BucketMetadata {
    /// A handle on the metadata of `namespace` in `store`, without a session. Touches nothing yet.
    ///
    /// # Errors
    /// Those of [`BucketMetadataSettings::validate`].
    pub fn new(
        store: Store,
        namespace: &str,
        settings: BucketMetadataSettings,
        clock: Arc<dyn Clock>,
        random: Arc<Random>,
    ) -> Result<BucketMetadata> {
        settings.validate()?;
        let shared = Shared {
            store,
            namespace: namespace.to_owned(),
            settings,
            clock,
            random,
            epoch_floor: 0,
            state: RwLock::default(),
            lost: watch::Sender::new(None),
        };
        Ok(BucketMetadata {
            shared: Arc::new(shared),
            phase: Mutex::new(Phase::New),
        })
    }

    /// The session's epoch will be larger than `epoch`: for a start that found logs of sessions which the metadata does
    /// not know.
    #[must_use]
    pub fn with_epoch_above(mut self, epoch: u64) -> BucketMetadata {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.epoch_floor = shared.epoch_floor.max(epoch);
        }
        self
    }

    /// The open session's queue.
    fn queue(&self) -> Result<mpsc::Sender<Request>> {
        self.shared.check_lost()?;
        match &*self.phase.lock() {
            Phase::Open { queue, .. } => Ok(queue.clone()),
            Phase::New | Phase::Opening => Err(Error::new(
                ErrorKind::Closed,
                "the metadata session is not open yet",
            )),
            Phase::Closed => Err(Error::new(ErrorKind::Closed, "the metadata session is closed")),
        }
    }

    /// Puts a request into the queue and waits for its answer, for as long as a commit may take.
    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T> {
        let queue = self.queue()?;
        let (reply, answer) = oneshot::channel();
        let request = make(reply);
        let work = async {
            queue.send(request).await.map_err(|_| self.shared.ended())?;
            answer.await.map_err(|_| self.shared.ended())
        };
        let limit = Duration::from_millis(self.shared.settings.commit_timeout_ms);
        match within(&*self.shared.clock, limit, work).await {
            Some(answer) => answer,
            None => {
                let what =
                    format!("the metadata change is not durable after {limit:?}; it may still become so");
                Err(Error::new(ErrorKind::Timeout, what))
            }
        }
    }
}

impl Shared {
    fn check_lost(&self) -> Result<()> {
        match &*self.lost.borrow() {
            Some(lost) => Err(lost.duplicate()),
            None => Ok(()),
        }
    }

    /// Why the flush task is gone.
    fn ended(&self) -> Error {
        match self.check_lost() {
            Err(lost) => lost,
            Ok(()) => Error::new(ErrorKind::Closed, "the metadata session is closed"),
        }
    }
}

impl fmt::Debug for BucketMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketMetadata")
            .field("namespace", &self.shared.namespace)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl MetadataStore for BucketMetadata {
    async fn open_session(&self, broker: i32) -> Result<SessionId> {
        {
            let mut phase = self.phase.lock();
            if !matches!(*phase, Phase::New) {
                return Err(Error::new(
                    ErrorKind::Precondition,
                    "this handle has opened its metadata session",
                ));
            }
            *phase = Phase::Opening;
        }
        let opened = match open::open(&self.shared, broker).await {
            Ok(opened) => opened,
            Err(error) => {
                *self.phase.lock() = Phase::Closed;
                if error.kind() == ErrorKind::Fenced {
                    self.shared.lost.send_replace(Some(Arc::new(error.duplicate())));
                }
                return Err(error);
            }
        };
        let session = opened.log.session;
        *self.shared.state.write() = opened.state;
        let (queue, requests) = mpsc::channel(self.shared.settings.queue);
        let flusher = Flusher::new(self.shared.clone(), requests, opened.log, opened.garbage);
        let task = AbortOnDropHandle::new(tokio::spawn(flusher.run()));
        let mut phase = self.phase.lock();
        if matches!(*phase, Phase::Closed) {
            return Err(Error::new(
                ErrorKind::Closed,
                "the metadata session was closed while it opened",
            ));
        }
        *phase = Phase::Open { queue, _task: task };
        Ok(session)
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>> {
        let _ = self.queue()?;
        Ok(self.shared.state.read().get(key))
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>> {
        let _ = self.queue()?;
        Ok(self.shared.state.read().range(prefix))
    }

    async fn commit(&self, txn: Txn) -> Result<TxnOutcome> {
        txn.check()?;
        self.ask(|reply| Request::Commit { txn, reply }).await
    }

    async fn close(&self) -> Result<()> {
        let answer = match self.queue() {
            Ok(_) => self.ask(|reply| Request::Close { reply }).await,
            // Nothing is open, or nothing is left to lose.
            Err(_) => Ok(()),
        };
        let ended = std::mem::replace(&mut *self.phase.lock(), Phase::Closed);
        drop(ended);
        answer
    }

    fn fenced(&self) -> watch::Receiver<Option<Lost>> {
        self.shared.lost.subscribe()
    }
}

#[cfg(test)]
mod tests;
