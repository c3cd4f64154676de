//! The operations that tests and tools need most, in terms of names, offsets and batches.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use super::{Client, ClientError, Pending, refused};

/// The highest version of Produce and Fetch that names topics by their name (KIP-516).
const LAST_WITH_TOPIC_NAMES: i16 = 12;
/// The highest version of FindCoordinator that asks for one group.
const LAST_WITH_ONE_COORDINATOR: i16 = 3;
/// The highest version of OffsetFetch that asks for one group.
const LAST_WITH_ONE_GROUP: i16 = 7;
/// Brokers answer Produce within this time, in milliseconds, or with `REQUEST_TIMED_OUT`; the default of Kafka's
/// `request.timeout.ms`.
const PRODUCE_TIMEOUT_MS: i32 = 30_000;

/// Where to fetch, and how much.
#[derive(Debug, Clone)]
pub struct FetchFrom<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The first offset that is wanted.
    pub offset: i64,
    /// How long the broker may wait for `min_bytes`, in whole milliseconds.
    pub max_wait: Duration,
    /// How many bytes are worth an answer before that.
    pub min_bytes: i32,
    /// How many bytes are too many; one batch comes even if it is larger (KIP-74).
    pub max_bytes: i32,
}

/// What a fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The partition's high watermark.
    pub high_watermark: i64,
    /// The partition's log start offset; -1 if the broker does not say.
    pub log_start_offset: i64,
    /// Whole record batches, the first of which may begin below the offset that was asked for.
    pub records: Bytes,
}

/// The broker that coordinates a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinator {
    /// Its id.
    pub node_id: i32,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: i32,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read; -1 if nothing was committed.
    pub offset: i64,
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn missing(what: &str) -> ClientError {
    ClientError::Answer(format!("the answer lacks {what}"))
}

impl Client {
    /// Metadata of these topics, or of all topics for `None`. Does not create topics.
    ///
    /// # Errors
    /// As [`Client::send`]; errors of single topics are in the answer.
    pub async fn metadata(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, ClientError> {
        let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false);
        self.send(&request).await
    }

    /// Creates a topic. A count or a factor of -1 is the broker's default.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the error of the topic, and as [`Client::send`].
    pub async fn create_topic(&self, name: &str, partitions: i32, replicas: i16) -> Result<(), ClientError> {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(replicas);
        let timeout = i32::try_from(self.options.deadline.as_millis()).unwrap_or(i32::MAX);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(timeout);
        let answer = self.send(&request).await?;
        let topic = answer.topics.first().ok_or_else(|| missing("the topic"))?;
        refused(topic.error_code, || format!("creating topic {name}"))
    }

    /// Writes record batches to a partition and returns the offset of their first record.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the error of the partition, and as [`Client::send`].
    pub async fn produce(
        &self,
        topic: &str,
        partition: i32,
        batches: Bytes,
        acks: i16,
    ) -> Result<i64, ClientError> {
        if acks == 0 {
            let version = self.version_of::<ProduceRequest>(LAST_WITH_TOPIC_NAMES)?;
            self.post(version, &produce_request(topic, partition, batches, acks))
                .await?;
            return Ok(-1);
        }
        let answer = self
            .begin_produce(topic, partition, batches, acks)
            .await?
            .answer()
            .await?;
        produced(&answer)
    }

    /// Begins to write record batches, with acks 1 or -1, and returns as soon as the request is queued.
    ///
    /// # Errors
    /// As [`Client::dispatch`].
    pub async fn begin_produce(
        &self,
        topic: &str,
        partition: i32,
        batches: Bytes,
        acks: i16,
    ) -> Result<Pending<ProduceResponse>, ClientError> {
        let version = self.version_of::<ProduceRequest>(LAST_WITH_TOPIC_NAMES)?;
        self.dispatch(version, &produce_request(topic, partition, batches, acks))
            .await
    }

    /// Reads record batches from a partition.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the error of the partition, and as [`Client::send`].
    pub async fn fetch(&self, from: &FetchFrom<'_>) -> Result<Fetched, ClientError> {
        let partition = FetchPartition::default()
            .with_partition(from.partition)
            .with_fetch_offset(from.offset)
            .with_partition_max_bytes(from.max_bytes);
        let topic = FetchTopic::default()
            .with_topic(topic_name(from.topic))
            .with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(from.max_wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(from.min_bytes)
            .with_max_bytes(from.max_bytes)
            .with_topics(vec![topic]);
        let version = self.version_of::<FetchRequest>(LAST_WITH_TOPIC_NAMES)?;
        let answer = self
            .dispatch(version, &request)
            .await?
            .extend(from.max_wait)
            .answer()
            .await?;
        let what = || {
            format!(
                "fetching {}-{} from offset {}",
                from.topic, from.partition, from.offset
            )
        };
        refused(answer.error_code, what)?;
        let partition = answer
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions)
            .next();
        let partition = partition.ok_or_else(|| missing("the partition"))?;
        refused(partition.error_code, what)?;
        Ok(Fetched {
            high_watermark: partition.high_watermark,
            log_start_offset: partition.log_start_offset,
            records: partition.records.unwrap_or_default(),
        })
    }

    /// The first offset at or after a timestamp in milliseconds; -1 asks for the latest, -2 for the earliest offset.
    /// The answer is -1 when there is no such record.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the error of the partition, and as [`Client::send`].
    pub async fn list_offset(&self, topic: &str, partition: i32, timestamp: i64) -> Result<i64, ClientError> {
        let wanted = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_timestamp(timestamp);
        let wanted = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![wanted]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![wanted]);
        let answer = self.send(&request).await?;
        let found = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
        let found = found.ok_or_else(|| missing("the partition"))?;
        refused(found.error_code, || {
            format!("listing offsets of {topic}-{partition}")
        })?;
        Ok(found.offset)
    }

    /// Who coordinates a group.
    ///
    /// # Errors
    /// [`ClientError::Refused`], and as [`Client::send`].
    pub async fn find_coordinator(&self, group: &str) -> Result<Coordinator, ClientError> {
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let answer = self.send_up_to(LAST_WITH_ONE_COORDINATOR, &request).await?;
        refused(answer.error_code, || {
            format!("finding the coordinator of {group}")
        })?;
        Ok(Coordinator {
            node_id: answer.node_id.0,
            host: answer.host.to_string(),
            port: answer.port,
        })
    }

    /// Commits offsets for a group without members.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the first error, and as [`Client::send`].
    pub async fn commit_offsets(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), ClientError> {
        let topic = |committed: &CommittedOffset| {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(committed.partition)
                .with_committed_offset(committed.offset)
                .with_committed_metadata(Some(StrBytes::default()));
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(&committed.topic))
                .with_partitions(vec![partition])
        };
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(offsets.iter().map(topic).collect());
        let answer = self.send(&request).await?;
        for topic in &answer.topics {
            for partition in &topic.partitions {
                refused(partition.error_code, || {
                    format!(
                        "committing {}-{} for {group}",
                        topic.name.as_str(),
                        partition.partition_index
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Committed offsets of a group, for these partitions of these topics or, for `None`, for all that it has.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the first error, and as [`Client::send`].
    pub async fn fetch_offsets(
        &self,
        group: &str,
        wanted: Option<&[(&str, &[i32])]>,
    ) -> Result<Vec<CommittedOffset>, ClientError> {
        let topic = |(name, partitions): &(&str, &[i32])| {
            OffsetFetchRequestTopic::default()
                .with_name(topic_name(name))
                .with_partition_indexes(partitions.to_vec())
        };
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(wanted.map(|wanted| wanted.iter().map(topic).collect()));
        let answer = self.send_up_to(LAST_WITH_ONE_GROUP, &request).await?;
        refused(answer.error_code, || format!("fetching offsets of {group}"))?;
        let mut committed = Vec::new();
        for topic in &answer.topics {
            for partition in &topic.partitions {
                let what = || format!("offset of {}-{}", topic.name.as_str(), partition.partition_index);
                refused(partition.error_code, what)?;
                committed.push(CommittedOffset {
                    topic: topic.name.to_string(),
                    partition: partition.partition_index,
                    offset: partition.committed_offset,
                });
            }
        }
        Ok(committed)
    }
}

fn produce_request(topic: &str, partition: i32, batches: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batches));
    let data = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks)
        .with_timeout_ms(PRODUCE_TIMEOUT_MS)
        .with_topic_data(vec![data])
}

/// The offset of the first record in the answer to a Produce of one partition.
///
/// # Errors
/// [`ClientError::Refused`] with the error of the partition.
pub fn produced(answer: &ProduceResponse) -> Result<i64, ClientError> {
    let partition = answer
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .next();
    let partition = partition.ok_or_else(|| missing("the partition"))?;
    refused(partition.error_code, || {
        format!("producing to partition {}", partition.index)
    })?;
    Ok(partition.base_offset)
}
