//! Metadata in this process's memory, shared by all handles: for tests and for engines that need not survive.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::state::{Overlay, State};
use super::txn::{Txn, TxnOutcome, Versioned};
use super::{Lost, MetadataStore};
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::SessionId;

/// A handle on metadata in memory. [`MemoryMetadata::another`] gives a second handle on the same data, as a second
/// process would have it: sessions of different brokers live side by side, a newer session of the same broker fences
/// the older one.
pub struct MemoryMetadata {
    shared: Arc<Mutex<Shared>>,
    session: Mutex<Session>,
    lost: watch::Sender<Option<Lost>>,
}

#[derive(Default)]
struct Shared {
    state: State,
    epoch: u64,
    live: HashMap<i32, (u64, watch::Sender<Option<Lost>>)>,
}

#[derive(Clone, Copy)]
enum Session {
    New,
    Open(SessionId),
    Closed,
}

impl MemoryMetadata {
    /// Empty.
    pub fn new() -> MemoryMetadata {
        MemoryMetadata::on(Arc::default())
    }

    /// A second handle on the same data, without a session.
    #[must_use]
    pub fn another(&self) -> MemoryMetadata {
        MemoryMetadata::on(self.shared.clone())
    }

    fn on(shared: Arc<Mutex<Shared>>) -> MemoryMetadata {
        MemoryMetadata {
            shared,
            session: Mutex::new(Session::New),
            lost: watch::Sender::new(None),
        }
    }

    fn check_open(&self) -> Result<()> {
        match *self.session.lock() {
            Session::New => Err(Error::new(
                ErrorKind::Closed,
                "the metadata session is not open yet",
            )),
            Session::Closed => Err(Error::new(ErrorKind::Closed, "the metadata session is closed")),
            Session::Open(_) => match &*self.lost.borrow() {
                Some(lost) => Err(lost.duplicate()),
                None => Ok(()),
            },
        }
    }
}

impl Default for MemoryMetadata {
    fn default() -> Self {
        MemoryMetadata::new()
    }
}

impl fmt::Debug for MemoryMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryMetadata")
    }
}

#[async_trait]
impl MetadataStore for MemoryMetadata {
    async fn open_session(&self, broker: i32) -> Result<SessionId> {
        let mut shared = self.shared.lock();
        let mut session = self.session.lock();
        if !matches!(*session, Session::New) {
            return Err(Error::new(
                ErrorKind::Precondition,
                "this handle has opened its metadata session",
            ));
        }
        shared.epoch += 1;
        // The nonce tells sessions apart whose counter was reset; this counter lives as long as its data.
        let id = SessionId {
            broker,
            epoch: shared.epoch,
            nonce: 0,
        };
        if let Some((_, older)) = shared.live.insert(broker, (id.epoch, self.lost.clone())) {
            let what = format!("broker {broker} has opened session {id}, which ends this one");
            older.send_replace(Some(Arc::new(Error::new(ErrorKind::Fenced, what))));
        }
        *session = Session::Open(id);
        Ok(id)
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>> {
        let shared = self.shared.lock();
        self.check_open()?;
        Ok(shared.state.get(key))
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>> {
        let shared = self.shared.lock();
        self.check_open()?;
        Ok(shared.state.range(prefix))
    }

    async fn commit(&self, txn: Txn) -> Result<TxnOutcome> {
        txn.check()?;
        let mut shared = self.shared.lock();
        self.check_open()?;
        let mut overlay = Overlay::new(&shared.state);
        let outcome = overlay.commit(&txn);
        let changes = overlay.into_changes();
        shared.state.apply(changes);
        Ok(outcome)
    }

    async fn close(&self) -> Result<()> {
        let mut shared = self.shared.lock();
        let mut session = self.session.lock();
        if let Session::Open(id) = *session
            && shared
                .live
                .get(&id.broker)
                .is_some_and(|(epoch, _)| *epoch == id.epoch)
        {
            shared.live.remove(&id.broker);
        }
        *session = Session::Closed;
        Ok(())
    }

    fn fenced(&self) -> watch::Receiver<Option<Lost>> {
        self.lost.subscribe()
    }
}

#[cfg(test)]
mod tests;
