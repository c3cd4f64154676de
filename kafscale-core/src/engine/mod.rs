//! The public API: an engine over one bucket.

mod types;

pub use types::{
    AppendOptions, Appended, CommittedOffset, ConfigChange, FetchPartition, FetchRequest, Fetched,
    ListedOffset, NewTopic, OffsetCommit, OffsetSpec, PartitionInfo, TopicInfo,
};

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::TopicId;

/// A handle to the engine.
#[derive(Clone, Debug)]
pub struct Engine(Arc<()>);

fn unbuilt<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "not built yet"))
}

#[allow(missing_docs, clippy::unused_async, unused_variables)]
impl Engine {
    pub fn topic(&self, name: &str) -> Option<Arc<TopicInfo>> {
        None
    }
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<TopicInfo>> {
        None
    }
    pub fn topics(&self) -> Vec<Arc<TopicInfo>> {
        Vec::new()
    }
    pub async fn create_topic(&self, new: NewTopic) -> Result<Arc<TopicInfo>> {
        unbuilt()
    }
    pub fn check_topic(&self, new: &NewTopic) -> Result<()> {
        unbuilt()
    }
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        unbuilt()
    }
    pub async fn create_partitions(&self, name: &str, count: i32) -> Result<()> {
        unbuilt()
    }
    pub async fn alter_topic_configs(&self, name: &str, changes: Vec<ConfigChange>) -> Result<()> {
        unbuilt()
    }
    pub fn partition_info(&self, topic: TopicId, partition: i32) -> Result<PartitionInfo> {
        unbuilt()
    }
    pub fn leader_epoch_end(&self, topic: TopicId, partition: i32, epoch: i32) -> Result<(i32, i64)> {
        unbuilt()
    }
    pub async fn append(
        &self,
        topic: TopicId,
        partition: i32,
        records: Bytes,
        options: AppendOptions,
    ) -> Result<Appended> {
        unbuilt()
    }
    pub async fn fetch(&self, request: FetchRequest) -> Vec<Result<Fetched>> {
        Vec::new()
    }
    pub async fn list_offsets(
        &self,
        topic: TopicId,
        partition: i32,
        spec: OffsetSpec,
    ) -> Result<ListedOffset> {
        unbuilt()
    }
    pub async fn commit_offsets(&self, group: &str, commits: Vec<OffsetCommit>) -> Result<()> {
        unbuilt()
    }
    pub fn committed_offset(&self, group: &str, topic: TopicId, partition: i32) -> Option<CommittedOffset> {
        None
    }
    pub fn committed_offsets(&self, group: &str) -> Vec<(TopicId, i32, CommittedOffset)> {
        Vec::new()
    }
    pub async fn delete_offsets(&self, group: &str, partitions: Option<Vec<(TopicId, i32)>>) -> Result<()> {
        unbuilt()
    }
    pub fn groups_with_offsets(&self) -> Vec<String> {
        Vec::new()
    }
    pub async fn allocate_producer_id(&self) -> Result<i64> {
        unbuilt()
    }
    pub fn fenced(&self) -> tokio::sync::watch::Receiver<Option<Arc<str>>> {
        tokio::sync::watch::channel(None).1
    }
    pub async fn close(&self) -> Result<()> {
        unbuilt()
    }
    pub fn cluster_id(&self) -> String {
        String::new()
    }
}
