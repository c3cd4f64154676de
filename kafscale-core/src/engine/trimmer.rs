//! Trimming: log objects whose runs are all in segments go. State object first, then the trim point in a committed slot,
//! then the objects.

use std::sync::Arc;

use super::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys;
use crate::format::state_object::{EpochStart, PartitionState, ProducerState, StateObject, StoredBatch};
use crate::metadata::Txn;
use crate::metadata::schema::{self, WalSession};
use crate::partition::Partition;
use crate::store::{CreateLimit, CreateOutcome, Purpose};

/// What the trimmer has done so far.
#[derive(Debug, Default)]
pub(crate) struct TrimProgress {
    /// The trim point that was announced last.
    announced: u64,
    /// The own state object that counts now.
    state_key: Option<String>,
}

impl Engine {
    /// Trims what can be trimmed. Returns the number of objects that went.
    pub(super) async fn trim(&self, progress: &mut TrimProgress) -> Result<usize> {
        let inner = &self.0;
        let found = inner.backlog.trimmable(inner.session);
        // The slot that carries a trim point is itself trimmable: alone it is not worth the next one.
        if found.objects.iter().all(|object| object.is_empty()) {
            return Ok(0);
        }
        let below = found
            .own_below
            .unwrap_or(progress.announced)
            .max(progress.announced);
        // What the objects say of offsets, epochs and producers must be said elsewhere before they go.
        let superseded = self.write_state_object(progress, below).await?;
        if below > progress.announced {
            inner.wal.announce_trim(below).await?;
            progress.announced = below;
        }
        let mut keys: Vec<String> = found
            .objects
            .iter()
            .map(|object| object.key.to_string())
            .collect();
        keys.extend(superseded);
        inner.store.delete(keys, Purpose::Delete).await?;
        inner.backlog.remove(&found.objects);
        self.forget_drained_logs().await?;
        inner.metrics.trimmed(found.objects.len());
        Ok(found.objects.len())
    }

    /// Writes the state of all partitions as it is durable now. Returns the key of the state object that it replaces.
    async fn write_state_object(&self, progress: &mut TrimProgress, slot: u64) -> Result<Option<String>> {
        let inner = &self.0;
        let mut partitions = Vec::new();
        for partition in self.partitions() {
            if !partition.is_loaded() {
                if !partition.has_unread_findings() {
                    continue;
                }
                partition.ensure_loaded(&inner.store).await?;
            }
            partitions.extend(stored_state(&partition));
        }
        let object = StateObject {
            session: inner.session,
            slot,
            created_ms: inner.clock.unix_ms(),
            partitions,
        };
        let bytes = object.encode().map_err(|e| {
            Error::new(
                ErrorKind::Invalid,
                "the partitions' state does not fit into a state object",
            )
            .with_source(e)
        })?;
        let key = keys::state_key(&inner.namespace, inner.session, slot);
        if progress.state_key.as_deref() == Some(&*key) {
            // The same trim point again, for objects of earlier logs: the newer state replaces the older.
            inner.store.overwrite(&key, bytes, Purpose::Wal).await?;
            return Ok(None);
        }
        let created = inner
            .store
            .create(
                &key,
                std::slice::from_ref(&bytes),
                None,
                CreateLimit::UntilKnown,
                Purpose::Wal,
            )
            .await?;
        if matches!(created, CreateOutcome::Exists { .. }) {
            // Only this session writes here: it is our own, from a request whose answer was lost or a trim that failed.
            inner.store.overwrite(&key, bytes, Purpose::Wal).await?;
        }
        Ok(progress.state_key.replace(key))
    }

    /// Logs of earlier sessions that hold nothing any more, and whose state ours now covers, are done with. Their seals
    /// stay for ever.
    async fn forget_drained_logs(&self) -> Result<()> {
        let inner = &self.0;
        // Of a damaged partition only the earlier logs know what it should have: they are kept until it is mended.
        if self
            .partitions()
            .iter()
            .any(|partition| partition.state().is_damaged())
        {
            return Ok(());
        }
        let drained: Vec<_> = {
            let mut logs = inner.earlier_logs.lock();
            let (held, drained) = logs.drain(..).partition(|log| inner.backlog.holds(log.session));
            *logs = held;
            drained
        };
        for log in drained {
            inner.store.delete(log.state_keys, Purpose::Delete).await?;
            let key = schema::wal_session_key(log.session);
            let value = schema::to_value(&WalSession { drained: true })?;
            // Put, not compared: a session that is sealed and drained stays so, whoever says it.
            let _ = inner.metadata.commit(Txn::new().put(key, value)).await?;
        }
        Ok(())
    }
}

/// A partition's durable state; `None` when there is nothing to say.
fn stored_state(partition: &Arc<Partition>) -> Option<PartitionState> {
    let state = partition.state();
    let producers: Vec<ProducerState> = state
        .producers
        .durable(state.high_watermark)
        .into_iter()
        .map(|(producer_id, producer)| ProducerState {
            producer_id,
            producer_epoch: producer.epoch,
            last_timestamp: producer.batches.back().map_or(-1, |batch| batch.timestamp),
            batches: producer
                .batches
                .iter()
                .map(|batch| StoredBatch {
                    base_sequence: batch.base_sequence,
                    last_sequence: batch.last_sequence,
                    base_offset: batch.base_offset,
                    last_offset: batch.last_offset,
                    timestamp: batch.timestamp,
                })
                .collect(),
        })
        .collect();
    if state.high_watermark == 0 && producers.is_empty() {
        return None;
    }
    Some(PartitionState {
        topic_id: partition.id.topic,
        partition: partition.id.partition,
        next_offset: state.high_watermark,
        log_start: state.log_start,
        epochs: state
            .epochs
            .pairs()
            .iter()
            .filter(|&&(_, start)| start < state.high_watermark)
            .map(|&(epoch, start_offset)| EpochStart { epoch, start_offset })
            .collect(),
        producers,
    })
}
