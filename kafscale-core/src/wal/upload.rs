//! The log's one task: seals objects when they are due, keeps several on their way, commits them in slot order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::LogMember;
use super::gather::{Due, InFlight};
use super::object::{LogObject, LogRun};
use super::order::PrefixOrder;
use super::writer::{Entry, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::format::FormatError;
use crate::format::slot::AttemptId;
use crate::format::wal_object::{WalObjectBuilder, WalRun, WalSizeHint};
use crate::slotlog::SlotError;

/// An object whose bytes are frozen.
struct Frozen {
    slot: u64,
    attempt: AttemptId,
    bytes: Bytes,
    runs: Vec<WalRun>,
    /// The partition of each run.
    members: Vec<Arc<dyn LogMember>>,
    permits: Vec<Arc<OwnedSemaphorePermit>>,
    sealed_at: Duration,
}

type Landed = (Frozen, std::result::Result<(), SlotError>);

/// Runs until the log is closed or stopped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut uploads: JoinSet<Landed> = JoinSet::new();
    // When each slot on its way was sealed; slots leave in any order.
    let mut started: std::collections::BTreeMap<u64, Duration> = std::collections::BTreeMap::new();
    let mut order = PrefixOrder::new(0);
    loop {
        let now = shared.clock.elapsed();
        let in_flight = InFlight {
            objects: started.len(),
            oldest_since: started.first_key_value().map(|(_, &since)| since),
        };
        if shared.stopped.borrow().is_some() {
            return;
        }
        let closing = shared.closing.load(Ordering::Acquire);
        let (due, done) = {
            let mut gather = shared.gather.lock();
            if closing && !gather.is_empty() {
                gather.force();
            }
            let done = closing && gather.is_empty() && started.is_empty();
            if done {
                // Under the same lock: what comes now is refused, not dropped.
                gather.close();
            }
            (
                gather.due(&shared.rules, &mut shared.pacer.lock(), in_flight, now),
                done,
            )
        };
        if done {
            shared.stop(ErrorKind::Closed, "the engine is closed");
            return;
        }
        if due == Due::Now {
            match seal(&shared, now) {
                Ok(frozen) => {
                    started.insert(frozen.slot, now);
                    uploads.spawn(upload(Arc::clone(&shared), frozen));
                }
                Err(error) => {
                    shared.stop(error.kind(), error.to_string());
                    return;
                }
            }
            continue;
        }
        let pause = match due {
            Due::In(wait) => wait,
            Due::Now | Due::Later => Duration::from_secs(3_600),
        };
        tokio::select! {
            biased;
            Some(landed) = uploads.join_next() => match landed {
                Ok((frozen, Ok(()))) => {
                    started.remove(&frozen.slot);
                    for (slot, frozen) in order.landed(frozen.slot, frozen) {
                        commit(&shared, frozen);
                        shared.committed.send_replace(slot + 1);
                    }
                }
                Ok((frozen, Err(error))) => {
                    let (kind, reason) = explain(&shared, frozen.slot, &error);
                    tracing::error!(session = %shared.session, slot = frozen.slot, "{reason}");
                    shared.stop(kind, reason);
                    return;
                }
                Err(failed) => {
                    // Not `Closed`: a seal behind a slot that may still land would count what comes after a hole.
                    shared.stop(ErrorKind::Fenced, format!("an upload of the log ended early: {failed}"));
                    return;
                }
            },
            () = shared.wake.notified() => {}
            () = shared.clock.sleep(pause) => {}
        }
    }
}

/// Takes the entries of the next object and its slot number, and fixes its bytes.
fn seal(shared: &Shared, now: Duration) -> Result<Frozen> {
    shared.pacer.lock().spend(now);
    let (mut entries, header) = {
        let mut gather = shared.gather.lock();
        let entries = gather.take(shared.rules.object_bytes, now);
        // Under the same lock as the trim point's announcement: a slot numbered later carries it.
        (
            entries,
            shared.writer.next_header(shared.trim.load(Ordering::Acquire)),
        )
    };
    let (slot, attempt) = (header.slot, header.attempt);
    // Stable: the batches of one partition keep their order.
    entries.sort_by_key(|entry| entry.member.id());
    let hint = WalSizeHint {
        payload_bytes: entries.iter().map(|entry| entry.bytes.len()).sum(),
        runs: entries.chunk_by(|a, b| a.member.id() == b.member.id()).count(),
        batches: entries.len(),
    };
    let broken = |e: FormatError| {
        Error::new(
            ErrorKind::Invalid,
            "batches that were checked do not make a log object",
        )
        .with_source(e)
    };
    let mut builder = WalObjectBuilder::new(header, hint).map_err(broken)?;
    let mut members: Vec<Arc<dyn LogMember>> = Vec::new();
    let mut permits = Vec::new();
    let mut current: Option<(crate::PartitionId, i32)> = None;
    for Entry {
        member,
        bytes,
        base_offset,
        leader_epoch,
        permit,
    } in entries
    {
        let id = member.id();
        if current != Some((id, leader_epoch)) {
            builder.begin_run(id.topic, member.directory(), id.partition, leader_epoch);
            members.push(member);
            current = Some((id, leader_epoch));
        }
        builder.push_batch(&bytes, base_offset).map_err(broken)?;
        permits.extend(permit);
    }
    let (bytes, runs) = builder.finish().map_err(broken)?;
    shared.metrics.sealed(bytes.len(), runs.len());
    Ok(Frozen {
        slot,
        attempt,
        bytes,
        runs,
        members,
        permits,
        sealed_at: now,
    })
}

async fn upload(shared: Arc<Shared>, frozen: Frozen) -> Landed {
    let outcome = shared
        .writer
        .put(frozen.slot, std::slice::from_ref(&frozen.bytes), frozen.attempt)
        .await;
    (frozen, outcome)
}

/// The slot is durable and so are all before it.
fn commit(shared: &Shared, frozen: Frozen) {
    let now = shared.clock.elapsed();
    shared.metrics.committed(now.saturating_sub(frozen.sealed_at));
    let object = Arc::new(LogObject::new(
        shared.session,
        frozen.slot,
        shared.writer.log().key(frozen.slot).into(),
        frozen.bytes.len() as u64,
        Some(frozen.bytes),
        frozen.runs.len(),
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
    ));
    shared.backlog.push(Arc::clone(&object));
    for (run, member) in frozen.runs.iter().zip(&frozen.members) {
        member.committed(LogRun {
            object: Arc::clone(&object),
            base_offset: run.base_offset,
            last_offset: run.last_offset,
            position: run.position,
            length: run.length,
            max_timestamp: run.max_timestamp,
        });
    }
    drop(frozen.permits);
}

fn explain(shared: &Shared, slot: u64, error: &SlotError) -> (ErrorKind, String) {
    match error {
        SlotError::Fenced { .. } => (
            ErrorKind::Fenced,
            format!(
                "session {} was fenced at slot {slot}: a newer session has taken over its log, nothing more is acknowledged here",
                shared.session
            ),
        ),
        SlotError::TwoWriters { .. } => (
            ErrorKind::Fenced,
            format!(
                "slot {slot} of session {} holds an object that is neither ours nor a seal: two writers use one session. \
                 Nothing more is acknowledged; look for a copy of this process or a restored bucket",
                shared.session
            ),
        ),
        SlotError::Store(cause) => (
            cause.kind(),
            format!(
                "slot {slot} of session {} cannot be written: {cause}",
                shared.session
            ),
        ),
    }
}
