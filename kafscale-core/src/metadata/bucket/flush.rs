//! Group commit: the task that owns the session's log. While one slot is on its way the next transactions gather.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::clean::{Garbage, clean};
use super::open::{Log, begin_log, epoch_after};
use super::{Shared, record};
use crate::error::Result;
use crate::format::keys::MetaSessionId;
use crate::metadata::state::Overlay;
use crate::metadata::txn::{Txn, TxnOutcome};

/// What the flush task is asked for.
pub(super) enum Request {
    Commit {
        txn: Txn,
        reply: oneshot::Sender<TxnOutcome>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

type Waiting = (Txn, oneshot::Sender<TxnOutcome>);

pub(super) struct Flusher {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Request>,
    log: Log,
    /// Bytes of changes since the snapshot.
    changed_bytes: u64,
    /// When the last slot began, by the clock's elapsed time.
    last_flush: Option<Duration>,
    cleaning: JoinSet<()>,
}

impl Flusher {
    pub(super) fn new(
        shared: Arc<Shared>,
        queue: mpsc::Receiver<Request>,
        log: Log,
        garbage: Garbage,
    ) -> Flusher {
        let cleaning = JoinSet::new();
        let mut flusher = Flusher {
            shared,
            queue,
            log,
            changed_bytes: 0,
            last_flush: None,
            cleaning,
        };
        flusher.clean(garbage);
        flusher
    }

    /// Serves until the session is closed, fenced or dropped. Who still waits then learns it when the queue is dropped.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::error!(%error, "the metadata session ends: nothing more will be committed");
            self.shared.lost.send_replace(Some(Arc::new(error)));
        }
    }

    async fn serve(&mut self) -> Result<()> {
        while let Some(first) = self.queue.recv().await {
            self.pace().await;
            let (batch, close) = self.gather(first);
            self.flush(batch).await?;
            if let Some(reply) = close {
                // Nobody wins or loses anything by the name of the log after the last; the next opener seals that one.
                let next = self.next_log()?;
                self.log.writer.seal(&next.to_string()).await?;
                let _ = reply.send(());
                return Ok(());
            }
            let settings = &self.shared.settings;
            let enough_bytes = settings.snapshot_after_bytes.max(self.log.snapshot_bytes);
            if self.log.writer.next_slot() > settings.snapshot_after_slots
                || self.changed_bytes >= enough_bytes
            {
                self.begin_next_log().await?;
            }
        }
        Ok(())
    }

    /// Keeps the distance between PUTs; meanwhile transactions gather.
    async fn pace(&mut self) {
        let gap = Duration::from_millis(self.shared.settings.flush_gap_ms);
        if let Some(last) = self.last_flush {
            let since = self.shared.clock.elapsed().saturating_sub(last);
            if let Some(rest) = gap.checked_sub(since).filter(|rest| !rest.is_zero()) {
                self.shared.clock.sleep(rest).await;
            }
        }
    }

    /// All transactions that wait, up to the limit of one flush, and whether the session is to be closed after them.
    fn gather(&mut self, first: Request) -> (Vec<Waiting>, Option<oneshot::Sender<()>>) {
        let (mut batch, mut bytes, mut next) = (Vec::new(), 0usize, Some(first));
        while let Some(request) = next {
            match request {
                Request::Close { reply } => return (batch, Some(reply)),
                // The caller has given up already and must not be surprised later.
                Request::Commit { reply, .. } if reply.is_closed() => {}
                Request::Commit { txn, reply } => {
                    bytes = bytes.saturating_add(txn.cost());
                    batch.push((txn, reply));
                }
            }
            next = if bytes < self.shared.settings.flush_bytes {
                self.queue.try_recv().ok()
            } else {
                None
            };
        }
        (batch, None)
    }

    /// Decides a batch, makes its changes durable, then visible, and only then answers: a conflict may rest on a change of
    /// the same batch.
    async fn flush(&mut self, batch: Vec<Waiting>) -> Result<()> {
        let mut answers = Vec::with_capacity(batch.len());
        let changes = {
            let state = self.shared.state.read();
            let mut overlay = Overlay::new(&state);
            for (txn, reply) in batch {
                answers.push((overlay.commit(&txn), reply));
            }
            let changes = overlay.into_changes();
            (changes.revision > state.revision).then_some(changes)
        };
        if let Some(changes) = changes {
            self.last_flush = Some(self.shared.clock.elapsed());
            let header = self.log.writer.next_header(0);
            let bytes = record::changes(header, &changes)?;
            self.changed_bytes = self.changed_bytes.saturating_add(bytes.len() as u64);
            self.log.writer.put(header.slot, &[bytes], header.attempt).await?;
            self.shared.state.write().apply(changes);
        }
        for (outcome, reply) in answers {
            // Who has given up waiting does not hear it.
            let _ = reply.send(outcome);
        }
        Ok(())
    }

    fn next_log(&self) -> Result<MetaSessionId> {
        Ok(MetaSessionId {
            epoch: epoch_after(self.log.id.epoch)?,
            nonce: self.shared.random.u32(),
        })
    }

    /// Ends the log and begins the next one of the same session, with a snapshot.
    async fn begin_next_log(&mut self) -> Result<()> {
        let next = self.next_log()?;
        let end = self.log.writer.next_slot();
        self.log.writer.seal(&next.to_string()).await?;
        // Nothing changes meanwhile: this task makes all changes.
        let state = self.shared.state.read().clone();
        let log = begin_log(&self.shared, self.log.session, next, &state).await?;
        let old = std::mem::replace(&mut self.log, log);
        self.changed_bytes = 0;
        let mut garbage = Garbage::default();
        garbage.add_own(old.writer.log(), end);
        self.clean(garbage);
        Ok(())
    }

    fn clean(&mut self, garbage: Garbage) {
        while self.cleaning.try_join_next().is_some() {}
        self.cleaning.spawn(clean(
            self.shared.store.clone(),
            self.shared.clock.clone(),
            garbage,
        ));
    }
}
