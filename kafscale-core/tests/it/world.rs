//! What the tests share: a bucket in memory, engines over it, records in and out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafscale_core::clock::SystemClock;
use kafscale_core::format::batch::Batches;
use kafscale_core::format::records::{BatchBuilder, Records};
use kafscale_core::metrics::StoreMetrics;
use kafscale_core::store::{Store, StoreKind, StoreSettings};
use kafscale_core::{
    AppendOptions, Engine, FetchPartition, FetchRequest, Fetched, NewTopic, Random, Result, Settings, TopicId,
};
use object_store::ObjectStore;
use object_store::memory::InMemory;

/// A bucket that outlives the engines over it.
pub(crate) struct World {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) metrics: Arc<StoreMetrics>,
    pub(crate) settings: Settings,
}

impl World {
    pub(crate) fn new() -> World {
        World::over(Arc::new(InMemory::new()))
    }

    pub(crate) fn over(objects: Arc<dyn ObjectStore>) -> World {
        World {
            objects,
            metrics: Arc::new(StoreMetrics::new()),
            settings: Settings::default(),
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(
            Arc::clone(&self.objects),
            StoreKind::Memory,
            StoreSettings::default(),
            Arc::new(SystemClock::new()),
            Arc::new(Random::seeded(7)),
            Arc::clone(&self.metrics),
        )
    }

    pub(crate) async fn open(&self) -> Engine {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Engine> {
        Engine::builder(self.store())
            .with_settings(self.settings.clone())
            .open()
            .await
    }

    /// Keys of all objects that contain `part`.
    pub(crate) async fn keys(&self, part: &str) -> Vec<String> {
        let all = self
            .store()
            .list("", kafscale_core::store::Purpose::Recovery)
            .await
            .unwrap();
        all.into_iter()
            .map(|object| object.key)
            .filter(|key| key.contains(part))
            .collect()
    }
}

pub(crate) async fn create(engine: &Engine, name: &str, partitions: i32) -> TopicId {
    create_with(engine, name, partitions, &[]).await
}

pub(crate) async fn create_with(
    engine: &Engine,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> TopicId {
    let configs: BTreeMap<String, String> = configs
        .iter()
        .map(|&(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    engine
        .create_topic(NewTopic {
            name: name.to_owned(),
            partitions,
            configs,
        })
        .await
        .unwrap()
        .id
}

/// A batch with one record per value; timestamps are 1000, 1001, …
pub(crate) fn batch(values: &[&str]) -> Bytes {
    fill(BatchBuilder::new(), values)
}

/// The same from an idempotent producer.
pub(crate) fn sequenced(producer: i64, sequence: i32, values: &[&str]) -> Bytes {
    fill(BatchBuilder::new().producer(producer, 0, sequence), values)
}

fn fill(mut builder: BatchBuilder, values: &[&str]) -> Bytes {
    for (n, value) in values.iter().enumerate() {
        builder
            .append(1_000 + n as i64, None, Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder.build().unwrap()
}

pub(crate) const WAIT: AppendOptions = AppendOptions { wait: true };

/// Appends and waits until it is durable; gives the base offset.
pub(crate) async fn append(engine: &Engine, topic: TopicId, partition: i32, records: Bytes) -> Result<i64> {
    let appended = engine.append(topic, partition, records, WAIT).await?;
    let base = appended.base_offset;
    appended.durable().await?;
    Ok(base)
}

pub(crate) async fn fetch(engine: &Engine, topic: TopicId, partition: i32, offset: i64) -> Result<Fetched> {
    fetch_with(engine, topic, partition, offset, 1 << 20, Duration::ZERO).await
}

pub(crate) async fn fetch_with(
    engine: &Engine,
    topic: TopicId,
    partition: i32,
    offset: i64,
    max_bytes: usize,
    max_wait: Duration,
) -> Result<Fetched> {
    let request = FetchRequest {
        partitions: vec![FetchPartition {
            topic,
            partition,
            offset,
            max_bytes,
        }],
        max_bytes,
        min_bytes: 1,
        max_wait,
    };
    engine.fetch(request).await.pop().unwrap()
}

/// Offsets and values of what was fetched, from `offset` on.
pub(crate) fn values(fetched: &Fetched, offset: i64) -> Vec<(i64, String)> {
    let bytes: Bytes = fetched.records.concat().into();
    let mut found = Vec::new();
    for batch in Batches::strict(&bytes) {
        let (_, range) = batch.unwrap();
        for record in Records::open(&bytes.slice(range), 1 << 24).unwrap() {
            let record = record.unwrap();
            if record.offset >= offset {
                found.push((
                    record.offset,
                    String::from_utf8(record.value.unwrap().to_vec()).unwrap(),
                ));
            }
        }
    }
    found
}

/// All of a partition, read to its end.
pub(crate) async fn read_all(engine: &Engine, topic: TopicId, partition: i32) -> Vec<(i64, String)> {
    let mut all: Vec<(i64, String)> = Vec::new();
    let mut offset = fetch_start(engine, topic, partition).await;
    loop {
        let fetched = fetch(engine, topic, partition, offset).await.unwrap();
        let found = values(&fetched, offset);
        let Some(&(last, _)) = found.last() else {
            return all;
        };
        offset = last + 1;
        all.extend(found);
    }
}

async fn fetch_start(engine: &Engine, topic: TopicId, partition: i32) -> i64 {
    engine
        .list_offsets(topic, partition, kafscale_core::OffsetSpec::Earliest)
        .await
        .unwrap()
        .offset
}

/// `0: "v0"`, `1: "v1"`, … for comparison with [`read_all`].
pub(crate) fn numbered(range: std::ops::Range<i64>) -> Vec<(i64, String)> {
    range.map(|n| (n, format!("v{n}"))).collect()
}

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    for _ in 0..1_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition did not become true in 10 s");
}
