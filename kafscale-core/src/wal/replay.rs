//! Reads what sealed logs of earlier sessions hold: footers and state objects only, in parallel.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::object::{LogObject, LogRun};
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::{self, ObjectKey, SessionId};
use crate::format::state_object::{PartitionState, StateObject};
use crate::format::wal_object::{ParseTail, ProducerBatch, WalFooter, WalRun};
use crate::ids::PartitionId;
use crate::slotlog::{self, Fetch, LogName, Sealer};
use crate::store::{Purpose, Store};

/// Enough of an object's end to hold the footer of most objects.
const TAIL_BYTES: u64 = 64 << 10;
/// Logs that are sealed and read at the same time.
const PARALLEL_LOGS: usize = 16;

/// A run that was read back.
#[derive(Debug)]
pub(crate) struct ReplayedRun {
    pub(crate) run: LogRun,
    pub(crate) leader_epoch: i32,
    pub(crate) producer_batches: Vec<ProducerBatch>,
}

/// What one sealed log holds.
#[derive(Debug)]
pub(crate) struct ReplayedLog {
    pub(crate) session: SessionId,
    /// The data objects, in slot order, each with the partitions of its runs.
    pub(crate) objects: Vec<Arc<LogObject>>,
    pub(crate) runs: HashMap<PartitionId, Vec<ReplayedRun>>,
    /// The newest state object's entries.
    pub(crate) state: Vec<PartitionState>,
    /// Keys of all state objects.
    pub(crate) state_keys: Vec<String>,
}

/// Times that the newest state object of one log is looked for. Its owner, or a session after it that was deposed as well,
/// may be deleting it meanwhile.
const STATE_TRIES: usize = 8;

/// Sealed logs, oldest session first.
///
/// The engine before this one may not know yet that it was deposed, and go on moving what earlier logs say into its own
/// state object, which it writes before it deletes. So state objects are read after all logs, and those of later sessions
/// after those of earlier ones: what is not found in its old place any more is then found in the new one.
pub(crate) async fn seal_and_replay(
    store: &Store,
    namespace: &str,
    sessions: Vec<SessionId>,
    sealer: &Sealer,
    now_ms: u64,
) -> Result<Vec<ReplayedLog>> {
    let mut logs: Vec<ReplayedLog> = stream::iter(sessions)
        .map(|session| replay_one(store, namespace, session, sealer, now_ms))
        .buffer_unordered(PARALLEL_LOGS)
        .try_collect()
        .await?;
    logs.sort_by_key(|log| (log.session.epoch, log.session));
    for log in &mut logs {
        read_state(store, namespace, log).await?;
    }
    Ok(logs)
}

async fn replay_one(
    store: &Store,
    namespace: &str,
    session: SessionId,
    sealer: &Sealer,
    now_ms: u64,
) -> Result<ReplayedLog> {
    let name = LogName::wal(namespace, session);
    let sealed = slotlog::seal(
        store,
        &name,
        sealer,
        &sealer.session.to_string(),
        Fetch::WalTail(TAIL_BYTES),
    )
    .await?;
    let mut log = ReplayedLog {
        session,
        objects: Vec::new(),
        runs: HashMap::new(),
        state: Vec::new(),
        state_keys: Vec::new(),
    };
    for slot in &sealed.read.slots {
        let footer = match WalFooter::parse_tail(&slot.bytes, slot.object.size) {
            Ok(ParseTail::Footer(footer)) => footer,
            Ok(ParseTail::NeedMore { .. }) => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("the footer of {} is incomplete", slot.object.key),
                ));
            }
            Err(e) => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "log object {} is damaged; restore it from an older version of the bucket",
                        slot.object.key
                    ),
                )
                .with_source(e));
            }
        };
        let object = Arc::new(LogObject::new(
            session,
            slot.slot,
            slot.object.key.as_str().into(),
            slot.object.size,
            None,
            footer.runs.len(),
            now_ms,
        ));
        for run in footer.runs {
            let id = PartitionId {
                topic: run.topic_id,
                partition: run.partition,
            };
            log.runs.entry(id).or_default().push(replayed(&object, run));
        }
        log.objects.push(object);
    }
    Ok(log)
}

fn replayed(object: &Arc<LogObject>, run: WalRun) -> ReplayedRun {
    ReplayedRun {
        run: LogRun {
            object: Arc::clone(object),
            base_offset: run.base_offset,
            last_offset: run.last_offset,
            position: run.position,
            length: run.length,
            max_timestamp: run.max_timestamp,
        },
        leader_epoch: run.leader_epoch,
        producer_batches: run.producer_batches,
    }
}

/// The newest state object of a log; it holds all that the trimmed slots said.
async fn read_state(store: &Store, namespace: &str, log: &mut ReplayedLog) -> Result<()> {
    let prefix = keys::wal_prefix(namespace, log.session);
    let mut missed = None;
    for _ in 0..STATE_TRIES {
        let mut states: Vec<(u64, String)> = store
            .list(&prefix, Purpose::Recovery)
            .await?
            .into_iter()
            .filter_map(|object| match ObjectKey::parse(namespace, &object.key) {
                Some(ObjectKey::State { slot, .. }) => Some((slot, object.key)),
                _ => None,
            })
            .collect();
        states.sort();
        log.state_keys = states.iter().map(|(_, key)| key.clone()).collect();
        let Some((_, key)) = states.pop() else {
            return Ok(());
        };
        let Some(bytes) = store.get(&key, Purpose::Recovery).await? else {
            missed = Some(key);
            continue;
        };
        let state = StateObject::parse(&bytes).map_err(|e| {
            Error::new(
                ErrorKind::Corrupt,
                format!("state object {key} is damaged; restore it from an older version of the bucket"),
            )
            .with_source(e)
        })?;
        log.state = state.partitions;
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!(
            "the state objects of session {} vanish faster than they can be read ({}); its owner is alive",
            log.session,
            missed.unwrap_or_default()
        ),
    ))
}

/// Sessions whose write-ahead logs are in the bucket.
pub(crate) async fn sessions(store: &Store, namespace: &str) -> Result<Vec<SessionId>> {
    let mut sessions = Vec::new();
    for name in store
        .list_dirs(&keys::wal_root(namespace), Purpose::Recovery)
        .await?
    {
        match name.parse::<SessionId>() {
            Ok(session) => sessions.push(session),
            Err(e) => tracing::warn!("{name} among the logs of namespace {namespace} is no log: {e}"),
        }
    }
    Ok(sessions)
}
