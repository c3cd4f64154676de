//! The topics that exist, by name and by id, with their partitions. Pure state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::TopicInfo;
use crate::ids::TopicId;
use crate::metadata::schema::TopicRecord;
use crate::partition::Partition;

/// A topic, as it is until its next change.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) info: Arc<TopicInfo>,
    pub(crate) record: TopicRecord,
    /// Version of the record in the metadata.
    pub(crate) version: u64,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    pub(crate) fn new(
        name: Arc<str>,
        record: TopicRecord,
        version: u64,
        partitions: Vec<Arc<Partition>>,
    ) -> Topic {
        let info = Arc::new(TopicInfo {
            id: record.id,
            name,
            partitions: record.partitions,
            configs: record.configs.clone(),
            created_ms: record.created_ms,
        });
        Topic {
            info,
            record,
            version,
            partitions,
        }
    }

    pub(crate) fn partition(&self, partition: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }
}

/// All topics.
#[derive(Debug, Default)]
pub(crate) struct TopicTable {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
}

impl TopicTable {
    pub(crate) fn insert(&mut self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        self.by_name
            .insert(Arc::clone(&topic.info.name), Arc::clone(&topic));
        self.by_id.insert(topic.info.id, Arc::clone(&topic));
        topic
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Arc<Topic>> {
        let topic = self.by_name.remove(name)?;
        self.by_id.remove(&topic.info.id);
        Some(topic)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub(crate) fn by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All topics, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }
}
