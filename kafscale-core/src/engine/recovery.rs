//! What a starting engine finds: topics in the metadata, sealed logs of earlier sessions, and what is known of each
//! partition.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::descriptors;
use crate::error::Result;
use crate::format::keys::SessionId;
use crate::format::state_object::PartitionState as StoredPartition;
use crate::ids::{PartitionId, TopicId};
use crate::metadata::schema::{self, PartitionRecord, TopicRecord, WalSession};
use crate::metadata::{Expect, MetadataStore, Txn, TxnOutcome};
use crate::partition::recover::{Found, FoundRecord, FoundRun, FoundState};
use crate::partition::{Producer, SeenBatch};
use crate::slotlog::Sealer;
use crate::store::Store;
use crate::wal::object::LogObject;
use crate::wal::replay::{self, ReplayedLog, ReplayedRun};

/// A sealed log of an earlier session that may still be needed.
#[derive(Debug)]
pub(crate) struct EarlierLog {
    pub(crate) session: SessionId,
    /// Its state objects: needed until a newer session's state object covers them.
    pub(crate) state_keys: Vec<String>,
}

/// A topic of the metadata.
pub(super) struct FoundTopic {
    pub(super) name: String,
    pub(super) record: TopicRecord,
    pub(super) version: u64,
}

/// All that was found.
#[derive(Default)]
pub(super) struct Recovered {
    pub(super) topics: Vec<FoundTopic>,
    /// Of partitions that have a record, a state or runs; with the version of the record.
    pub(super) partitions: HashMap<PartitionId, (Found, u64)>,
    /// Objects of sealed logs, oldest first.
    pub(super) objects: Vec<Arc<LogObject>>,
    pub(super) earlier: Vec<EarlierLog>,
    /// The bucket knows of sessions that the metadata does not: the metadata is older than the bucket.
    pub(super) metadata_is_old: bool,
}

/// What recovery works with.
pub(super) struct Recovery<'a> {
    pub(super) store: &'a Store,
    pub(super) metadata: &'a dyn MetadataStore,
    pub(super) namespace: &'a str,
    pub(super) sealer: Sealer,
    pub(super) now_ms: i64,
    pub(super) elapsed_ms: u64,
}

impl Recovery<'_> {
    /// Registers the own session, seals the logs of all others, and reads what they hold.
    pub(super) async fn run(&self) -> Result<Recovered> {
        let known = self.known_sessions().await?;
        self.register().await?;
        let in_bucket = replay::sessions(self.store, self.namespace).await?;
        if in_bucket.contains(&self.sealer.session) {
            return Err(crate::Error::new(
                crate::ErrorKind::Fenced,
                format!(
                    "the bucket has a log of session {} already: the metadata has handed it out twice",
                    self.sealer.session
                ),
            ));
        }
        let metadata_is_old = in_bucket.iter().any(|session| !known.contains_key(session));
        // A session that is registered may be about to write its first slot: its log is sealed even if there is nothing.
        let mut to_seal: HashSet<SessionId> = known
            .iter()
            .filter(|(_, state)| !state.drained)
            .map(|(&session, _)| session)
            .collect();
        to_seal.extend(
            in_bucket
                .into_iter()
                .filter(|session| !known.contains_key(session)),
        );
        to_seal.remove(&self.sealer.session);
        // In an order of its own, so that the same bucket gives the same calls.
        let mut to_seal: Vec<SessionId> = to_seal.into_iter().collect();
        to_seal.sort_unstable_by_key(|session| (session.epoch, *session));

        let topics = self.topics(metadata_is_old || known.is_empty()).await?;
        let mut recovered = Recovered {
            topics,
            metadata_is_old,
            ..Recovered::default()
        };
        self.partition_records(&mut recovered).await?;
        let logs =
            replay::seal_and_replay(self.store, self.namespace, to_seal, &self.sealer, self.elapsed_ms)
                .await?;
        let live: HashSet<TopicId> = recovered.topics.iter().map(|topic| topic.record.id).collect();
        for log in logs {
            self.take_log(&mut recovered, &live, log);
        }
        for (found, _) in recovered.partitions.values_mut() {
            found.distrust_record = metadata_is_old;
            found.now_ms = self.now_ms;
        }
        Ok(recovered)
    }

    async fn known_sessions(&self) -> Result<HashMap<SessionId, WalSession>> {
        let mut known = HashMap::new();
        for (key, value) in self.metadata.range(schema::WAL_SESSIONS).await? {
            if let Some(session) = schema::parse_wal_session_key(&key) {
                known.insert(session, schema::from_value(&key, &value.value)?);
            }
        }
        Ok(known)
    }

    /// From here on a later session knows that this one may write a log.
    async fn register(&self) -> Result<()> {
        let key = schema::wal_session_key(self.sealer.session);
        let value = schema::to_value(&WalSession { drained: false })?;
        match self
            .metadata
            .commit(
                Txn::new()
                    .expect(key.clone(), Expect::Absent)
                    .put(key.clone(), value),
            )
            .await?
        {
            TxnOutcome::Committed { .. } => Ok(()),
            TxnOutcome::Conflict { .. } => Err(crate::Error::new(
                crate::ErrorKind::Fenced,
                format!(
                    "session {} exists already: two processes have the same session",
                    self.sealer.session
                ),
            )),
        }
    }

    async fn topics(&self, look_in_bucket: bool) -> Result<Vec<FoundTopic>> {
        let mut topics = Vec::new();
        for (key, value) in self.metadata.range(schema::TOPICS).await? {
            if let Some(name) = schema::parse_topic_key(&key) {
                let record = schema::from_value(&key, &value.value)?;
                topics.push(FoundTopic {
                    name,
                    record,
                    version: value.version,
                });
            }
        }
        if look_in_bucket {
            descriptors::restore_topics(self.store, self.metadata, self.namespace, &mut topics).await?;
        }
        Ok(topics)
    }

    async fn partition_records(&self, recovered: &mut Recovered) -> Result<()> {
        for (key, value) in self.metadata.range(schema::PARTITIONS).await? {
            let Some((topic, partition)) = schema::parse_partition_key(&key) else {
                continue;
            };
            let record: PartitionRecord = schema::from_value(&key, &value.value)?;
            let found = FoundRecord {
                log_start: record.log_start,
                segmented_end: record.segmented_end,
                epochs: record.epochs,
            };
            let id = PartitionId { topic, partition };
            let entry = recovered.partitions.entry(id).or_default();
            entry.0.record = Some(found);
            entry.1 = value.version;
        }
        Ok(())
    }

    fn take_log(&self, recovered: &mut Recovered, live: &HashSet<TopicId>, log: ReplayedLog) {
        for stored in log.state {
            let id = PartitionId {
                topic: stored.topic_id,
                partition: stored.partition,
            };
            if live.contains(&id.topic) {
                // Logs come oldest first: the newest session that knows the partition counts.
                recovered.partitions.entry(id).or_default().0.state = Some(self.found_state(stored));
            }
        }
        for (id, runs) in log.runs {
            if live.contains(&id.topic) {
                let found = &mut recovered.partitions.entry(id).or_default().0;
                found.runs.extend(runs.into_iter().map(found_run));
            } else {
                // The topic was deleted: nobody reads this any more.
                for replayed in runs {
                    replayed.run.object.release_run();
                }
            }
        }
        recovered.objects.extend(log.objects);
        recovered.earlier.push(EarlierLog {
            session: log.session,
            state_keys: log.state_keys,
        });
    }

    fn found_state(&self, stored: StoredPartition) -> FoundState {
        let producers = stored
            .producers
            .into_iter()
            .map(|producer| {
                let batches = producer
                    .batches
                    .into_iter()
                    .map(|batch| SeenBatch {
                        base_sequence: batch.base_sequence,
                        last_sequence: batch.last_sequence,
                        base_offset: batch.base_offset,
                        last_offset: batch.last_offset,
                        timestamp: batch.timestamp,
                    })
                    .collect();
                let seen = Producer {
                    epoch: producer.producer_epoch,
                    batches,
                    seen_ms: self.now_ms,
                };
                (producer.producer_id, seen)
            })
            .collect();
        FoundState {
            next_offset: stored.next_offset,
            log_start: stored.log_start,
            epochs: stored
                .epochs
                .into_iter()
                .map(|e| (e.epoch, e.start_offset))
                .collect(),
            producers,
        }
    }
}

fn found_run(replayed: ReplayedRun) -> FoundRun {
    let producers = replayed
        .producer_batches
        .into_iter()
        .map(|batch| {
            let seen = SeenBatch {
                base_sequence: batch.base_sequence,
                last_sequence: batch.last_sequence,
                base_offset: batch.base_offset,
                last_offset: batch.last_offset,
                timestamp: batch.max_timestamp,
            };
            (batch.producer_id, batch.producer_epoch, seen)
        })
        .collect();
    FoundRun {
        run: replayed.run,
        leader_epoch: replayed.leader_epoch,
        producers,
    }
}
