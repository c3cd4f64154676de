//! Taking over a log: a seal in the first free slot, so that its writer cannot go on.

use std::collections::HashSet;
use std::sync::Arc;

use super::LogName;
use super::replay::{Fetch, LogRead, LogReader, check_header};
use super::writer::{encode_seal, header};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::SessionId;
use crate::format::slot::{AttemptId, Seal, SlotHeader, SlotKind};
use crate::random::Random;
use crate::store::{CreateLimit, CreateOutcome, Purpose, Store};

/// Who seals, and with what.
#[derive(Clone, Debug)]
pub struct Sealer {
    /// The session that takes over.
    pub session: SessionId,
    /// For the seal's time of creation.
    pub clock: Arc<dyn Clock>,
    /// For attempt ids.
    pub random: Arc<Random>,
    /// What the store's metrics count it as.
    pub purpose: Purpose,
}

/// A log that has ended.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// What it contains: the same for everyone who reads it from now on, until its data is deleted.
    pub read: LogRead,
    /// The seal that ended it, with the name of the log that goes on.
    pub seal: Seal,
    /// Whether that seal is ours. Of many sealers of one log exactly one wins.
    pub won: bool,
}

/// Seals a log, unless somebody has done so already, and reads it. The old writer cannot commit any slot after this
/// returns; slots that it had on their way and that land later are void.
///
/// The walk begins at the end that a reading shows and creates a seal in the first free slot; an occupied one is committed
/// data, and the walk goes on. Then the log is read again: a sealer that is slower than its writer's trimming may have
/// put its seal into a slot that was trimmed already, which stops nobody. The reading shows that, and the walk goes on from
/// there. Slots that were read before are not read again.
///
/// # Errors
/// As [`super::read_log`]; `Precondition` when the store cannot create on condition.
pub async fn seal(
    store: &Store,
    log: &LogName,
    sealer: &Sealer,
    successor: &str,
    fetch: Fetch,
) -> Result<Sealed> {
    let mut reader = LogReader::new(store, log, fetch, sealer.purpose);
    let mut ours: HashSet<AttemptId> = HashSet::new();
    loop {
        let read = reader.read().await?;
        if let Some(seal) = read.seal.clone() {
            let won = ours.contains(&seal.header.attempt);
            return Ok(Sealed { read, seal, won });
        }
        let mut slot = read.view.end;
        loop {
            let header = header(
                log,
                sealer.session,
                SlotKind::Seal,
                slot,
                read.view.trim,
                &*sealer.clock,
                &sealer.random,
            );
            let attempt = header.attempt;
            let (key, bytes) = (log.key(slot), encode_seal(header, successor)?);
            let limit = CreateLimit::UntilKnown;
            match store
                .create(&key, &[bytes], Some(attempt.0), limit, sealer.purpose)
                .await?
            {
                CreateOutcome::Created => {
                    ours.insert(attempt);
                    break;
                }
                CreateOutcome::Exists { head } => {
                    let found = SlotHeader::parse(&head).map_err(|e| {
                        Error::new(
                            ErrorKind::Corrupt,
                            format!("the object {key} is not a slot of its log"),
                        )
                        .with_source(e)
                    })?;
                    check_header(log, slot, &key, &found)?;
                    match found.kind {
                        SlotKind::Data => slot += 1,
                        SlotKind::Seal => break,
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
