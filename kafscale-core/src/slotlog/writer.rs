//! Writing a slot log: one session, one prefix, frozen bytes.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::LogName;
use super::replay::check_header;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::format::keys::SessionId;
use crate::format::slot::{AttemptId, Seal, SlotHeader, SlotKind};
use crate::random::Random;
use crate::store::{CreateLimit, CreateOutcome, Purpose, Store};

/// Why a slot was not written. Whatever it is, the session must not acknowledge this slot nor any later one.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// Somebody else took over and sealed this log.
    #[error("{key} is sealed by session {}-{}-{:08x}: another process has taken over", .seal.header.writer, .seal.header.epoch, .seal.header.nonce)]
    Fenced {
        /// The slot's key.
        key: String,
        /// The seal in its place.
        seal: Seal,
    },
    /// The slot holds what is neither ours nor a seal: somebody else writes this session's log.
    #[error("{key} was written by somebody else ({found}): two processes write one log")]
    TwoWriters {
        /// The slot's key.
        key: String,
        /// What is there.
        found: String,
    },
    /// The store cannot do it, now or ever; nothing is known about the slot.
    #[error(transparent)]
    Store(Error),
}

impl From<SlotError> for Error {
    fn from(error: SlotError) -> Error {
        match error {
            SlotError::Fenced { .. } | SlotError::TwoWriters { .. } => {
                Error::new(ErrorKind::Fenced, error.to_string())
            }
            SlotError::Store(error) => error,
        }
    }
}

/// The writer of one log. Numbers the slots and keeps their trim points from falling; several slots may be on their
/// way at once.
#[derive(Debug)]
pub struct SlotWriter {
    store: Store,
    log: LogName,
    session: SessionId,
    clock: Arc<dyn Clock>,
    random: Arc<Random>,
    purpose: Purpose,
    next: Mutex<Next>,
}

#[derive(Clone, Copy, Debug)]
struct Next {
    slot: u64,
    trim: u64,
}

impl SlotWriter {
    /// The writer of a log that nobody has written before: its session's own.
    pub fn new(
        store: Store,
        log: LogName,
        session: SessionId,
        clock: Arc<dyn Clock>,
        random: Arc<Random>,
        purpose: Purpose,
    ) -> SlotWriter {
        let next = Mutex::new(Next { slot: 0, trim: 0 });
        SlotWriter {
            store,
            log,
            session,
            clock,
            random,
            purpose,
            next,
        }
    }

    /// The log that it writes.
    pub fn log(&self) -> &LogName {
        &self.log
    }

    /// The number that the next slot will get.
    pub fn next_slot(&self) -> u64 {
        self.next.lock().slot
    }

    /// Numbers the next slot. From now on its bytes are frozen: they must be put until it is known that they are there,
    /// or the session ends. `trim` announces that all slots below it may be deleted once this slot is committed; a value
    /// below an earlier one does not take that back.
    pub fn next_header(&self, trim: u64) -> SlotHeader {
        self.number(SlotKind::Data, trim)
    }

    fn number(&self, kind: SlotKind, trim: u64) -> SlotHeader {
        let mut next = self.next.lock();
        let slot = next.slot;
        next.slot += 1;
        next.trim = next.trim.max(trim);
        header(
            &self.log,
            self.session,
            kind,
            slot,
            next.trim,
            &*self.clock,
            &self.random,
        )
    }

    /// Creates a slot with the bytes of `chunks`, which begin with the header that [`SlotWriter::next_header`] gave. Goes
    /// on until the outcome is known. The slot is committed when this one and all before it are done.
    ///
    /// # Errors
    /// See [`SlotError`]: after any of them this session writes no more.
    pub async fn put(&self, slot: u64, chunks: &[Bytes], attempt: AttemptId) -> Result<(), SlotError> {
        let key = self.log.key(slot);
        let created = self
            .store
            .create(
                &key,
                chunks,
                Some(attempt.0),
                CreateLimit::UntilKnown,
                self.purpose,
            )
            .await;
        let head = match created.map_err(SlotError::Store)? {
            CreateOutcome::Created => return Ok(()),
            CreateOutcome::Exists { head } => head,
        };
        let error = match SlotHeader::parse(&head) {
            Ok(found) if check_header(&self.log, slot, &key, &found).is_err() => SlotError::TwoWriters {
                key,
                found: format!("slot {} of a {:?} log", found.slot, found.magic),
            },
            Ok(found) if found.kind == SlotKind::Seal => match self.whole_seal(&key, head).await? {
                Some(seal) => SlotError::Fenced { key, seal },
                None => SlotError::TwoWriters {
                    key,
                    found: "a seal that cannot be read".to_owned(),
                },
            },
            Ok(found) => {
                let found = format!(
                    "data of session {}-{}-{:08x}",
                    found.writer, found.epoch, found.nonce
                );
                SlotError::TwoWriters { key, found }
            }
            Err(e) => SlotError::TwoWriters {
                key,
                found: e.to_string(),
            },
        };
        match &error {
            SlotError::TwoWriters { .. } => tracing::error!(%error, "this session stops"),
            _ => tracing::warn!(%error, "this session ends"),
        }
        Err(error)
    }

    /// Ends the log: creates a seal in the next slot. Comes after the last data slot is committed: with one still on its
    /// way, readers would differ in whether it counts.
    ///
    /// # Errors
    /// As [`SlotWriter::put`].
    pub async fn seal(&self, successor: &str) -> Result<(), SlotError> {
        let header = self.number(SlotKind::Seal, 0);
        let (slot, attempt) = (header.slot, header.attempt);
        let bytes = encode_seal(header, successor).map_err(SlotError::Store)?;
        self.put(slot, &[bytes], attempt).await
    }

    async fn whole_seal(&self, key: &str, head: Bytes) -> Result<Option<Seal>, SlotError> {
        if let Ok(seal) = Seal::parse(&head) {
            return Ok(Some(seal));
        }
        let whole = self
            .store
            .get(key, self.purpose)
            .await
            .map_err(SlotError::Store)?;
        Ok(whole.and_then(|bytes| Seal::parse(&bytes).ok()))
    }
}

/// A slot header with an attempt id of its own.
pub(super) fn header(
    log: &LogName,
    session: SessionId,
    kind: SlotKind,
    slot: u64,
    trim: u64,
    clock: &dyn Clock,
    random: &Random,
) -> SlotHeader {
    SlotHeader {
        magic: log.magic,
        kind,
        attempt: AttemptId(random.bytes16()),
        writer: session.broker,
        nonce: session.nonce,
        epoch: session.epoch,
        slot,
        trim,
        created_ms: clock.unix_ms(),
    }
}

pub(super) fn encode_seal(header: SlotHeader, successor: &str) -> Result<Bytes, Error> {
    Seal {
        header,
        successor: successor.to_owned(),
    }
    .encode()
    .map_err(|e| Error::new(ErrorKind::Invalid, "the seal cannot be written").with_source(e))
}

#[cfg(test)]
mod tests;
