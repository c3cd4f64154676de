//! Topic descriptors: what the bucket itself says of its topics, so that it outlives the metadata.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::recovery::FoundTopic;
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::{self, ObjectKey};
use crate::format::topic_descriptor::TopicDescriptor;
use crate::ids::TopicId;
use crate::metadata::schema::{self, TopicRecord};
use crate::metadata::{Expect, MetadataStore, Txn, TxnOutcome, delete_topic_offsets};
use crate::store::{CreateLimit, CreateOutcome, Purpose, Store};

/// Descriptors that are read at the same time.
const PARALLEL_READS: usize = 32;
/// How long the descriptor of a new topic may take. One that is created after all is found by the next claim.
const CREATE_LIMIT: CreateLimit = CreateLimit::Within(Duration::from_secs(10));
/// Lives of one topic name that are tried before giving up.
const MAX_LIVES: u32 = 100_000;

/// The descriptor of a topic as it is.
pub(super) fn describe(name: &str, record: &TopicRecord, revision: u64, tombstone: bool) -> TopicDescriptor {
    TopicDescriptor {
        tombstone,
        topic_id: record.id,
        revision,
        created_ms: record.created_ms,
        name: name.to_owned(),
        directory: record.directory.clone(),
        partition_count: record.partitions,
        configs: record
            .configs
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    }
}

/// Writes the descriptor of a topic that changed.
pub(super) async fn write(store: &Store, namespace: &str, descriptor: &TopicDescriptor) -> Result<()> {
    let bytes = encode(descriptor)?;
    store
        .overwrite(
            &keys::descriptor_key(namespace, &descriptor.directory),
            bytes,
            Purpose::Metadata,
        )
        .await
}

fn encode(descriptor: &TopicDescriptor) -> Result<bytes::Bytes> {
    descriptor.encode().map_err(|e| {
        Error::new(
            ErrorKind::Invalid,
            format!("topic {} cannot be described", descriptor.name),
        )
        .with_source(e)
    })
}

/// Claims a directory for a new topic by creating its descriptor, and puts it into `record`. A name that had a life before
/// gets the next directory, so that the new topic never shows old records. Returns whether objects may be in it already.
///
/// To be called when the metadata is known to have no topic of this name, so that descriptors of it belong to topics that
/// are gone or to creations that ended half-way.
pub(super) async fn claim_directory(
    store: &Store,
    namespace: &str,
    name: &str,
    record: &mut TopicRecord,
) -> Result<bool> {
    for life in 1..=MAX_LIVES {
        record.directory = keys::directory(name, life);
        let descriptor = describe(name, record, 0, false);
        let bytes = encode(&descriptor)?;
        let key = keys::descriptor_key(namespace, &record.directory);
        // The topic id lies where slot objects have their attempt id: our own lost answer is recognised by it.
        let created = store
            .create(&key, &[bytes], Some(record.id.0), CREATE_LIMIT, Purpose::Metadata)
            .await?;
        if matches!(created, CreateOutcome::Created) {
            let dirs = store
                .list_dirs(
                    &keys::topic_prefix(namespace, &record.directory),
                    Purpose::Metadata,
                )
                .await?;
            return Ok(!dirs.is_empty());
        }
        let Some(found) = read(store, &key).await? else {
            continue;
        };
        if !found.tombstone {
            // A creation that ended half-way: nobody was told that this topic exists.
            write(
                store,
                namespace,
                &TopicDescriptor {
                    tombstone: true,
                    ..found
                },
            )
            .await?;
        }
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format!("topic {name} was created and deleted {MAX_LIVES} times; take another name"),
    ))
}

async fn read(store: &Store, key: &str) -> Result<Option<TopicDescriptor>> {
    let Some(bytes) = store.get(key, Purpose::Metadata).await? else {
        return Ok(None);
    };
    TopicDescriptor::parse(&bytes).map(Some).map_err(|e| {
        Error::new(
            ErrorKind::Corrupt,
            format!("topic descriptor {key} is damaged; restore it from an older version of the bucket"),
        )
        .with_source(e)
    })
}

/// Puts topics into the metadata that the bucket has and the metadata does not: the metadata is new or was restored.
/// Partition counts that the bucket knows to be larger are taken over.
pub(super) async fn restore_topics(
    store: &Store,
    metadata: &dyn MetadataStore,
    namespace: &str,
    topics: &mut Vec<FoundTopic>,
) -> Result<()> {
    let directories: Vec<String> = store
        .list(&keys::topics_prefix(namespace), Purpose::Recovery)
        .await?
        .into_iter()
        .filter(|object| {
            matches!(
                ObjectKey::parse(namespace, &object.key),
                Some(ObjectKey::Descriptor { .. })
            )
        })
        .map(|object| object.key)
        .collect();
    let descriptors: Vec<TopicDescriptor> = stream::iter(directories)
        .map(|key| async move { read(store, &key).await })
        .buffered(PARALLEL_READS)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await?;
    let (tombstones, descriptors): (Vec<_>, Vec<_>) = descriptors.into_iter().partition(|d| d.tombstone);
    forget_deleted(metadata, topics, &tombstones, &descriptors).await?;
    for descriptor in descriptors {
        let known = topics.iter_mut().find(|topic| topic.name == descriptor.name);
        if let Some(topic) = known {
            if topic.record.id == descriptor.topic_id && topic.record.partitions < descriptor.partition_count
            {
                topic.record.partitions = descriptor.partition_count;
                topic.version = put(metadata, topic, Expect::Version(topic.version)).await?;
            }
            continue;
        }
        let record = TopicRecord {
            id: descriptor.topic_id,
            directory: descriptor.directory,
            partitions: descriptor.partition_count,
            configs: descriptor.configs.into_iter().collect(),
            created_ms: descriptor.created_ms,
            deleting: false,
        };
        let mut topic = FoundTopic {
            name: descriptor.name,
            record,
            version: 0,
        };
        tracing::warn!(topic = %topic.name, "the bucket has a topic that the metadata does not: it is taken over");
        topic.version = put(metadata, &topic, Expect::Absent).await?;
        topics.push(topic);
    }
    Ok(())
}

/// Takes topics out of the metadata that the bucket knows to be deleted and that have a later life there: the metadata is
/// from before that. Deletions that have only begun are finished elsewhere.
async fn forget_deleted(
    metadata: &dyn MetadataStore,
    topics: &mut Vec<FoundTopic>,
    tombstones: &[TopicDescriptor],
    live: &[TopicDescriptor],
) -> Result<()> {
    let dead: HashSet<TopicId> = tombstones.iter().map(|d| d.topic_id).collect();
    let mut kept = Vec::new();
    for topic in topics.drain(..) {
        let later_life = live
            .iter()
            .any(|d| d.name == topic.name && d.topic_id != topic.record.id);
        if !dead.contains(&topic.record.id) || (topic.record.deleting && !later_life) {
            kept.push(topic);
            continue;
        }
        tracing::warn!(topic = %topic.name, id = %topic.record.id, "the metadata has a topic that the bucket knows to be deleted");
        let key = schema::topic_key(&topic.name);
        delete_topic_offsets(metadata, topic.record.id).await?;
        let txn = Txn::new()
            .expect(key.clone(), Expect::Version(topic.version))
            .delete(key)
            .delete_prefix(schema::partitions_of_topic(topic.record.id));
        if let TxnOutcome::Conflict { key } = metadata.commit(txn).await? {
            return Err(changed_by_another(&key));
        }
    }
    *topics = kept;
    Ok(())
}

fn changed_by_another(key: &str) -> Error {
    Error::new(
        ErrorKind::Fenced,
        format!("another process changes {key} at the same time"),
    )
}

async fn put(metadata: &dyn MetadataStore, topic: &FoundTopic, expect: Expect) -> Result<u64> {
    let key = schema::topic_key(&topic.name);
    let txn = Txn::new()
        .expect(key.clone(), expect)
        .put(key, schema::to_value(&topic.record)?);
    match metadata.commit(txn).await? {
        TxnOutcome::Committed { revision } => Ok(revision),
        TxnOutcome::Conflict { key } => Err(changed_by_another(&key)),
    }
}
