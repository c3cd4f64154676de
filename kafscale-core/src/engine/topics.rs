//! Topics: create, delete, grow, configure, look up.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builder::PartitionContext;
use super::topic_table::Topic;
use super::{ConfigChange, Engine, NewTopic, PartitionInfo, TopicInfo, descriptors};
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys;
use crate::ids::TopicId;
use crate::metadata::schema::{self, TopicRecord};
use crate::metadata::{Expect, Txn, TxnOutcome, delete_topic_offsets};
use crate::partition::Partition;
use crate::store::Purpose;
use crate::topic_config;

/// Partitions of one topic at the most.
const MAX_PARTITIONS: i32 = 100_000;

impl Engine {
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<Arc<TopicInfo>> {
        self.0
            .topics
            .read()
            .by_name(name)
            .map(|topic| Arc::clone(&topic.info))
    }

    /// The topic of this id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<TopicInfo>> {
        self.0
            .topics
            .read()
            .by_id(id)
            .map(|topic| Arc::clone(&topic.info))
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<TopicInfo>> {
        self.0
            .topics
            .read()
            .iter()
            .map(|topic| Arc::clone(&topic.info))
            .collect()
    }

    pub(super) fn partition(&self, topic: TopicId, partition: i32) -> Result<Arc<Partition>> {
        let topics = self.0.topics.read();
        let found = topics
            .by_id(topic)
            .ok_or_else(|| Partition::unknown(topic, partition))?;
        found
            .partition(partition)
            .cloned()
            .ok_or_else(|| Partition::unknown(&found.info.name, partition))
    }

    /// Every partition of every topic.
    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.0
            .topics
            .read()
            .iter()
            .flat_map(|topic| topic.partitions.iter().cloned())
            .collect()
    }

    /// Offsets of a partition as they are now. A partition that was not used since the start may show its end only after
    /// its first use.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn partition_info(&self, topic: TopicId, partition: i32) -> Result<PartitionInfo> {
        let partition = self.partition(topic, partition)?;
        let state = partition.state();
        Ok(PartitionInfo {
            log_start_offset: state.log_start,
            high_watermark: state.high_watermark,
            next_offset: state.next_offset,
            leader_epoch: state.leader_epoch,
        })
    }

    /// The largest leader epoch that is at most `epoch`, and the offset after its last record (KIP-320); epoch and offset
    /// are -1 when nothing so old is known.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` while the partition is read from the bucket for the first time: ask again.
    pub fn leader_epoch_end(&self, topic: TopicId, partition: i32, epoch: i32) -> Result<(i32, i64)> {
        let partition = self.partition(topic, partition)?;
        if !partition.is_loaded() {
            let store = self.0.store.clone();
            let name = partition.to_string();
            self.spawn(async move {
                if let Err(error) = partition.ensure_loaded(&store).await {
                    tracing::warn!(%partition, %error, "the partition cannot be read from the bucket now");
                }
            });
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("partition {name} is being read from the bucket; ask again"),
            ));
        }
        let state = partition.state();
        // The current epoch ends at the high watermark even if nothing was written in it yet.
        if epoch == state.leader_epoch {
            return Ok((epoch, state.high_watermark));
        }
        Ok(state
            .epochs
            .end_of(epoch, state.high_watermark)
            .unwrap_or((-1, -1)))
    }

    /// Says whether this topic could be created now.
    ///
    /// # Errors
    /// `InvalidTopic`, `InvalidPartitions`, `InvalidConfig`, `AlreadyExists`.
    pub fn check_topic(&self, new: &NewTopic) -> Result<()> {
        keys::validate_topic_name(&new.name)
            .map_err(|e| Error::new(ErrorKind::InvalidTopic, e.to_string()))?;
        check_partitions(new.partitions)?;
        topic_config::check(&new.configs)?;
        let topics = self.0.topics.read();
        if topics.by_name(&new.name).is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("Topic '{}' already exists.", new.name),
            ));
        }
        // Kafka's metric names merge the two, so it refuses topics that differ only in them.
        let merged = |name: &str| name.replace('.', "_");
        if let Some(other) = topics
            .iter()
            .find(|topic| merged(&topic.info.name) == merged(&new.name))
        {
            return Err(Error::new(
                ErrorKind::InvalidTopic,
                format!(
                    "Topic '{}' collides with existing topic '{}': '.' and '_' count as the same",
                    new.name, other.info.name
                ),
            ));
        }
        Ok(())
    }

    /// Creates a topic. Its records never mix with those of an earlier topic of the same name.
    ///
    /// # Errors
    /// Those of [`Engine::check_topic`]; `Timeout` when the metadata did not answer in time: then look whether it exists.
    pub async fn create_topic(&self, new: NewTopic) -> Result<Arc<TopicInfo>> {
        let administration = self.administer(&new.name).await?;
        let outcome = self.create_topic_alone(new).await;
        administration.ended(outcome)
    }

    async fn create_topic_alone(&self, new: NewTopic) -> Result<Arc<TopicInfo>> {
        let inner = &self.0;
        self.check_topic(&new)?;
        let key = schema::topic_key(&new.name);
        let exists = || {
            Error::new(
                ErrorKind::AlreadyExists,
                format!("Topic '{}' already exists.", new.name),
            )
        };
        // Before anything in the bucket is touched that may belong to it.
        if inner.metadata.get(&key).await?.is_some() {
            return Err(exists());
        }
        let mut record = TopicRecord {
            id: TopicId::from_random(inner.random.bytes16()),
            directory: String::new(),
            partitions: new.partitions,
            configs: new.configs.clone(),
            created_ms: inner.clock.unix_ms(),
            deleting: false,
        };
        let used =
            descriptors::claim_directory(&inner.store, &inner.namespace, &new.name, &mut record).await?;
        let txn = Txn::new()
            .expect(key.clone(), Expect::Absent)
            .put(key, schema::to_value(&record)?);
        let version = match inner.metadata.commit(txn).await? {
            TxnOutcome::Committed { revision } => revision,
            TxnOutcome::Conflict { .. } => return Err(exists()),
        };
        let name: Arc<str> = new.name.into();
        let context = self.partition_context();
        let partitions = (0..record.partitions)
            .map(|partition| {
                let parts = context.parts(&name, &record, partition);
                // Objects that lie there without a descriptor are records of a bucket that knew none: they are kept.
                if used {
                    Partition::recovered(parts, Default::default(), 0)
                } else {
                    Partition::create(parts)
                }
            })
            .collect();
        let topic = inner
            .topics
            .write()
            .insert(Topic::new(name, record, version, partitions));
        Ok(Arc::clone(&topic.info))
    }

    pub(super) fn partition_context(&self) -> PartitionContext {
        PartitionContext {
            namespace: Arc::clone(&self.0.namespace),
            defaults: self.0.settings.topic.clone(),
            leader_epoch: self.0.leader_epoch,
            cut_queue: self.0.cut_queue.clone(),
        }
    }

    fn topic_named(&self, name: &str) -> Result<Arc<Topic>> {
        self.0
            .topics
            .read()
            .by_name(name)
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no topic '{name}'")))
    }

    /// Deletes a topic with its records and with the positions that groups have committed for it.
    ///
    /// # Errors
    /// `NotFound`; `Timeout` when the metadata did not answer in time: the deletion may go on, and until that is known
    /// nothing is appended to the topic.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let administration = self.administer(name).await?;
        let outcome = self.delete_topic_alone(name).await;
        administration.ended(outcome)
    }

    async fn delete_topic_alone(&self, name: &str) -> Result<()> {
        let topic = self.topic_named(name)?;
        let record = TopicRecord {
            deleting: true,
            ..topic.record.clone()
        };
        let key = schema::topic_key(name);
        let txn = Txn::new()
            .expect(key.clone(), Expect::Version(topic.version))
            .put(key, schema::to_value(&record)?);
        let version = match self.committed(txn).await {
            Ok(version) => version,
            Err(error) => {
                if error.kind() == ErrorKind::Timeout {
                    let reason: Arc<str> =
                        format!("it is not known yet whether topic '{name}' was deleted").into();
                    for partition in &topic.partitions {
                        partition.state().suspend(Arc::clone(&reason));
                    }
                }
                return Err(error);
            }
        };
        self.retire_topic(&topic);
        self.finish_deletion(name, &record, version).await
    }

    /// The second half of a deletion: the bucket learns it first, then the metadata forgets the topic, then objects go.
    pub(super) async fn finish_deletion(&self, name: &str, record: &TopicRecord, version: u64) -> Result<()> {
        let inner = &self.0;
        descriptors::write(
            &inner.store,
            &inner.namespace,
            &descriptors::describe(name, record, version, true),
        )
        .await?;
        // Once before the topic is forgotten, so that an end in between leaves none; once after it, for those that were
        // committed meanwhile: none can follow.
        delete_topic_offsets(&*inner.metadata, record.id).await?;
        let key = schema::topic_key(name);
        let txn = Txn::new()
            .expect(key.clone(), Expect::Version(version))
            .delete(key)
            .delete_prefix(schema::partitions_of_topic(record.id));
        self.committed(txn).await?;
        delete_topic_offsets(&*inner.metadata, record.id).await?;
        inner.offsets.write().remove_topic(record.id);
        self.delete_objects_later(keys::topic_prefix(&inner.namespace, &record.directory));
        Ok(())
    }

    /// Finishes deletions that a crash has cut short.
    pub(super) async fn finish_deletions(&self) -> Result<()> {
        let half_deleted: Vec<Arc<Topic>> = self
            .0
            .topics
            .read()
            .iter()
            .filter(|topic| topic.record.deleting)
            .cloned()
            .collect();
        for topic in half_deleted {
            self.retire_topic(&topic);
            self.finish_deletion(&topic.info.name, &topic.record, topic.version)
                .await?;
        }
        Ok(())
    }

    /// Deletes what lies under `prefix` after the grace time, so that readers at work can finish.
    fn delete_objects_later(&self, prefix: String) {
        let inner = &self.0;
        let (store, clock) = (inner.store.clone(), Arc::clone(&inner.clock));
        let grace = std::time::Duration::from_millis(inner.settings.segment.delete_grace_ms);
        self.spawn(async move {
            clock.sleep(grace).await;
            let outcome = match store.list(&prefix, Purpose::Delete).await {
                Ok(objects) => {
                    store
                        .delete(
                            objects.into_iter().map(|object| object.key).collect(),
                            Purpose::Delete,
                        )
                        .await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                tracing::warn!(%prefix, %error, "objects of a deleted topic stay in the bucket");
            }
        });
    }

    /// Adds partitions to a topic.
    ///
    /// # Errors
    /// `NotFound`; `InvalidPartitions` unless `count` is more than there are; `Timeout`; `Unavailable`, and nothing was
    /// changed, when the bucket cannot be written.
    pub async fn create_partitions(&self, name: &str, count: i32) -> Result<()> {
        let administration = self.administer(name).await?;
        let outcome = self.create_partitions_alone(name, count).await;
        administration.ended(outcome)
    }

    async fn create_partitions_alone(&self, name: &str, count: i32) -> Result<()> {
        let topic = self.topic_named(name)?;
        check_partitions(count)?;
        if count <= topic.record.partitions {
            return Err(Error::new(
                ErrorKind::InvalidPartitions,
                format!(
                    "The topic {name} currently has {} partition(s); {count} would not be an increase.",
                    topic.record.partitions
                ),
            ));
        }
        let record = TopicRecord {
            partitions: count,
            ..topic.record.clone()
        };
        // The bucket first: with a count that is too small it would not know, without the metadata, what to do with the
        // records of the others. One that is too large only shows empty partitions.
        let descriptor = descriptors::describe(name, &record, topic.version + 1, false);
        descriptors::write(&self.0.store, &self.0.namespace, &descriptor).await?;
        self.replace_topic(&topic, record).await
    }

    /// Changes topic configs, all or none.
    ///
    /// # Errors
    /// `NotFound`; `InvalidConfig`, naming key and value; `Timeout`.
    pub async fn alter_topic_configs(&self, name: &str, changes: Vec<ConfigChange>) -> Result<()> {
        let administration = self.administer(name).await?;
        let outcome = self.alter_topic_configs_alone(name, changes).await;
        administration.ended(outcome)
    }

    async fn alter_topic_configs_alone(&self, name: &str, changes: Vec<ConfigChange>) -> Result<()> {
        let topic = self.topic_named(name)?;
        let mut configs: BTreeMap<String, String> = topic.record.configs.clone();
        for change in changes {
            match change {
                ConfigChange::Set(key, value) => {
                    configs.insert(key, value);
                }
                ConfigChange::Unset(key) => {
                    configs.remove(&key);
                }
            }
        }
        topic_config::check(&configs)?;
        let record = TopicRecord {
            configs,
            ..topic.record.clone()
        };
        self.replace_topic(&topic, record).await
    }

    async fn replace_topic(&self, old: &Topic, record: TopicRecord) -> Result<()> {
        let inner = &self.0;
        let name = &old.info.name;
        let key = schema::topic_key(name);
        let txn = Txn::new()
            .expect(key.clone(), Expect::Version(old.version))
            .put(key, schema::to_value(&record)?);
        let version = self.committed(txn).await?;
        let descriptor = descriptors::describe(name, &record, version, false);
        self.show_change(old, record, version);
        // The change is made; that the bucket's own copy is behind is mended at the next change.
        if let Err(error) = descriptors::write(&inner.store, &inner.namespace, &descriptor).await {
            tracing::warn!(topic = %name, %error, "the topic's descriptor in the bucket is behind");
        }
        Ok(())
    }

    async fn committed(&self, txn: Txn) -> Result<u64> {
        match self.0.metadata.commit(txn).await? {
            TxnOutcome::Committed { revision } => Ok(revision),
            TxnOutcome::Conflict { key } => Err(Error::new(
                ErrorKind::Timeout,
                format!("{key} was changed at the same time; look and try again"),
            )),
        }
    }
}

fn check_partitions(count: i32) -> Result<()> {
    if (1..=MAX_PARTITIONS).contains(&count) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidPartitions,
        format!("a topic has from 1 to {MAX_PARTITIONS} partitions, not {count}"),
    ))
}
