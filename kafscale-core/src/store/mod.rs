//! The only door to the bucket: object storage with retries until the outcome is known, budgets, metrics and health.

mod budget;
mod create;
mod list;
mod local;
mod observe;
mod open;
mod probe;
mod read;
mod read_many;
mod retry;
#[cfg(feature = "s3")]
pub(crate) mod s3;
mod settings;
mod tries;
mod write;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::watch;

pub use self::open::{S3Options, StoreLocation, open, open_url};
pub use self::settings::StoreSettings;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::health::Health;
use crate::metrics::StoreMetrics;
use crate::random::Random;
pub(crate) use read_many::RangeOf;

/// What kind of place the bucket is. Pacing and sizes depend on it: only a remote store has a bill and a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreKind {
    /// A directory of this machine.
    Local,
    /// The process's memory: for tests, nothing outlives the process.
    Memory,
    /// A service that is reached over the network.
    Remote,
}

/// What a call is for: its label in metrics, and whose budget it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A slot or a state object of the WAL: a producer waits for it.
    Wal,
    /// Cutting a segment, or reading one back.
    Segment,
    /// A consumer near the end of its partition.
    Tail,
    /// A consumer of old data.
    CatchUp,
    /// The metadata log, topic descriptors.
    Metadata,
    /// Finding out how the store is.
    Probe,
    /// Replaying logs at start-up or take-over.
    Recovery,
    /// Removing what is no longer needed.
    Delete,
}

impl Purpose {
    /// The purpose's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Wal => "wal",
            Purpose::Segment => "segment",
            Purpose::Tail => "tail",
            Purpose::CatchUp => "catch_up",
            Purpose::Metadata => "metadata",
            Purpose::Probe => "probe",
            Purpose::Recovery => "recovery",
            Purpose::Delete => "delete",
        }
    }
}

/// What the store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A PUT that must not replace anything.
    Create,
    /// A PUT that may replace.
    Put,
    /// A GET of an object or a range of it.
    Get,
    /// A listing, all pages of it.
    List,
    /// One delete request, of up to 1,000 keys.
    Delete,
}

impl Operation {
    /// The operation's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Put => "put",
            Operation::Get => "get",
            Operation::List => "list",
            Operation::Delete => "delete",
        }
    }
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectInfo {
    /// The object's whole key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// When the store says it was written, in milliseconds since 1970-01-01 UTC.
    pub modified_ms: i64,
}

/// How a create ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The object is there and it is ours, in full.
    Created,
    /// An object that is not ours was there before.
    Exists {
        /// The first bytes of that object, up to [`HEAD_BYTES`].
        head: Bytes,
    },
}

/// How many bytes of an object that exists already a create returns.
pub const HEAD_BYTES: u64 = 512;

/// Where in an object the attempt id lies that tells our own object from another's.
pub const ATTEMPT_RANGE: std::ops::Range<usize> = 8..24;

/// How long a create goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateLimit {
    /// Until the outcome is known, whatever the store answers meanwhile. For slots: their bytes are frozen, there is no
    /// way back. Dropping the future ends it; the object may or may not be there then.
    UntilKnown,
    /// For at most this long; then the error is [`ErrorKind::Timeout`] and the object may or may not be there.
    Within(Duration),
}

/// The bucket. Cheap to clone; a local directory stays locked until the last clone is gone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

struct Inner {
    objects: Arc<dyn ObjectStore>,
    /// The same, where it is a directory.
    local: Option<Arc<local::LocalStore>>,
    kind: StoreKind,
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    random: Arc<Random>,
    metrics: Arc<StoreMetrics>,
    budget: budget::Budget,
    health: Arc<observe::HealthCell>,
    /// The object that is overwritten to find out whether the store is back; known once the start-up probe ran.
    probe_key: OnceLock<Path>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("objects", &self.objects.to_string())
            .field("kind", &self.kind)
            .finish()
    }
}

impl Store {
    /// A door to `objects`. The settings are taken as they are: call [`StoreSettings::validate`] on those of users.
    pub fn new(
        objects: Arc<dyn ObjectStore>,
        kind: StoreKind,
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
        random: Arc<Random>,
        metrics: Arc<StoreMetrics>,
    ) -> Store {
        let health = Arc::new(observe::HealthCell::new(
            settings.health.clone(),
            Arc::clone(&clock),
        ));
        let source = Arc::downgrade(&health);
        metrics.set_health_source(move || source.upgrade().map(|health| health.now()));
        let budget = budget::Budget::new(settings.concurrency);
        Store(Arc::new(Inner {
            objects,
            local: None,
            kind,
            settings,
            clock,
            random,
            metrics,
            budget,
            health,
            probe_key: OnceLock::new(),
        }))
    }

    /// The same over a local directory, which is read without detours.
    pub(crate) fn over_directory(mut self, local: Arc<local::LocalStore>) -> Store {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.local = Some(local);
        }
        self
    }

    /// What kind of place the bucket is.
    pub fn kind(&self) -> StoreKind {
        self.0.kind
    }

    /// What is counted about this store.
    pub fn metrics(&self) -> &Arc<StoreMetrics> {
        &self.0.metrics
    }

    /// The store's health. Waiters wake when the state changes; the averages are those of the last call.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    fn backoff(&self) -> retry::Backoff {
        let settings = &self.0.settings;
        retry::Backoff::new(
            Duration::from_millis(settings.backoff_base_ms),
            Duration::from_millis(settings.backoff_cap_ms),
        )
    }
}

/// An object's key as the store's client wants it.
fn path_of(key: &str) -> Result<Path> {
    let path = Path::parse(key).map_err(|e| {
        Error::new(
            ErrorKind::Invalid,
            format!("{key:?} cannot be the key of an object"),
        )
        .with_source(e)
    })?;
    if path.as_ref().is_empty() || path.as_ref() != key {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{key:?} cannot be the key of an object"),
        ));
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
