//! Positions that groups commit.

use super::{CommittedOffset, Engine, OffsetCommit};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{PartitionId, TopicId};
use crate::metadata::{Expect, MAX_TXN_BYTES, MAX_TXN_OPS, Txn, TxnOutcome, schema};

impl Engine {
    /// Commits positions of `group`. They are durable when this returns.
    ///
    /// # Errors
    /// `NotFound` when a topic is gone; `Timeout` when it is not known whether they are durable; `Fenced`, `Closed`.
    pub async fn commit_offsets(&self, group: &str, commits: Vec<OffsetCommit>) -> Result<()> {
        let inner = &self.0;
        let committed_ms = inner.clock.unix_ms();
        let mut txn = Txn::new();
        let mut pending: Vec<(PartitionId, CommittedOffset)> = Vec::new();
        let mut topics: Vec<TopicId> = Vec::new();
        for OffsetCommit {
            topic,
            partition,
            offset,
            leader_epoch,
            metadata,
        } in commits
        {
            let info = self
                .topic_by_id(topic)
                .filter(|info| (0..info.partitions).contains(&partition))
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::NotFound,
                        format!("there is no partition {topic}-{partition}"),
                    )
                })?;
            let committed = CommittedOffset {
                offset,
                leader_epoch,
                metadata,
                committed_ms,
            };
            let value = schema::to_value(&schema::CommittedOffset {
                offset,
                leader_epoch,
                metadata: committed.metadata.clone(),
                committed_ms,
            })?;
            let id = PartitionId { topic, partition };
            // Of two positions for one partition in one request the last one counts.
            if pending.iter().any(|&(other, _)| other == id) {
                self.commit_batch(group, std::mem::take(&mut txn), std::mem::take(&mut pending))
                    .await?;
                topics.clear();
            }
            let key = schema::offset_key(group, topic, partition);
            let mut next = txn.clone().put(key.clone(), value.clone());
            // A topic that is deleted at the same moment takes its positions with it: none may follow.
            if !topics.contains(&topic) {
                next = next.expect(schema::topic_key(&info.name), Expect::Present);
            }
            if next.ops().len() > MAX_TXN_OPS || next.cost() > MAX_TXN_BYTES {
                self.commit_batch(group, txn, std::mem::take(&mut pending))
                    .await?;
                topics.clear();
                next = Txn::new()
                    .put(key, value)
                    .expect(schema::topic_key(&info.name), Expect::Present);
            }
            if !topics.contains(&topic) {
                topics.push(topic);
            }
            txn = next;
            pending.push((id, committed));
        }
        self.commit_batch(group, txn, pending).await
    }

    async fn commit_batch(
        &self,
        group: &str,
        txn: Txn,
        pending: Vec<(PartitionId, CommittedOffset)>,
    ) -> Result<()> {
        if pending.is_empty() {
            return Ok(());
        }
        match self.0.metadata.commit(txn).await? {
            TxnOutcome::Committed { revision } => {
                let mut table = self.0.offsets.write();
                for (id, committed) in pending {
                    table.set(group, id, committed, revision);
                }
                Ok(())
            }
            TxnOutcome::Conflict { key } => Err(Error::new(
                ErrorKind::NotFound,
                format!("the topic of {key} was deleted at the same time"),
            )),
        }
    }

    /// The position of `group` in a partition, if it has committed one.
    pub fn committed_offset(&self, group: &str, topic: TopicId, partition: i32) -> Option<CommittedOffset> {
        self.0.offsets.read().get(group, PartitionId { topic, partition })
    }

    /// All positions of `group`.
    pub fn committed_offsets(&self, group: &str) -> Vec<(TopicId, i32, CommittedOffset)> {
        let positions = self.0.offsets.read().of_group(group);
        positions
            .into_iter()
            .map(|(id, committed)| (id.topic, id.partition, committed))
            .collect()
    }

    /// The groups that have committed positions, sorted.
    pub fn groups_with_offsets(&self) -> Vec<String> {
        self.0.offsets.read().groups()
    }

    /// Forgets positions of `group`: those of `partitions`, or all.
    ///
    /// # Errors
    /// `Timeout` when it is not known whether they are gone; `Fenced`, `Closed`.
    pub async fn delete_offsets(&self, group: &str, partitions: Option<Vec<(TopicId, i32)>>) -> Result<()> {
        let inner = &self.0;
        let Some(partitions) = partitions else {
            let txn = Txn::new().delete_prefix(schema::offsets_of_group(group));
            if let TxnOutcome::Committed { revision } = inner.metadata.commit(txn).await? {
                inner.offsets.write().remove_group(group, revision);
            }
            return Ok(());
        };
        for chunk in partitions.chunks(MAX_TXN_OPS) {
            let txn = chunk.iter().fold(Txn::new(), |txn, &(topic, partition)| {
                txn.delete(schema::offset_key(group, topic, partition))
            });
            if let TxnOutcome::Committed { revision } = inner.metadata.commit(txn).await? {
                let mut table = inner.offsets.write();
                for &(topic, partition) in chunk {
                    table.remove(group, PartitionId { topic, partition }, revision);
                }
            }
        }
        Ok(())
    }
}
