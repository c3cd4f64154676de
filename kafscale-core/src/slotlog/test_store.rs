//! A bucket in memory whose every call passes a test's script: to let others act in between, to lose answers, to stop.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::{LogName, Sealer, SlotError, SlotWriter};
use crate::clock::SimClock;
use crate::format::keys::{MetaSessionId, SessionId};
use crate::metrics::StoreMetrics;
use crate::random::Random;
use crate::store::{Purpose, Store, StoreKind, StoreSettings};

type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that is about to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Put(String),
    Get(String),
    List,
    Delete(String),
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is made.
    Go,
    /// It is made, and its answer is lost.
    LoseAnswer,
    /// It is not made.
    Fail,
    /// It is not made and never answered: the process has stopped.
    Stop,
    /// It is made and never answered: the process has stopped.
    StopAfter,
}

type Script = dyn Fn(Call) -> BoxFuture<'static, Fate> + Send + Sync;

/// The bucket as one process sees it.
pub(crate) struct Scripted {
    bucket: Arc<InMemory>,
    script: Arc<Script>,
}

/// A store on `bucket`, in the order of `script`.
pub(crate) fn scripted<F>(bucket: &Arc<InMemory>, script: F) -> Store
where
    F: Fn(Call) -> BoxFuture<'static, Fate> + Send + Sync + 'static,
{
    store_on(Arc::new(Scripted {
        bucket: bucket.clone(),
        script: Arc::new(script),
    }))
}

/// A store on `bucket` where all goes well.
pub(crate) fn plain(bucket: &Arc<InMemory>) -> Store {
    store_on(bucket.clone())
}

/// A store on any bucket.
pub(crate) fn store_on(objects: Arc<dyn ObjectStore>) -> Store {
    let settings = StoreSettings::default();
    let clock = Arc::new(SimClock::new(1_700_000_000_000));
    let random = Arc::new(Random::seeded(7));
    Store::new(
        objects,
        StoreKind::Memory,
        settings,
        clock,
        random,
        Arc::new(StoreMetrics::new()),
    )
}

/// All keys of the bucket, sorted.
pub(crate) async fn keys(bucket: &InMemory) -> Vec<String> {
    let mut keys: Vec<String> = bucket
        .list(None)
        .map(|o| o.unwrap().location.to_string())
        .collect()
        .await;
    keys.sort();
    keys
}

/// The bytes of an object.
pub(crate) async fn bytes(bucket: &InMemory, key: &str) -> Option<Bytes> {
    match bucket.get(&Path::from(key)).await {
        Ok(found) => Some(found.bytes().await.unwrap()),
        Err(_) => None,
    }
}

impl Scripted {
    async fn pass<T>(&self, call: Call, work: impl Future<Output = Result<T>>) -> Result<T> {
        let lost = || {
            Err(Error::Generic {
                store: "scripted",
                source: "connection reset".into(),
            })
        };
        match (self.script)(call).await {
            Fate::Go => work.await,
            Fate::LoseAnswer => {
                let _ = work.await;
                lost()
            }
            Fate::Fail => lost(),
            Fate::Stop => std::future::pending().await,
            Fate::StopAfter => {
                let _ = work.await;
                std::future::pending().await
            }
        }
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.pass(
            Call::Put(location.to_string()),
            self.bucket.put_opts(location, payload, options),
        )
        .await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "multipart".into(),
            implementer: "scripted".into(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.pass(
            Call::Get(location.to_string()),
            self.bucket.get_opts(location, options),
        )
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (bucket, script) = (self.bucket.clone(), self.script.clone());
        let one = move |location: Result<Path>| {
            let store = Scripted {
                bucket: bucket.clone(),
                script: script.clone(),
            };
            async move {
                let location = location?;
                let gone = async { store.bucket.delete(&location).await };
                store
                    .pass(Call::Delete(location.to_string()), gone)
                    .await
                    .map(|()| location.clone())
            }
        };
        locations.then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = Scripted {
            bucket: self.bucket.clone(),
            script: self.script.clone(),
        };
        let prefix = prefix.cloned();
        let listed = async move {
            let work = async { Ok(store.bucket.list(prefix.as_ref()).collect::<Vec<_>>().await) };
            match store.pass(Call::List, work).await {
                Ok(found) => stream::iter(found),
                Err(error) => stream::iter(vec![Err(error)]),
            }
        };
        stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.pass(Call::List, self.bucket.list_with_delimiter(prefix))
            .await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented {
            operation: "copy".into(),
            implementer: "scripted".into(),
        })
    }
}

/// The log that the tests write.
pub(crate) fn test_log() -> LogName {
    LogName::meta("default", MetaSessionId { epoch: 1, nonce: 0xa })
}

/// A session of broker 1.
pub(crate) fn session(epoch: u64) -> SessionId {
    SessionId {
        broker: 1,
        epoch,
        nonce: 0xa,
    }
}

/// The writer of the test's log.
pub(crate) fn writer(store: &Store) -> SlotWriter {
    let clock = Arc::new(SimClock::new(0));
    let random = Arc::new(Random::seeded(1));
    SlotWriter::new(store.clone(), test_log(), session(1), clock, random, Purpose::Wal)
}

/// A taker-over; each epoch rolls its own dice.
pub(crate) fn sealer(epoch: u64) -> Sealer {
    let clock = Arc::new(SimClock::new(0));
    Sealer {
        session: session(epoch),
        clock,
        random: Arc::new(Random::seeded(epoch)),
        purpose: Purpose::Recovery,
    }
}

/// Writes one slot that is nothing but its header.
pub(crate) async fn put_next(writer: &SlotWriter, trim: u64) -> Result<u64, SlotError> {
    let header = writer.next_header(trim);
    let bytes = Bytes::copy_from_slice(&header.encode());
    writer
        .put(header.slot, &[bytes], header.attempt)
        .await
        .map(|()| header.slot)
}
