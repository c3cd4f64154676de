//! Changes of topics whose outcome is not known: nothing else is changed, and nothing is appended to a topic that may be
//! gone, until the metadata has been read again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::MutexGuard;

use super::Engine;
use super::topic_table::Topic;
use crate::error::{ErrorKind, Result};
use crate::metadata::Txn;
use crate::metadata::schema::{self, TopicRecord};
use crate::partition::Partition;
use crate::topic_config::PartitionConfig;

/// Pause between two attempts to find out.
const PAUSE: Duration = Duration::from_secs(1);

/// Names of topics whose last change may or may not have happened, or happened only half.
pub(super) type Unsettled = BTreeSet<String>;

/// The right to change topics.
pub(super) struct Administration<'a> {
    engine: &'a Engine,
    unsettled: MutexGuard<'a, Unsettled>,
    name: String,
}

impl Administration<'_> {
    /// The change has ended: unless it did so for certain, what became of it is found out in the background.
    pub(super) fn ended<T>(mut self, outcome: Result<T>) -> Result<T> {
        match &outcome {
            Err(error) if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable) => {
                self.engine.settle_later();
            }
            _ => {
                self.unsettled.remove(&self.name);
            }
        }
        outcome
    }
}

impl Engine {
    /// Waits for the right to change the topic `name`, alone, and until nothing is unknown any more. Its own outcome counts
    /// as not known until [`Administration::ended`]: the future of a change may be dropped at any point.
    pub(super) async fn administer(&self, name: &str) -> Result<Administration<'_>> {
        let mut unsettled = self.0.administration.lock().await;
        self.0.wal.check_running()?;
        self.settle(&mut unsettled).await?;
        unsettled.insert(name.to_owned());
        Ok(Administration {
            engine: self,
            unsettled,
            name: name.to_owned(),
        })
    }

    /// Finds out in the background what became of changes.
    fn settle_later(&self) {
        let engine = Arc::downgrade(&self.0.inner);
        let clock = Arc::clone(&self.0.clock);
        self.spawn(async move {
            loop {
                clock.sleep(PAUSE).await;
                let Some(inner) = engine.upgrade() else { return };
                let engine = Engine::of_background_work(inner);
                let mut unsettled = engine.0.administration.lock().await;
                match engine.settle(&mut unsettled).await {
                    Ok(()) => return,
                    Err(error) if engine.0.wal.check_running().is_err() => {
                        tracing::debug!(%error, "changes of topics stay unknown: the engine ends");
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(%error, topics = ?*unsettled, "it is not known yet what became of changes of topics");
                    }
                }
            }
        });
    }

    async fn settle(&self, unsettled: &mut Unsettled) -> Result<()> {
        if unsettled.is_empty() {
            return Ok(());
        }
        // A barrier: every change that was begun before has happened or never will.
        let _ = self.0.metadata.commit(Txn::new()).await?;
        while let Some(name) = unsettled.first().cloned() {
            self.settle_topic(&name).await?;
            unsettled.remove(&name);
        }
        Ok(())
    }

    /// Makes the table show what the metadata says, and finishes a deletion that has begun.
    async fn settle_topic(&self, name: &str) -> Result<()> {
        let key = schema::topic_key(name);
        let stored: Option<(TopicRecord, u64)> = match self.0.metadata.get(&key).await? {
            Some(found) => Some((schema::from_value(&key, &found.value)?, found.version)),
            None => None,
        };
        let shown = self.0.topics.read().by_name(name).cloned();
        let Some((record, version)) = stored else {
            if let Some(topic) = shown {
                self.retire_topic(&topic);
            }
            return Ok(());
        };
        if record.deleting {
            if let Some(topic) = shown {
                self.retire_topic(&topic);
            }
            return self.finish_deletion(name, &record, version).await;
        }
        match shown {
            Some(topic) if topic.record.id == record.id => {
                if topic.version != version {
                    self.show_change(&topic, record, version);
                }
                for partition in &topic.partitions {
                    partition.state().resume();
                }
            }
            other => {
                if let Some(topic) = other {
                    self.retire_topic(&topic);
                }
                let name: Arc<str> = name.into();
                let context = self.partition_context();
                let partitions = (0..record.partitions)
                    .map(|n| Partition::recovered(context.parts(&name, &record, n), Default::default(), 0))
                    .collect();
                let topic = Topic::new(name, record, version, partitions);
                self.0.topics.write().insert(topic);
            }
        }
        Ok(())
    }

    /// The topic is gone: nobody finds it, and whoever waits at it learns it.
    pub(super) fn retire_topic(&self, topic: &Topic) {
        self.0.topics.write().remove(&topic.info.name);
        let reason: Arc<str> = format!("topic '{}' was deleted", topic.info.name).into();
        for partition in &topic.partitions {
            partition.retire(&reason);
        }
    }

    /// Shows a change of a topic that the metadata has made: partitions that are new are empty.
    pub(super) fn show_change(&self, old: &Topic, record: TopicRecord, version: u64) {
        let config = PartitionConfig::resolve(&record.configs, &self.0.settings.topic);
        let context = self.partition_context();
        let mut partitions = old.partitions.clone();
        let known = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        partitions.extend(
            (known..record.partitions).map(|n| Partition::create(context.parts(&old.info.name, &record, n))),
        );
        for partition in &partitions {
            partition.set_config(config);
        }
        let topic = Topic::new(Arc::clone(&old.info.name), record, version, partitions);
        self.0.topics.write().insert(topic);
    }
}
