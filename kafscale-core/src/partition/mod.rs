//! One partition's log: offsets, epochs, producers, the tail, and how it is read.

mod append;
mod epochs;
mod producers;
mod read;
pub(crate) mod recover;
pub(crate) mod state;
mod tail;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::{OnceCell, mpsc};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::PartitionId;
use crate::segment::list::{SegmentExtent, SegmentList, SegmentPlace};
use crate::store::Store;
use crate::topic_config::PartitionConfig;
use crate::wal::LogMember;
use crate::wal::object::LogRun;
pub(crate) use producers::{Producer, SeenBatch};
pub(crate) use read::run_bytes;
use recover::Found;
use state::PartitionState;

/// Partitions whose tail has grown to a segment, for the cutter.
pub(crate) type CutQueue = mpsc::UnboundedSender<Arc<Partition>>;

/// One partition of one life of a topic.
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) topic: Arc<str>,
    pub(crate) directory: Arc<str>,
    pub(crate) segments: SegmentList,
    config: RwLock<PartitionConfig>,
    state: Mutex<PartitionState>,
    /// What recovery found, until the partition is first used.
    loaded: OnceCell<()>,
    found: Mutex<Option<Found>>,
    /// Version of the partition's record in the metadata; 0 when there is none.
    pub(crate) record_version: AtomicU64,
    /// One cut at a time.
    pub(crate) cutting: tokio::sync::Mutex<()>,
    cut_queue: CutQueue,
    queued: AtomicBool,
    this: std::sync::Weak<Partition>,
}

/// What a partition is made of.
pub(crate) struct PartitionParts {
    pub(crate) id: PartitionId,
    pub(crate) topic: Arc<str>,
    pub(crate) directory: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) config: PartitionConfig,
    pub(crate) leader_epoch: i32,
    pub(crate) cut_queue: CutQueue,
}

impl Partition {
    /// A partition that is new: nothing of it is in the bucket.
    pub(crate) fn create(parts: PartitionParts) -> Arc<Partition> {
        Partition::build(parts, None, 0)
    }

    /// A partition that may have records; they are put in order when it is first used.
    pub(crate) fn recovered(parts: PartitionParts, found: Found, record_version: u64) -> Arc<Partition> {
        let needs_listing = found.needs_listing();
        let partition = Partition::build(parts, Some(found), record_version);
        if !needs_listing && partition.loaded.set(()).is_ok() {
            partition.put_in_order(None);
        }
        partition
    }

    fn build(parts: PartitionParts, found: Option<Found>, record_version: u64) -> Arc<Partition> {
        let PartitionParts {
            id,
            topic,
            directory,
            namespace,
            config,
            leader_epoch,
            cut_queue,
        } = parts;
        let fresh = found.is_none();
        let place = SegmentPlace {
            namespace,
            directory: Arc::clone(&directory),
            partition: id.partition,
        };
        Arc::new_cyclic(|this| Partition {
            id,
            topic,
            directory,
            segments: SegmentList::new(place, fresh),
            config: RwLock::new(config),
            state: Mutex::new(PartitionState::new(0, leader_epoch)),
            loaded: OnceCell::new_with(fresh.then_some(())),
            found: Mutex::new(found),
            record_version: AtomicU64::new(record_version),
            cutting: tokio::sync::Mutex::new(()),
            cut_queue,
            queued: AtomicBool::new(false),
            this: this.clone(),
        })
    }

    /// Puts in order what recovery found, if the bucket has to be listed for that. Done once, before anything is read or
    /// appended; a failure is tried again by the next caller.
    pub(crate) async fn ensure_loaded(&self, store: &Store) -> Result<()> {
        self.loaded
            .get_or_try_init(|| async {
                let listed = self.segments.extent(store).await?;
                self.put_in_order(listed);
                Ok(())
            })
            .await
            .copied()
    }

    fn put_in_order(&self, listed: Option<SegmentExtent>) {
        let Some(found) = self.found.lock().take() else {
            return;
        };
        let leader_epoch = self.state.lock().leader_epoch;
        match found.assemble(listed, leader_epoch) {
            Ok((mut state, unneeded)) => {
                let late = {
                    let mut current = self.state.lock();
                    let late = state.take_place_of(&mut current);
                    *current = state;
                    late
                };
                release(unneeded);
                release(late);
            }
            Err(damage) => {
                let reason: Arc<str> = format!("partition {self}: {damage}").into();
                tracing::error!("{reason}");
                self.stop(ErrorKind::Corrupt, &reason);
            }
        }
    }

    /// The partition is gone, for `reason`: it takes nothing more, everybody who waits learns it, and nothing that the log
    /// holds of it is needed.
    pub(crate) fn retire(&self, reason: &Arc<str>) {
        self.stop(ErrorKind::NotFound, reason);
        let found = self.found.lock().take();
        release(
            found
                .into_iter()
                .flat_map(|found| found.runs)
                .map(|found| found.run),
        );
        let held = self.state.lock().retire();
        release(held);
    }

    /// Whether there is anything that a state object must say, although the partition has not been used yet.
    pub(crate) fn has_unread_findings(&self) -> bool {
        self.found
            .lock()
            .as_ref()
            .is_some_and(|found| found.state.is_some() || !found.runs.is_empty())
    }

    /// Whether the partition has been put in order.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.initialized()
    }

    /// The state, locked. Never to be held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, PartitionState> {
        self.state.lock()
    }

    pub(crate) fn config(&self) -> PartitionConfig {
        *self.config.read()
    }

    pub(crate) fn set_config(&self, config: PartitionConfig) {
        *self.config.write() = config;
    }

    /// The cutter has looked at this partition.
    pub(crate) fn leave_cut_queue(&self) {
        self.queued.store(false, Ordering::Release);
    }

    /// Takes nothing more, for `reason`; everybody who waits learns it.
    pub(crate) fn stop(&self, kind: ErrorKind, reason: &Arc<str>) {
        let readers = self.state.lock().stop(kind, Arc::clone(reason));
        for reader in readers {
            reader.notify_one();
        }
    }

    /// The error of an operation on a partition that does not exist.
    pub(crate) fn unknown(topic: impl fmt::Display, partition: i32) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no partition {partition} of topic {topic}"),
        )
    }
}

fn release(runs: impl IntoIterator<Item = LogRun>) {
    for run in runs {
        run.object.release_run();
    }
}

impl LogMember for Partition {
    fn id(&self) -> PartitionId {
        self.id
    }

    fn directory(&self) -> &str {
        &self.directory
    }

    fn committed(&self, run: LogRun) {
        let (released, full) = {
            let mut state = self.state.lock();
            let released = state.commit(run);
            (released, state.tail.bytes() >= self.config.read().segment_bytes)
        };
        released.wake();
        if full
            && !self.queued.swap(true, Ordering::AcqRel)
            && let Some(this) = self.this.upgrade()
            && self.cut_queue.send(this).is_err()
        {
            tracing::debug!(partition = %self, "the cutter has ended");
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.id.partition)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partition({self}, {})", self.id.topic)
    }
}
