//! A bucket and the lives of engines over it, each with a door of its own that can be shut; and a book of what was asked,
//! what was answered and what was seen, against which every later engine is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafscale_core::clock::{Clock, SimClock};
use kafscale_core::metrics::StoreMetrics;
use kafscale_core::store::{Purpose, Store, StoreKind, StoreSettings};
use kafscale_core::testing::fault_store::{FaultControl, FaultStore};
use kafscale_core::{Engine, NewTopic, OffsetCommit, Random, Result, Settings, TopicId};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parking_lot::Mutex;

use crate::world::*;

/// A bucket that outlives the engines over it, on a clock that a test may pause.
pub(crate) struct Bucket {
    objects: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) store_settings: StoreSettings,
    lives: Mutex<u64>,
}

impl Bucket {
    pub(crate) fn new() -> Bucket {
        Bucket {
            objects: Arc::new(InMemory::new()),
            clock: Arc::new(SimClock::new(1_700_000_000_000)),
            settings: Settings::default(),
            store_settings: StoreSettings::default(),
            lives: Mutex::new(0),
        }
    }

    fn next_life(&self) -> u64 {
        let mut lives = self.lives.lock();
        *lives += 1;
        *lives
    }

    fn store_over(&self, objects: Arc<dyn ObjectStore>, kind: StoreKind) -> Store {
        Store::new(
            objects,
            kind,
            self.store_settings.clone(),
            Arc::clone(&self.clock),
            Arc::new(Random::seeded(1_000 + self.next_life())),
            Arc::new(StoreMetrics::new()),
        )
    }

    /// A door without faults.
    pub(crate) fn plain(&self) -> Store {
        self.store_over(Arc::clone(&self.objects), StoreKind::Memory)
    }

    /// A door of one life, and what makes it fail.
    pub(crate) fn door(&self) -> (Store, FaultControl) {
        self.door_of(StoreKind::Memory)
    }

    /// The same, to a bucket that counts as one of that kind.
    pub(crate) fn door_of(&self, kind: StoreKind) -> (Store, FaultControl) {
        let faults = FaultStore::new(
            Arc::clone(&self.objects),
            Arc::clone(&self.clock),
            self.next_life(),
        );
        let control = faults.control();
        (self.store_over(Arc::new(faults), kind), control)
    }

    pub(crate) async fn open(&self, store: Store) -> Result<Engine> {
        Engine::builder(store)
            .with_settings(self.settings.clone())
            .with_clock(Arc::clone(&self.clock))
            .with_random(Arc::new(Random::seeded(9_000 + self.next_life())))
            .open()
            .await
    }

    /// Opens without faults; a bucket that was written by this engine always opens.
    pub(crate) async fn reopen(&self) -> Engine {
        self.open(self.plain()).await.unwrap()
    }

    pub(crate) async fn keys(&self, part: &str) -> Vec<String> {
        let all = self.plain().list("", Purpose::Recovery).await.unwrap();
        all.into_iter()
            .map(|object| object.key)
            .filter(|key| key.contains(part))
            .collect()
    }

    pub(crate) async fn delete(&self, keys: Vec<String>) {
        self.plain().delete(keys, Purpose::Delete).await.unwrap();
    }
}

/// Runs `work` on a runtime of its own whose time passes when nothing else is to be done; whatever it started ends with
/// it.
pub(crate) fn simulate<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

/// One append, as its producer knows it.
#[derive(Clone, Debug)]
struct Attempt {
    values: Vec<String>,
    /// Producer and first sequence, of an idempotent one.
    sequenced: Option<(i64, i32)>,
    /// Its base offset, once it was acknowledged.
    acknowledged: Option<i64>,
}

/// One life of a topic, as the one who administrates it knows it.
#[derive(Clone, Debug, Default)]
struct Life {
    id: Option<TopicId>,
    partitions: i32,
    delete_asked: bool,
    deleted: bool,
}

/// Positions that were asked for, and the last one that was acknowledged.
#[derive(Clone, Debug, Default)]
struct Positions {
    asked: BTreeSet<i64>,
    acknowledged: Option<i64>,
}

#[derive(Debug, Default)]
struct Pages {
    attempts: BTreeMap<(String, i32), Vec<Attempt>>,
    lives: BTreeMap<String, Life>,
    /// What consumers saw.
    seen: BTreeMap<(String, i32), BTreeMap<i64, String>>,
    high_watermarks: BTreeMap<(String, i32), i64>,
    /// Of a group in a partition.
    positions: BTreeMap<(String, String, i32), Positions>,
    sequences: BTreeMap<(String, i32, i64), i32>,
}

/// What was asked, what was answered, what was seen. A life of a topic is called `name#number`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book(Arc<Mutex<Pages>>);

fn name_of(life: &str) -> &str {
    life.split('#').next().unwrap()
}

impl Book {
    pub(crate) fn id(&self, life: &str) -> TopicId {
        self.0.lock().lives[life].id.unwrap()
    }

    pub(crate) fn is_created(&self, life: &str) -> bool {
        self.0
            .lock()
            .lives
            .get(life)
            .is_some_and(|life| life.id.is_some())
    }

    /// The deletion of whatever is called `name` is asked for.
    pub(crate) fn all_delete_asked(&self, name: &str) {
        let mut pages = self.0.lock();
        for (_, life) in pages.lives.iter_mut().filter(|(life, _)| name_of(life) == name) {
            life.delete_asked = true;
        }
    }

    /// Every life of `name` was deleted, those too of which it was not known whether they were created.
    pub(crate) fn all_deleted(&self, name: &str) {
        let mut pages = self.0.lock();
        for (_, life) in pages.lives.iter_mut().filter(|(life, _)| name_of(life) == name) {
            (life.delete_asked, life.deleted) = (true, true);
        }
    }

    /// The metadata is lost, and with it the positions of groups.
    pub(crate) fn forget_positions(&self) {
        self.0.lock().positions.clear();
    }

    /// Creates the topic of a life.
    pub(crate) async fn create(
        &self,
        engine: &Engine,
        life: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) {
        self.try_create(engine, life, partitions, configs).await.unwrap();
    }

    pub(crate) async fn try_create(
        &self,
        engine: &Engine,
        life: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        self.0.lock().lives.entry(life.to_owned()).or_default().partitions = partitions;
        let new = NewTopic {
            name: name_of(life).to_owned(),
            partitions,
            configs: configs
                .iter()
                .map(|&(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        };
        let id = engine.create_topic(new).await?.id;
        self.0.lock().lives.get_mut(life).unwrap().id = Some(id);
        Ok(())
    }

    pub(crate) async fn grow(&self, engine: &Engine, life: &str, partitions: i32) {
        engine.create_partitions(name_of(life), partitions).await.unwrap();
        self.0.lock().lives.get_mut(life).unwrap().partitions = partitions;
    }

    pub(crate) async fn delete(&self, engine: &Engine, life: &str) -> Result<()> {
        self.0.lock().lives.get_mut(life).unwrap().delete_asked = true;
        engine.delete_topic(name_of(life)).await?;
        self.0.lock().lives.get_mut(life).unwrap().deleted = true;
        Ok(())
    }

    /// Appends one batch of `count` new values, and waits until it is durable.
    pub(crate) async fn append(
        &self,
        engine: &Engine,
        life: &str,
        partition: i32,
        producer: Option<i64>,
        count: i32,
    ) -> Result<()> {
        let (topic, bytes, at) = self.begin(life, partition, producer, count);
        let appended = engine.append(topic, partition, bytes, WAIT).await?;
        let base = appended.base_offset;
        appended.durable().await?;
        self.acknowledge(engine, life, partition, at, base);
        Ok(())
    }

    /// Appends several batches that are on their way at the same time.
    pub(crate) async fn append_together(
        &self,
        engine: &Engine,
        life: &str,
        partition: i32,
        producer: Option<i64>,
        batches: usize,
    ) -> Result<()> {
        let mut waiting = Vec::new();
        for _ in 0..batches {
            let (topic, bytes, at) = self.begin(life, partition, producer, 1);
            let appended = engine.append(topic, partition, bytes, WAIT).await?;
            waiting.push((at, appended));
            tokio::task::yield_now().await;
        }
        for (at, appended) in waiting {
            let base = appended.base_offset;
            appended.durable().await?;
            self.acknowledge(engine, life, partition, at, base);
        }
        Ok(())
    }

    fn begin(
        &self,
        life: &str,
        partition: i32,
        producer: Option<i64>,
        count: i32,
    ) -> (TopicId, Bytes, usize) {
        let mut pages = self.0.lock();
        let pages = &mut *pages;
        let topic = pages.lives[life].id.unwrap();
        let attempts = pages.attempts.entry((life.to_owned(), partition)).or_default();
        let number = attempts.len();
        let values: Vec<String> = (0..count)
            .map(|n| format!("{life}-{partition}-{number}-{n}"))
            .collect();
        let sequenced = producer.map(|producer| {
            let next = pages
                .sequences
                .entry((life.to_owned(), partition, producer))
                .or_default();
            let sequence = *next;
            *next += count;
            (producer, sequence)
        });
        attempts.push(Attempt {
            values: values.clone(),
            sequenced,
            acknowledged: None,
        });
        (topic, bytes_of(&values, sequenced), number)
    }

    fn acknowledge(&self, engine: &Engine, life: &str, partition: i32, attempt: usize, base: i64) {
        let mut pages = self.0.lock();
        let key = (life.to_owned(), partition);
        pages.attempts.get_mut(&key).unwrap()[attempt].acknowledged = Some(base);
        let topic = pages.lives[life].id.unwrap();
        if let Ok(info) = engine.partition_info(topic, partition) {
            let highest = pages.high_watermarks.entry(key).or_default();
            *highest = info.high_watermark.max(*highest);
        }
    }

    /// Sends again, in order, every batch of idempotent producers that was not acknowledged.
    pub(crate) async fn retry(&self, engine: &Engine) -> Result<()> {
        self.retry_of(engine, None).await
    }

    /// The same for one producer.
    pub(crate) async fn retry_of(&self, engine: &Engine, producer: Option<i64>) -> Result<()> {
        let (lives, open) = {
            let pages = self.0.lock();
            let open: Vec<_> = pages
                .attempts
                .iter()
                .flat_map(|(key, attempts)| {
                    let open = attempts.iter().enumerate();
                    open.filter(|(_, a)| {
                        a.acknowledged.is_none()
                            && a.sequenced
                                .is_some_and(|(of, _)| producer.is_none_or(|producer| producer == of))
                    })
                    .map(|(at, a)| (key.clone(), at, a.clone()))
                })
                .collect();
            (pages.lives.clone(), open)
        };
        for ((life, partition), at, attempt) in open {
            if lives[&life].delete_asked {
                continue;
            }
            let topic = lives[&life].id.unwrap();
            let bytes = bytes_of(&attempt.values, attempt.sequenced);
            let base = append(engine, topic, partition, bytes).await?;
            self.acknowledge(engine, &life, partition, at, base);
        }
        Ok(())
    }

    pub(crate) async fn commit(&self, engine: &Engine, group: &str, life: &str, partition: i32, offset: i64) {
        let key = (group.to_owned(), life.to_owned(), partition);
        self.0
            .lock()
            .positions
            .entry(key.clone())
            .or_default()
            .asked
            .insert(offset);
        let commit = OffsetCommit {
            topic: self.id(life),
            partition,
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        };
        engine.commit_offsets(group, vec![commit]).await.unwrap();
        self.0.lock().positions.get_mut(&key).unwrap().acknowledged = Some(offset);
    }

    /// Reads a partition as it grows, for ever, and writes down what it sees.
    pub(crate) async fn consume(&self, engine: Engine, life: &str, partition: i32) {
        let topic = self.id(life);
        let mut offset = 0;
        loop {
            let fetched =
                fetch_with(&engine, topic, partition, offset, 1 << 20, Duration::from_secs(1)).await;
            let Ok(fetched) = fetched else { return };
            for (at, value) in values(&fetched, offset) {
                assert_eq!(at, offset, "a consumer of {life}-{partition} misses an offset");
                assert!(at < fetched.high_watermark, "{at} is above the high watermark");
                offset = at + 1;
                let mut pages = self.0.lock();
                let seen = pages.seen.entry((life.to_owned(), partition)).or_default();
                // Whoever serves it, a deposed engine included: an offset holds one value.
                let before = seen.insert(at, value.clone());
                assert!(
                    before.as_ref().is_none_or(|before| *before == value),
                    "{life}-{partition}: offset {at} was {before:?} and is {value}"
                );
            }
        }
    }

    /// Holds `engine` to everything that was promised.
    pub(crate) async fn verify(&self, engine: &Engine) {
        let (lives, attempts, seen, highest, positions) = {
            let pages = self.0.lock();
            (
                pages.lives.clone(),
                pages.attempts.clone(),
                pages.seen.clone(),
                pages.high_watermarks.clone(),
                pages.positions.clone(),
            )
        };
        for (life, state) in &lives {
            let Some(id) = state.id else {
                // Nobody was told that it exists; nothing was written to it.
                continue;
            };
            let info = engine.topic_by_id(id);
            if state.deleted {
                assert!(info.is_none(), "{life} was deleted and is back");
            }
            if !state.delete_asked {
                let info = info
                    .as_ref()
                    .unwrap_or_else(|| panic!("{life} was created and is gone"));
                assert_eq!(&*info.name, name_of(life));
                assert!(info.partitions >= state.partitions, "{life} has lost partitions");
            }
            let Some(info) = info else { continue };
            for partition in 0..info.partitions {
                let key = (life.clone(), partition);
                let found = read_all(engine, id, partition).await;
                let none = Vec::new();
                check_partition(&key, attempts.get(&key).unwrap_or(&none), &found);
                for (offset, value) in seen.get(&key).into_iter().flatten() {
                    let there = found.get(*offset as usize).map(|(_, value)| value);
                    assert_eq!(there, Some(value), "{key:?}: a consumer saw what is not there");
                }
                let highest = highest.get(&key).copied().unwrap_or(0);
                assert!(
                    found.len() as i64 >= highest,
                    "{key:?}: the high watermark was {highest} and is {}",
                    found.len()
                );
            }
        }
        for ((group, life, partition), Positions { asked, acknowledged }) in &positions {
            let Some(id) = lives[life].id else { continue };
            let found = engine.committed_offset(group, id, *partition).map(|c| c.offset);
            if lives[life].deleted {
                assert_eq!(found, None, "{group} has a position in {life}, which was deleted");
            }
            if lives[life].delete_asked {
                continue;
            }
            if let Some(acknowledged) = acknowledged {
                let found = found.unwrap_or_else(|| panic!("{group} has lost its position in {life}"));
                assert!(
                    found >= *acknowledged && asked.contains(&found),
                    "{group}: {found}"
                );
            }
        }
        let positions: usize = engine
            .groups_with_offsets()
            .iter()
            .flat_map(|group| engine.committed_offsets(group))
            .filter(|(topic, ..)| engine.topic_by_id(*topic).is_none())
            .count();
        assert_eq!(positions, 0, "positions of topics that are gone");
    }

    /// How many appends were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        let pages = self.0.lock();
        let all = pages.attempts.values().flatten();
        all.filter(|attempt| attempt.acknowledged.is_some()).count()
    }

    /// Every batch of idempotent producers is acknowledged, and so in the log.
    pub(crate) fn everything_sequenced_is_acknowledged(&self) {
        let pages = self.0.lock();
        for ((life, partition), attempts) in &pages.attempts {
            for attempt in attempts {
                let open = attempt.sequenced.is_some() && attempt.acknowledged.is_none();
                assert!(
                    !open || pages.lives[life].delete_asked,
                    "{life}-{partition}: {attempt:?}"
                );
            }
        }
    }
}

fn bytes_of(values: &[String], of: Option<(i64, i32)>) -> Bytes {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    match of {
        Some((producer, sequence)) => sequenced(producer, sequence, &values),
        None => batch(&values),
    }
}

fn check_partition(key: &(String, i32), attempts: &[Attempt], found: &[(i64, String)]) {
    for (expected, (offset, _)) in found.iter().enumerate() {
        assert_eq!(*offset, expected as i64, "{key:?}: offsets are not dense");
    }
    let mut left: BTreeMap<&str, i64> = BTreeMap::new();
    for (offset, value) in found {
        let twice = left.insert(value, *offset);
        assert_eq!(
            twice, None,
            "{key:?}: {value} is there twice, the second time at {offset}"
        );
    }
    for attempt in attempts {
        let at: Vec<Option<i64>> = attempt.values.iter().map(|v| left.remove(v.as_str())).collect();
        let Some(base) = attempt.acknowledged.or(at[0]) else {
            assert!(at.iter().all(Option::is_none), "{key:?}: half of {attempt:?}");
            continue;
        };
        let wanted: Vec<Option<i64>> = (base..).take(at.len()).map(Some).collect();
        assert_eq!(at, wanted, "{key:?}: {attempt:?} is not where it was said to be");
    }
    assert!(left.is_empty(), "{key:?}: nobody has appended {left:?}");
}
