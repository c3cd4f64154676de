//! Opening: the link from the newest log of the chain to a log of our own.

use std::collections::BTreeMap;

use super::clean::Garbage;
use super::{Shared, record};
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::{self, MetaSessionId, ObjectKey, SessionId};
use crate::metadata::state::State;
use crate::slotlog::{Fetch, LogName, LogRead, Sealer, SlotError, SlotWriter, read_log, seal};
use crate::store::{ObjectInfo, Purpose};

/// The log before all logs. Nobody ever writes it: the first opener of a namespace seals it, so that of several first
/// openers one wins.
const ROOT: MetaSessionId = MetaSessionId { epoch: 0, nonce: 0 };

/// A log that this session may write, its snapshot durable.
pub(super) struct Log {
    pub(super) id: MetaSessionId,
    pub(super) session: SessionId,
    pub(super) writer: SlotWriter,
    /// Bytes of its slot 0.
    pub(super) snapshot_bytes: u64,
}

pub(super) struct Opened {
    pub(super) state: State,
    pub(super) log: Log,
    /// What the snapshot has made superfluous.
    pub(super) garbage: Garbage,
}

pub(super) async fn open(shared: &Shared, broker: i32) -> Result<Opened> {
    let mut logs = list_logs(shared).await?;
    let mut tip = logs.last_key_value().map_or(ROOT, |(id, _)| *id);
    let nonce = shared.random.u32();
    let mut reads: BTreeMap<MetaSessionId, LogRead> = BTreeMap::new();

    // The seal that ends a log names the next one. Who creates it has won that link; who does not, follows it and
    // seals the winner's log too, even one whose snapshot is not there yet.
    let id = loop {
        let id = MetaSessionId {
            epoch: epoch_after(tip.epoch.max(shared.epoch_floor))?,
            nonce,
        };
        let sealer = Sealer {
            session: SessionId {
                broker,
                epoch: id.epoch,
                nonce,
            },
            clock: shared.clock.clone(),
            random: shared.random.clone(),
            purpose: Purpose::Metadata,
        };
        let log = LogName::meta(&shared.namespace, tip);
        let sealed = seal(&shared.store, &log, &sealer, &id.to_string(), Fetch::Whole).await?;
        logs.entry(tip).or_default();
        reads.insert(tip, sealed.read);
        if sealed.won {
            break id;
        }
        let named: Option<MetaSessionId> = sealed.seal.successor.parse().ok().filter(|next| *next > tip);
        tip = named.ok_or_else(|| {
            let what = format!(
                "the seal of {} names {:?}, which is no later log",
                log.prefix, sealed.seal.successor
            );
            Error::new(ErrorKind::Corrupt, what)
        })?;
    };
    let session = SessionId {
        broker,
        epoch: id.epoch,
        nonce,
    };
    let state = recover(shared, id, &logs, &mut reads).await?;
    let log = begin_log(shared, session, id, &state)
        .await
        .map_err(Error::from)?;
    let mut garbage = Garbage::default();
    for (id, listed) in logs {
        match reads.get(&id) {
            Some(read) => garbage.add_read(read),
            None => garbage.add_listed(listed),
        }
    }
    tracing::info!(log = %id, revision = state.revision, keys = state.entries.len(), "metadata is open");
    Ok(Opened { state, log, garbage })
}

/// Creates slot 0 of a log: a snapshot. From then on the log before it is superfluous.
pub(super) async fn begin_log(
    shared: &Shared,
    session: SessionId,
    id: MetaSessionId,
    state: &State,
) -> Result<Log, SlotError> {
    let name = LogName::meta(&shared.namespace, id);
    let (clock, random) = (shared.clock.clone(), shared.random.clone());
    let writer = SlotWriter::new(
        shared.store.clone(),
        name,
        session,
        clock,
        random,
        Purpose::Metadata,
    );
    let header = writer.next_header(0);
    let bytes = record::snapshot(header, state).map_err(SlotError::Store)?;
    let snapshot_bytes = bytes.len() as u64;
    writer.put(header.slot, &[bytes], header.attempt).await?;
    Ok(Log {
        id,
        session,
        writer,
        snapshot_bytes,
    })
}

/// The epoch of the log after one of `epoch`.
pub(super) fn epoch_after(epoch: u64) -> Result<u64> {
    epoch.checked_add(1).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            "a metadata log has the largest possible epoch",
        )
    })
}

/// All logs that have objects, with these objects.
async fn list_logs(shared: &Shared) -> Result<BTreeMap<MetaSessionId, Vec<ObjectInfo>>> {
    let mut logs: BTreeMap<MetaSessionId, Vec<ObjectInfo>> = BTreeMap::new();
    for object in shared
        .store
        .list(&keys::meta_root(&shared.namespace), Purpose::Metadata)
        .await?
    {
        match ObjectKey::parse(&shared.namespace, &object.key) {
            Some(ObjectKey::MetaSlot { session, .. }) => logs.entry(session).or_default().push(object),
            _ => tracing::warn!(key = object.key, "an object among the metadata logs is not ours"),
        }
    }
    Ok(logs)
}

/// The newest state of the chain: that of the newest log with a snapshot, at its end. Logs after it were sealed before
/// their snapshots were there; nothing was ever committed in them.
async fn recover(
    shared: &Shared,
    own: MetaSessionId,
    logs: &BTreeMap<MetaSessionId, Vec<ObjectInfo>>,
    reads: &mut BTreeMap<MetaSessionId, LogRead>,
) -> Result<State> {
    for id in logs.keys().rev() {
        let name = LogName::meta(&shared.namespace, *id);
        if !reads.contains_key(id) {
            reads.insert(
                *id,
                read_log(&shared.store, &name, Fetch::Whole, Purpose::Metadata).await?,
            );
        }
        let Some(read) = reads.get(id) else { continue };
        // One slot is on its way at a time, so that nothing of this log can lie beyond its end.
        let beyond = read.objects.last().is_some_and(|(slot, _)| *slot > read.view.end);
        let whole =
            read.view.sealed.is_some() && read.view.slots.iter().copied().eq(0..read.view.end) && !beyond;
        if whole && read.view.end == 0 {
            continue;
        }
        if whole {
            return record::replay(read);
        }
        // Old logs lose their data once a later snapshot is durable. Ours is not there yet; if another opener's is, that
        // one has sealed our log before.
        let own = LogName::meta(&shared.namespace, own);
        if let Some(found) = shared.store.get(&own.key(0), Purpose::Metadata).await? {
            drop(found);
            let what = "another process opened the same metadata at the same moment and won";
            return Err(Error::new(ErrorKind::Fenced, what));
        }
        let lack = match read.view.sealed {
            None => "its seal is missing".to_owned(),
            Some(seal) if beyond => {
                format!("slot {seal} was missing when it was sealed, and later ones are there")
            }
            Some(seal) => format!("of its {seal} slots {} are there", read.view.slots.len()),
        };
        let what = format!(
            "the metadata log {} is damaged: {lack}. Objects below _kafscale/ must not be deleted, by lifecycle rules either",
            name.prefix
        );
        return Err(Error::new(ErrorKind::Corrupt, what));
    }
    Ok(State::default())
}
