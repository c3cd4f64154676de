//! The public API: an engine over one bucket.

mod append;
mod builder;
mod cluster_id;
mod cutter;
mod descriptors;
mod drain;
mod fetch;
mod list_offsets;
mod offsets;
mod producer_ids;
mod recovery;
mod tasks;
mod topic_table;
mod topics;
mod trimmer;
mod types;
mod unsettled;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::cache::BlockCache;
use crate::clock::Clock;
use crate::format::keys::SessionId;
use crate::health::Health;
use crate::metadata::MetadataStore;
use crate::metrics::EngineMetrics;
use crate::offsets::OffsetTable;
use crate::partition::CutQueue;
use crate::random::Random;
use crate::settings::Settings;
use crate::store::Store;
use crate::wal::Wal;
use crate::wal::backlog::Backlog;

pub use builder::EngineBuilder;
pub(crate) use types::Outcome;
pub use types::{
    AppendOptions, Appended, CommittedOffset, ConfigChange, FetchPartition, FetchRequest, Fetched,
    ListedOffset, NewTopic, OffsetCommit, OffsetSpec, PartitionInfo, TopicInfo,
};

/// A handle to an engine. Cheap to clone; when the last one is dropped without [`Engine::close`], the engine ends as in a
/// crash: what was acknowledged is in the bucket, and the next engine finds it there.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

/// What the clones of a handle share. Background work has handles of its own, which do not keep the engine alive.
pub(crate) struct Handle {
    inner: Arc<Inner>,
    /// The engine ends with this one.
    keeps_alive: bool,
}

impl Deref for Handle {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.keeps_alive {
            // Whatever it waits for: it must not go on writing when nobody has the engine any more.
            let tasks = std::mem::take(&mut *self.inner.tasks.lock());
            drop(tasks);
        }
    }
}

pub(crate) struct Inner {
    store: Store,
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    random: Arc<Random>,
    settings: Settings,
    namespace: Arc<str>,
    session: SessionId,
    leader_epoch: i32,
    cluster_id: String,
    topics: RwLock<topic_table::TopicTable>,
    /// Topics change one at a time.
    administration: tokio::sync::Mutex<unsettled::Unsettled>,
    wal: Wal,
    backlog: Arc<Backlog>,
    cache: BlockCache,
    offsets: RwLock<OffsetTable>,
    producer_ids: producer_ids::ProducerIds,
    cut_queue: CutQueue,
    /// Sealed logs of earlier sessions that still hold records which are not in segments.
    earlier_logs: Mutex<Vec<recovery::EarlierLog>>,
    next_reader: AtomicU64,
    fenced: watch::Sender<Option<Arc<str>>>,
    metrics: Arc<EngineMetrics>,
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Engine {
    fn keeping_alive(inner: Inner) -> Engine {
        Engine(Arc::new(Handle {
            inner: Arc::new(inner),
            keeps_alive: true,
        }))
    }

    fn of_background_work(inner: Arc<Inner>) -> Engine {
        Engine(Arc::new(Handle {
            inner,
            keeps_alive: false,
        }))
    }

    /// An engine over `store`, to be configured and opened.
    pub fn builder(store: Store) -> EngineBuilder {
        EngineBuilder::new(store)
    }

    /// The state of the bucket, as the engine's own requests find it.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.store.health()
    }

    /// Becomes `Some` with the reason when nothing more is acknowledged, because a newer session has taken over or the
    /// log cannot be written any more. The process should say so and end.
    pub fn fenced(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.0.fenced.subscribe()
    }

    /// This engine's session: broker, epoch, and random digits.
    pub fn session(&self) -> SessionId {
        self.0.session
    }

    /// Identity of the cluster whose bucket this is: as Kafka's, 16 bytes in base64. The same at every start.
    pub fn cluster_id(&self) -> &str {
        &self.0.cluster_id
    }

    /// The settings that the engine was opened with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({} of {})", self.0.session, self.0.namespace)
    }
}
