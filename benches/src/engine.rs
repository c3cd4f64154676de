//! An engine over a bucket of its own, and a driver that appends as a server does: many requests under way at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use kafscale_core::clock::SystemClock;
use kafscale_core::metrics::{EngineMetrics, StoreMetrics};
use kafscale_core::store::{Store, StoreKind, StoreSettings};
use kafscale_core::{AppendOptions, Appended, Engine, NewTopic, Random, Result, Settings, TopicId};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::forgetful::Forgetful;

/// What a bucket does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// Keeps all of it in memory, which grows.
    InMemory,
    /// Keeps the first bytes of large objects, as if the rest were elsewhere: see [`Forgetful`].
    Forgetful,
}

/// An engine with one topic, over a bucket of its own.
#[derive(Debug)]
pub struct Bench {
    /// The engine.
    pub engine: Engine,
    /// Its topic.
    pub topic: TopicId,
    /// Number of the topic's partitions.
    pub partitions: i32,
    /// What the engine counts.
    pub metrics: Arc<EngineMetrics>,
}

impl Bench {
    /// Opens an engine over an empty bucket and creates a topic.
    ///
    /// # Errors
    /// Those of opening an engine and of creating a topic.
    pub async fn open(bucket: Bucket, settings: Settings, partitions: i32) -> Result<Self> {
        let objects: Arc<dyn ObjectStore> = match bucket {
            Bucket::InMemory => Arc::new(InMemory::new()),
            Bucket::Forgetful => Arc::new(Forgetful::default()),
        };
        let store = Store::new(
            objects,
            StoreKind::Memory,
            StoreSettings::default(),
            Arc::new(SystemClock::new()),
            Arc::new(Random::seeded(7)),
            Arc::new(StoreMetrics::new()),
        );
        let metrics = Arc::new(EngineMetrics::default());
        let engine = Engine::builder(store)
            .with_settings(settings)
            .with_metrics(Arc::clone(&metrics))
            .open()
            .await?;
        let topic = NewTopic {
            name: "bench".to_owned(),
            partitions,
            configs: BTreeMap::new(),
        };
        let topic = engine.create_topic(topic).await?.id;
        Ok(Self {
            engine,
            topic,
            partitions,
            metrics,
        })
    }

    /// Appends `count` batches, to one partition after the other, and waits until all are durable. `in_flight` of them
    /// are under way at a time.
    ///
    /// # Errors
    /// The first error of an append.
    pub async fn append(&self, batches: &[Bytes], count: usize, in_flight: usize) -> Result<()> {
        let mut waiting: VecDeque<Appended> = VecDeque::with_capacity(in_flight);
        let partitions = (0..self.partitions).cycle();
        for (batch, partition) in batches.iter().cycle().take(count).zip(partitions) {
            if waiting.len() >= in_flight
                && let Some(oldest) = waiting.pop_front()
            {
                oldest.durable().await?;
            }
            let options = AppendOptions { wait: true };
            let appended = self.engine.append(self.topic, partition, batch.clone(), options);
            waiting.push_back(appended.await?);
        }
        for appended in waiting {
            appended.durable().await?;
        }
        Ok(())
    }
}
