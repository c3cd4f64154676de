use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::clock::SimClock;
use crate::format::slot::{SlotHeader, SlotKind};
use crate::metadata::Expect;
use crate::metadata::conformance::{self, Subject};
use crate::slotlog::test_store::{Call, Fate, bytes, keys, plain, scripted, store_on};

mod crashes;

/// A handle as a process would have it. `seed` stands for the process's own dice.
fn handle(store: Store, seed: u64, settings: BucketMetadataSettings) -> BucketMetadata {
    let clock = Arc::new(SimClock::new(1_700_000_000_000));
    BucketMetadata::new(store, "default", settings, clock, Arc::new(Random::seeded(seed))).unwrap()
}

fn rotating(snapshot_after_slots: u64) -> BucketMetadataSettings {
    BucketMetadataSettings {
        snapshot_after_slots,
        ..BucketMetadataSettings::default()
    }
}

async fn opened(bucket: &Arc<InMemory>, seed: u64) -> BucketMetadata {
    let store = handle(plain(bucket), seed, BucketMetadataSettings::default());
    store.open_session(1).await.unwrap();
    store
}

async fn put(store: &BucketMetadata, key: &str, value: &str) {
    assert!(
        store
            .commit(Txn::new().put(key, value.to_owned()))
            .await
            .unwrap()
            .is_committed()
    );
}

async fn value(store: &BucketMetadata, key: &str) -> Option<Bytes> {
    store.get(key).await.unwrap().map(|v| v.value)
}

/// Waits for what happens in the background.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if done().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what} does not come");
}

/// How many data slots and how many seals are in the bucket.
async fn slots(bucket: &InMemory) -> (usize, usize) {
    let mut count = (0, 0);
    for key in keys(bucket).await {
        match SlotHeader::parse(&bytes(bucket, &key).await.unwrap())
            .unwrap()
            .kind
        {
            SlotKind::Data => count.0 += 1,
            SlotKind::Seal => count.1 += 1,
        }
    }
    count
}

struct InBucket {
    bucket: Arc<InMemory>,
    seed: AtomicUsize,
    settings: BucketMetadataSettings,
}

#[async_trait]
impl Subject for InBucket {
    async fn handle(&self) -> Arc<dyn MetadataStore> {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        Arc::new(handle(plain(&self.bucket), seed as u64, self.settings.clone()))
    }
}

#[tokio::test]
async fn the_bucket_store_conforms() {
    for settings in [
        BucketMetadataSettings::default(),
        rotating(1),
        rotating(3),
        BucketMetadataSettings {
            flush_bytes: 1,
            queue: 1,
            ..rotating(7)
        },
    ] {
        let fresh = || InBucket {
            bucket: Arc::default(),
            seed: AtomicUsize::new(1),
            settings: settings.clone(),
        };
        conformance::run(fresh).await;
    }
}

/// All sessions of this test share one door: a directory is locked against a second process.
struct InDirectory {
    store: Store,
    seed: AtomicUsize,
    _directory: tempfile::TempDir,
}

#[async_trait]
impl Subject for InDirectory {
    async fn handle(&self) -> Arc<dyn MetadataStore> {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        Arc::new(handle(self.store.clone(), seed as u64, rotating(20)))
    }
}

#[tokio::test]
async fn the_bucket_store_conforms_in_a_directory() {
    conformance::run(|| {
        let directory = tempfile::tempdir().unwrap();
        // Without fsync, for speed: what is tested here is names, conditions and listings.
        let objects = object_store::local::LocalFileSystem::new_with_prefix(directory.path()).unwrap();
        InDirectory {
            store: store_on(Arc::new(objects)),
            seed: AtomicUsize::new(1),
            _directory: directory,
        }
    })
    .await;
}

#[tokio::test]
async fn every_session_has_its_own_log_and_old_logs_keep_only_their_seals() {
    let bucket: Arc<InMemory> = Arc::default();
    for round in 0..3 {
        let store = opened(&bucket, round).await;
        put(&store, "k", "v").await;
        put(&store, "k", "w").await;
        // A snapshot and two changes; seals of the root and of what each earlier round left behind.
        let expected = usize::try_from(1 + round).unwrap();
        until("the clean-up", async || slots(&bucket).await == (3, expected)).await;
    }
    let store = opened(&bucket, 9).await;
    store.close().await.unwrap();
    let store = opened(&bucket, 10).await;
    until("the clean-up", async || slots(&bucket).await == (1, 6)).await;
    assert_eq!(value(&store, "k").await.unwrap(), "w");
}

#[tokio::test]
async fn a_log_that_grows_long_is_followed_by_a_new_one_of_the_same_session() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = handle(plain(&bucket), 1, rotating(4));
    let session = store.open_session(1).await.unwrap();
    for i in 0..50 {
        put(&store, &format!("k{}", i % 7), &i.to_string()).await;
        let (data, _) = slots(&bucket).await;
        assert!(data <= 4 + 2 + 4, "{data} data slots are kept");
    }
    let (_, seals) = slots(&bucket).await;
    assert!(seals > 10, "{seals}");
    drop(store);
    let store = handle(plain(&bucket), 2, rotating(4));
    let next = store.open_session(1).await.unwrap();
    assert!(next.epoch > session.epoch);
    assert_eq!(store.range("").await.unwrap().len(), 7);
    assert_eq!(value(&store, "k0").await.unwrap(), "49");
}

#[tokio::test]
async fn what_was_left_behind_is_cleaned_up_by_the_next_session() {
    let bucket: Arc<InMemory> = Arc::default();
    let stop_deletes = |call| {
        let stop = matches!(call, Call::Delete(_));
        futures::future::ready(if stop { Fate::Stop } else { Fate::Go }).boxed()
    };
    for seed in 0..3 {
        let store = handle(
            scripted(&bucket, stop_deletes),
            seed,
            BucketMetadataSettings::default(),
        );
        store.open_session(1).await.unwrap();
        put(&store, "k", "v").await;
    }
    assert_eq!(slots(&bucket).await, (6, 3));
    let _store = opened(&bucket, 9).await;
    until("the clean-up", async || slots(&bucket).await == (1, 4)).await;
}

#[tokio::test]
async fn epochs_are_above_what_the_caller_has_seen_elsewhere() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = handle(plain(&bucket), 1, BucketMetadataSettings::default()).with_epoch_above(41);
    assert_eq!(store.open_session(3).await.unwrap().epoch, 42);
    let store = handle(plain(&bucket), 2, BucketMetadataSettings::default()).with_epoch_above(7);
    let session = store.open_session(3).await.unwrap();
    assert_eq!((session.broker, session.epoch), (3, 43));
}

#[tokio::test]
async fn transactions_that_come_together_share_a_put() {
    let bucket: Arc<InMemory> = Arc::default();
    let puts = Arc::new(AtomicUsize::new(0));
    let count = puts.clone();
    let store = scripted(&bucket, move |call| {
        let put = matches!(call, Call::Put(_));
        let count = count.clone();
        async move {
            if put {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            Fate::Go
        }
        .boxed()
    });
    let store = handle(store, 1, BucketMetadataSettings::default());
    store.open_session(1).await.unwrap();
    let before = puts.load(Ordering::Relaxed);
    let commits = (0..200).map(|i| store.commit(Txn::new().put(format!("k{i}"), "v")));
    for outcome in futures::future::join_all(commits).await {
        assert!(outcome.unwrap().is_committed());
    }
    let used = puts.load(Ordering::Relaxed) - before;
    assert!(used <= 3, "{used} PUTs for 200 transactions");
    assert_eq!(store.range("k").await.unwrap().len(), 200);
    // Neither a conflict nor a barrier costs a PUT.
    let conflict = store
        .commit(Txn::new().expect("k1", Expect::Absent).put("k1", "w"))
        .await
        .unwrap();
    assert!(!conflict.is_committed());
    assert!(
        store
            .commit(Txn::new().expect("k1", Expect::Present))
            .await
            .unwrap()
            .is_committed()
    );
    assert_eq!(puts.load(Ordering::Relaxed) - before, used);
}

#[tokio::test(start_paused = true)]
async fn puts_keep_their_distance_where_they_cost_money() {
    let bucket: Arc<InMemory> = Arc::default();
    let settings = BucketMetadataSettings {
        flush_gap_ms: 100,
        ..BucketMetadataSettings::default()
    };
    let store = handle(plain(&bucket), 1, settings);
    store.open_session(1).await.unwrap();
    let clock = SimClock::new(0);
    let start = clock.elapsed();
    for i in 0..10 {
        put(&store, "k", &i.to_string()).await;
    }
    let took = clock.elapsed() - start;
    assert!(
        (Duration::from_millis(900)..Duration::from_millis(1100)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_acknowledged_and_nothing_is_lost() {
    let bucket: Arc<InMemory> = Arc::default();
    let away = Arc::new(AtomicBool::new(false));
    let is_away = away.clone();
    let store = scripted(&bucket, move |_| {
        let fate = if is_away.load(Ordering::Relaxed) {
            Fate::Fail
        } else {
            Fate::Go
        };
        futures::future::ready(fate).boxed()
    });
    let store = handle(
        store,
        1,
        BucketMetadataSettings {
            queue: 2,
            ..BucketMetadataSettings::default()
        },
    );
    store.open_session(1).await.unwrap();
    put(&store, "k", "before").await;
    away.store(true, Ordering::Relaxed);
    let numbered = store.commit(Txn::new().put("numbered", "v")).await;
    assert_eq!(numbered.unwrap_err().kind(), ErrorKind::Timeout);
    let commits = (0..20).map(|i| store.commit(Txn::new().put(format!("waited{i}"), "v")));
    for outcome in futures::future::join_all(commits).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert_eq!(value(&store, "k").await.unwrap(), "before", "reads are served");
    assert_eq!(store.range("").await.unwrap().len(), 1);
    away.store(false, Ordering::Relaxed);
    // The slot that was on its way keeps its bytes and lands; what was never numbered is gone.
    put(&store, "k", "after").await;
    assert_eq!(value(&store, "numbered").await.unwrap(), "v");
    let landed = store.range("").await.unwrap();
    assert_eq!(landed.len(), 2);
    drop(store);
    let store = opened(&bucket, 2).await;
    assert_eq!(store.range("").await.unwrap(), landed);
}

#[tokio::test(start_paused = true)]
async fn a_barrier_waits_for_the_change_before_it() {
    let bucket: Arc<InMemory> = Arc::default();
    let puts = Arc::new(AtomicUsize::new(0));
    let store = scripted(&bucket, move |call| {
        let slow = matches!(call, Call::Put(_)) && puts.fetch_add(1, Ordering::Relaxed) == 2;
        async move {
            if slow {
                SimClock::new(0).sleep(Duration::from_secs(3)).await;
            }
            Fate::Go
        }
        .boxed()
    });
    let settings = BucketMetadataSettings {
        commit_timeout_ms: 1_000,
        ..BucketMetadataSettings::default()
    };
    let store = handle(store, 1, settings);
    store.open_session(1).await.unwrap();
    let unknown = store.commit(Txn::new().put("k", "v")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Timeout);
    assert_eq!(value(&store, "k").await, None);
    let mut tries = 0;
    while let Err(error) = store.commit(Txn::new()).await {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        tries += 1;
    }
    assert!(tries > 0);
    assert_eq!(value(&store, "k").await.unwrap(), "v");
}

#[tokio::test]
async fn a_deposed_session_says_so_to_everyone_who_waits() {
    let bucket: Arc<InMemory> = Arc::default();
    let old = opened(&bucket, 1).await;
    put(&old, "k", "old").await;
    let new = opened(&bucket, 2).await;
    let commits = (0..10).map(|i| old.commit(Txn::new().put(format!("late{i}"), "v")));
    for outcome in futures::future::join_all(commits).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Fenced);
    }
    assert_eq!(old.get("k").await.unwrap_err().kind(), ErrorKind::Fenced);
    let lost = old.fenced().borrow().clone().unwrap();
    assert_eq!(lost.kind(), ErrorKind::Fenced);
    assert!(lost.message().contains("taken over"), "{lost}");
    old.close().await.unwrap();
    assert_eq!(new.range("late").await.unwrap(), []);
    put(&new, "k", "new").await;
}

/// The seal that names a log is all that is known of it: its owner has not come to write its snapshot.
#[tokio::test]
async fn a_log_without_a_snapshot_is_sealed_too_and_its_owner_does_not_open() {
    let bucket: Arc<InMemory> = Arc::default();
    let first = opened(&bucket, 1).await;
    put(&first, "k", "v").await;
    drop(first);
    // A second opener stops right before its snapshot.
    let (reached, resume) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let store = scripted(&bucket, {
        let (reached, resume) = (reached.clone(), resume.clone());
        let puts = Arc::new(AtomicUsize::new(0));
        move |call| {
            let snapshot = matches!(call, Call::Put(_)) && puts.fetch_add(1, Ordering::Relaxed) == 1;
            let (reached, resume) = (reached.clone(), resume.clone());
            async move {
                if snapshot {
                    reached.notify_one();
                    resume.notified().await;
                }
                Fate::Go
            }
            .boxed()
        }
    });
    let paused = tokio::spawn(async move {
        let store = handle(store, 2, BucketMetadataSettings::default());
        let opened = store.open_session(1).await.map_err(|e| e.kind());
        (
            opened,
            store.commit(Txn::new().put("k", "w")).await.map_err(|e| e.kind()),
        )
    });
    reached.notified().await;
    let third = opened(&bucket, 3).await;
    assert_eq!(value(&third, "k").await.unwrap(), "v");
    resume.notify_one();
    let (opened, committed) = paused.await.unwrap();
    assert_eq!(opened, Err(ErrorKind::Fenced));
    assert_eq!(committed, Err(ErrorKind::Fenced));
    put(&third, "k", "third").await;
}

#[tokio::test]
async fn missing_slots_are_damage_and_not_an_empty_cluster() {
    for victim in 0..3u64 {
        let bucket: Arc<InMemory> = Arc::default();
        let store = opened(&bucket, 1).await;
        put(&store, "a", "1").await;
        put(&store, "b", "1").await;
        put(&store, "c", "1").await;
        drop(store);
        let name = format!("{victim:020}.kfm");
        let key = keys(&bucket)
            .await
            .into_iter()
            .rfind(|key| key.ends_with(&name))
            .unwrap();
        bucket.delete(&Path::from(key)).await.unwrap();
        let store = handle(plain(&bucket), 2, BucketMetadataSettings::default());
        let error = store.open_session(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "slot {victim}: {error}");
        // It stays damage for whoever comes next.
        let store = handle(plain(&bucket), 3, BucketMetadataSettings::default());
        assert_eq!(
            store.open_session(1).await.unwrap_err().kind(),
            ErrorKind::Corrupt,
            "slot {victim}"
        );
    }
}

#[tokio::test]
async fn a_snapshot_that_was_deleted_with_its_log_is_damage() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = opened(&bucket, 1).await;
    put(&store, "a", "1").await;
    store.close().await.unwrap();
    let data: Vec<String> = keys(&bucket)
        .await
        .into_iter()
        .filter(|key| key.contains("00001-"))
        .collect();
    for key in data.iter().take(2) {
        bucket.delete(&Path::from(key.as_str())).await.unwrap();
    }
    assert_eq!(slots(&bucket).await, (0, 2), "only seals are left");
    let store = handle(plain(&bucket), 2, BucketMetadataSettings::default());
    let error = store.open_session(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn a_damaged_slot_is_named() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = opened(&bucket, 1).await;
    put(&store, "a", "1").await;
    drop(store);
    let key = keys(&bucket).await.pop().unwrap();
    let mut damaged = bytes(&bucket, &key).await.unwrap().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    bucket
        .put(&Path::from(key.as_str()), damaged.into())
        .await
        .unwrap();
    let store = handle(plain(&bucket), 2, BucketMetadataSettings::default());
    let error = store.open_session(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(&key), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for settings in [
        rotating(0),
        BucketMetadataSettings {
            queue: 0,
            ..BucketMetadataSettings::default()
        },
        BucketMetadataSettings {
            commit_timeout_ms: 0,
            ..BucketMetadataSettings::default()
        },
    ] {
        assert_eq!(settings.validate().unwrap_err().kind(), ErrorKind::Precondition);
    }
    BucketMetadataSettings::default().validate().unwrap();
}
