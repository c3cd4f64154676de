//! Opening an engine: session, seal and replay, then service.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};

use super::recovery::{FoundTopic, Recovered, Recovery};
use super::topic_table::{Topic, TopicTable};
use super::{CommittedOffset, Engine, Inner, cluster_id, producer_ids, tasks};
use crate::cache::BlockCache;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::SessionId;
use crate::ids::PartitionId;
use crate::metadata::{BucketMetadata, BucketMetadataSettings, MetadataStore, schema};
use crate::metrics::EngineMetrics;
use crate::offsets::OffsetTable;
use crate::partition::recover::Found;
use crate::partition::{CutQueue, Partition, PartitionParts};
use crate::random::Random;
use crate::settings::{Settings, TopicDefaults};
use crate::slotlog::Sealer;
use crate::store::{Purpose, Store};
use crate::topic_config::PartitionConfig;
use crate::wal::backlog::{Backlog, BacklogLimits};
use crate::wal::{Wal, WalParts, replay};

/// Configures an engine. Settings are plain data; the rest are parts that may be replaced.
#[derive(Debug)]
pub struct EngineBuilder {
    store: Store,
    settings: Settings,
    metadata: Option<Arc<dyn MetadataStore>>,
    clock: Option<Arc<dyn Clock>>,
    random: Option<Arc<Random>>,
    metrics: Option<Arc<EngineMetrics>>,
}

impl EngineBuilder {
    pub(super) fn new(store: Store) -> EngineBuilder {
        EngineBuilder {
            store,
            settings: Settings::default(),
            metadata: None,
            clock: None,
            random: None,
            metrics: None,
        }
    }

    /// Other settings than the defaults.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Metadata elsewhere than in the bucket itself.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Arc<dyn MetadataStore>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Another clock than the machine's. The store has its own.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Another source of random numbers than the operating system's.
    #[must_use]
    pub fn with_random(mut self, random: Arc<Random>) -> Self {
        self.random = Some(random);
        self
    }

    /// Where the engine counts.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<EngineMetrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Opens the engine: takes a new session, fences and replays the logs of all sessions before it, and serves.
    ///
    /// # Errors
    /// `Precondition` for settings that cannot work; `Corrupt`, naming the object, for a bucket that is damaged;
    /// `Unavailable` when the bucket does not answer; `Fenced` when another engine opens the same namespace now.
    pub async fn open(self) -> Result<Engine> {
        let EngineBuilder {
            store,
            settings,
            metadata,
            clock,
            random,
            metrics,
        } = self;
        settings.validate()?;
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let random = match random {
            Some(random) => random,
            None => Arc::new(Random::from_system()?),
        };
        let namespace: Arc<str> = settings.namespace.as_str().into();
        let newest = replay::sessions(&store, &namespace)
            .await?
            .into_iter()
            .map(|session| session.epoch)
            .max();
        let metadata = match metadata {
            Some(metadata) => metadata,
            None => Arc::new(
                BucketMetadata::new(
                    store.clone(),
                    &namespace,
                    BucketMetadataSettings::default(),
                    Arc::clone(&clock),
                    Arc::clone(&random),
                )?
                .with_epoch_above(newest.unwrap_or(0)),
            ),
        };
        let session = metadata.open_session(settings.broker_id).await?;
        let leader_epoch = leader_epoch(session, newest)?;
        let cluster_id = cluster_id::obtain(&*metadata, &random).await?;
        let sealer = Sealer {
            session,
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            purpose: Purpose::Recovery,
        };
        let recovered = Recovery {
            store: &store,
            metadata: &*metadata,
            namespace: &namespace,
            sealer,
            now_ms: clock.unix_ms(),
            elapsed_ms: millis(clock.elapsed()),
        }
        .run()
        .await?;

        let metrics = metrics.unwrap_or_default();
        let backlog = Arc::new(Backlog::new(BacklogLimits {
            resident_bytes: settings.memory.tail_bytes as u64,
            bytes: settings.wal.max_backlog_bytes,
            objects: settings.wal.max_backlog_objects,
        }));
        let offsets = load_offsets(&*metadata).await?;
        let (cut_queue, cut_requests) = mpsc::unbounded_channel();
        let Recovered {
            topics,
            partitions,
            objects,
            earlier,
            metadata_is_old,
        } = recovered;
        if metadata_is_old {
            tracing::warn!(%session, "the metadata is older than the bucket: partitions are put in order from the bucket");
        }
        for object in objects {
            backlog.push(object);
        }
        let context = PartitionContext {
            namespace: Arc::clone(&namespace),
            defaults: settings.topic.clone(),
            leader_epoch,
            cut_queue: cut_queue.clone(),
        };
        let topics = context.topics(topics, partitions);
        let wal = Wal::start(WalParts {
            store: store.clone(),
            namespace: Arc::clone(&namespace),
            session,
            settings: settings.wal.clone(),
            in_flight_bytes: settings.memory.in_flight_bytes,
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            backlog: Arc::clone(&backlog),
            metrics: Arc::clone(&metrics),
        });
        let engine = Engine::keeping_alive(Inner {
            cache: BlockCache::new(store.clone(), settings.memory.cache_bytes),
            store,
            metadata,
            clock,
            random,
            settings,
            namespace,
            session,
            leader_epoch,
            cluster_id,
            topics: RwLock::new(topics),
            administration: tokio::sync::Mutex::default(),
            wal,
            backlog,
            offsets: RwLock::new(offsets),
            producer_ids: producer_ids::ProducerIds::new(),
            cut_queue,
            earlier_logs: Mutex::new(earlier),
            next_reader: AtomicU64::new(0),
            fenced: watch::channel(None).0,
            metrics,
            tasks: Mutex::new(Vec::new()),
        });
        tasks::start(&engine, cut_requests);
        engine.finish_deletions().await?;
        Ok(engine)
    }
}

/// Leader epochs of this session: larger than those of every session before.
fn leader_epoch(session: SessionId, newest_in_bucket: Option<u64>) -> Result<i32> {
    let epoch = session.epoch.max(newest_in_bucket.map_or(0, |epoch| epoch + 1));
    i32::try_from(epoch).map_err(|_| {
        Error::new(
            ErrorKind::Precondition,
            format!("session epoch {epoch} is larger than Kafka's leader epochs"),
        )
    })
}

async fn load_offsets(metadata: &dyn MetadataStore) -> Result<OffsetTable> {
    let mut table = OffsetTable::default();
    for (key, value) in metadata.range(schema::OFFSETS).await? {
        let Some((group, topic, partition)) = schema::parse_offset_key(&key) else {
            continue;
        };
        let stored: schema::CommittedOffset = schema::from_value(&key, &value.value)?;
        let committed = CommittedOffset {
            offset: stored.offset,
            leader_epoch: stored.leader_epoch,
            metadata: stored.metadata,
            committed_ms: stored.committed_ms,
        };
        table.set(&group, PartitionId { topic, partition }, committed, value.version);
    }
    Ok(table)
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What all partitions of an engine share.
pub(super) struct PartitionContext {
    pub(super) namespace: Arc<str>,
    pub(super) defaults: TopicDefaults,
    pub(super) leader_epoch: i32,
    pub(super) cut_queue: CutQueue,
}

impl PartitionContext {
    fn topics(
        &self,
        topics: Vec<FoundTopic>,
        mut partitions: HashMap<PartitionId, (Found, u64)>,
    ) -> TopicTable {
        let mut table = TopicTable::default();
        for FoundTopic {
            name,
            record,
            version,
        } in topics
        {
            let name: Arc<str> = name.into();
            let all = (0..record.partitions)
                .map(|partition| {
                    let parts = self.parts(&name, &record, partition);
                    let (found, record_version) = partitions.remove(&parts.id).unwrap_or_default();
                    Partition::recovered(parts, found, record_version)
                })
                .collect();
            table.insert(Topic::new(name, record, version, all));
        }
        // What is left belongs to topics that are gone.
        for (found, _) in partitions.into_values() {
            for run in found.runs {
                run.run.object.release_run();
            }
        }
        table
    }

    pub(super) fn parts(
        &self,
        name: &Arc<str>,
        record: &schema::TopicRecord,
        partition: i32,
    ) -> PartitionParts {
        PartitionParts {
            id: PartitionId {
                topic: record.id,
                partition,
            },
            topic: Arc::clone(name),
            directory: record.directory.as_str().into(),
            namespace: Arc::clone(&self.namespace),
            config: PartitionConfig::resolve(&record.configs, &self.defaults),
            leader_epoch: self.leader_epoch,
            cut_queue: self.cut_queue.clone(),
        }
    }
}
