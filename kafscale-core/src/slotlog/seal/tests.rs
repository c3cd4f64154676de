use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use parking_lot::Mutex;

use super::*;
use crate::slotlog::test_store::{
    Call, Fate, bytes, keys, plain, put_next, scripted, sealer, test_log, writer,
};
use crate::slotlog::{LogView, SlotError, SlotWriter, read_log};

async fn take_over(store: &Store, epoch: u64) -> Sealed {
    seal(
        store,
        &test_log(),
        &sealer(epoch),
        &format!("log {epoch}"),
        Fetch::Whole,
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn an_empty_log_is_sealed_at_its_first_slot() {
    let store = plain(&Arc::default());
    let sealed = take_over(&store, 2).await;
    assert!(sealed.won);
    assert_eq!(
        sealed.read.view,
        LogView {
            trim: 0,
            end: 0,
            sealed: Some(0),
            slots: vec![]
        }
    );
    assert!(matches!(
        put_next(&writer(&store), 0).await,
        Err(SlotError::Fenced { .. })
    ));
}

#[tokio::test]
async fn whoever_comes_second_finds_the_seal_and_its_successor() {
    let store = plain(&Arc::default());
    put_next(&writer(&store), 0).await.unwrap();
    let first = take_over(&store, 2).await;
    let second = take_over(&store, 3).await;
    assert!(first.won && !second.won);
    assert_eq!(second.seal, first.seal);
    assert_eq!(second.seal.successor, "log 2");
    assert_eq!(second.read.view, first.read.view);
}

#[tokio::test]
async fn slots_that_land_beyond_the_seal_are_void() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = plain(&bucket);
    let writer = writer(&store);
    put_next(&writer, 0).await.unwrap();
    // Three slots are on their way; the first of them gets lost.
    let headers: Vec<SlotHeader> = (0..3).map(|_| writer.next_header(0)).collect();
    let put = async |header: &SlotHeader| {
        let bytes = Bytes::copy_from_slice(&header.encode());
        writer.put(header.slot, &[bytes], header.attempt).await
    };
    put(&headers[1]).await.unwrap();
    let sealed = take_over(&store, 2).await;
    assert_eq!(sealed.read.view.slots, [0]);
    put(&headers[2]).await.unwrap();
    assert!(matches!(put(&headers[0]).await, Err(SlotError::Fenced { .. })));
    let late = take_over(&store, 3).await;
    assert_eq!((late.read.view, late.seal), (sealed.read.view, sealed.seal));
}

#[tokio::test]
async fn the_walk_goes_past_what_landed_since_the_listing() {
    let bucket: Arc<InMemory> = Arc::default();
    let writer = Arc::new(writer(&plain(&bucket)));
    put_next(&writer, 0).await.unwrap();
    // The owner is faster by one slot, three times.
    let ahead = Arc::new(AtomicUsize::new(0));
    let store = scripted(&bucket, {
        let (writer, ahead) = (writer.clone(), ahead.clone());
        move |call| {
            let (writer, ahead) = (writer.clone(), ahead.clone());
            async move {
                if matches!(call, Call::Put(_)) && ahead.fetch_add(1, Ordering::Relaxed) < 3 {
                    put_next(&writer, 0).await.unwrap();
                }
                Fate::Go
            }
            .boxed()
        }
    });
    let sealed = take_over(&store, 2).await;
    assert!(sealed.won);
    assert_eq!(
        sealed.read.view,
        LogView {
            trim: 0,
            end: 4,
            sealed: Some(4),
            slots: vec![0, 1, 2, 3]
        }
    );
    assert!(matches!(
        put_next(&writer, 0).await,
        Err(SlotError::Fenced { .. })
    ));
}

#[tokio::test]
async fn a_sealer_that_is_slower_than_the_trimming_goes_on_from_the_trim_point() {
    let bucket: Arc<InMemory> = Arc::default();
    let writer = Arc::new(writer(&plain(&bucket)));
    for _ in 0..3 {
        put_next(&writer, 0).await.unwrap();
    }
    // Between the sealer's listing and its seal in slot 3 the owner writes slots 3 to 6 and trims all up to 5.
    let done = Arc::new(AtomicBool::new(false));
    let store = scripted(&bucket, {
        let (writer, bucket) = (writer.clone(), bucket.clone());
        move |call| {
            let (writer, bucket, done) = (writer.clone(), bucket.clone(), done.clone());
            async move {
                if matches!(call, Call::Put(_)) && !done.swap(true, Ordering::Relaxed) {
                    for trim in [0, 0, 0, 5] {
                        put_next(&writer, trim).await.unwrap();
                    }
                    for slot in 0..5 {
                        bucket.delete(&Path::from(test_log().key(slot))).await.unwrap();
                    }
                }
                Fate::Go
            }
            .boxed()
        }
    });
    let sealed = take_over(&store, 2).await;
    assert!(sealed.won);
    assert_eq!(
        sealed.read.view,
        LogView {
            trim: 5,
            end: 7,
            sealed: Some(7),
            slots: vec![5, 6]
        }
    );
    assert!(
        keys(&bucket).await.contains(&test_log().key(3)),
        "the seal that missed stays"
    );
    assert!(matches!(
        put_next(&writer, 0).await,
        Err(SlotError::Fenced { .. })
    ));
    // The data is trimmed by the new owner, the seals are not: the log's end does not move.
    for slot in [5, 6] {
        bucket.delete(&Path::from(test_log().key(slot))).await.unwrap();
    }
    let later = take_over(&plain(&bucket), 3).await;
    assert_eq!((later.read.view.end, later.won), (7, false));
    assert_eq!(later.seal, sealed.seal);
}

#[tokio::test]
async fn a_trimmed_slot_that_comes_back_changes_nothing() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = plain(&bucket);
    let writer = writer(&store);
    for _ in 0..3 {
        put_next(&writer, 0).await.unwrap();
    }
    let key = Path::from(test_log().key(1));
    let old = bucket.get(&key).await.unwrap().bytes().await.unwrap();
    put_next(&writer, 3).await.unwrap();
    for slot in 0..3 {
        bucket.delete(&Path::from(test_log().key(slot))).await.unwrap();
    }
    let before = read_log(&store, &test_log(), Fetch::Whole, Purpose::Recovery)
        .await
        .unwrap()
        .view;
    bucket
        .put_opts(&key, old.into(), PutOptions::from(PutMode::Create))
        .await
        .unwrap();
    let after = read_log(&store, &test_log(), Fetch::Whole, Purpose::Recovery)
        .await
        .unwrap()
        .view;
    assert_eq!(before, after);
    let sealed = take_over(&store, 2).await;
    assert_eq!(
        sealed.read.view,
        LogView {
            trim: 3,
            end: 4,
            sealed: Some(4),
            slots: vec![3]
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_seal_whose_answer_was_lost_is_still_ours() {
    let bucket: Arc<InMemory> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let store = scripted(&bucket, move |call| {
        let lose = matches!(call, Call::Put(_)) && calls.fetch_add(1, Ordering::Relaxed) == 0;
        futures::future::ready(if lose { Fate::LoseAnswer } else { Fate::Go }).boxed()
    });
    let sealed = take_over(&store, 2).await;
    assert!(sealed.won);
    assert_eq!(sealed.seal.header.epoch, 2);
}

/// What the actors of a random run saw.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<BTreeSet<u64>>,
    fenced: AtomicBool,
}

/// Every call of the store waits for a random number of turns; some answers are lost.
fn unsteady(bucket: &Arc<InMemory>, random: &Arc<Random>) -> Store {
    let random = random.clone();
    scripted(bucket, move |call| {
        let random = random.clone();
        async move {
            let turns = if random.u32().is_multiple_of(8) {
                60
            } else {
                random.u32() % 6
            };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            if matches!(call, Call::Put(_)) && random.u32().is_multiple_of(10) {
                Fate::LoseAnswer
            } else {
                Fate::Go
            }
        }
        .boxed()
    })
}

/// A writer with up to three slots on their way, which acknowledges in order, trims behind itself and sometimes repeats
/// an old PUT late.
async fn write(writer: SlotWriter, bucket: Arc<InMemory>, random: Arc<Random>, seen: Arc<Seen>) {
    let (mut in_flight, mut landed, mut next_ack, mut trims) =
        (FuturesUnordered::new(), BTreeSet::new(), 0, vec![]);
    let mut old = Vec::new();
    let mut trimmed = 0;
    loop {
        while in_flight.len() < 3 && writer.next_slot() < 24 && !seen.fenced.load(Ordering::Relaxed) {
            // All acknowledged slots may be trimmed: their records are in segments.
            let header = writer.next_header(if random.u32().is_multiple_of(3) {
                next_ack
            } else {
                0
            });
            let bytes = Bytes::copy_from_slice(&header.encode());
            trims.push(header.trim);
            old.push(bytes.clone());
            let writer = &writer;
            in_flight.push(async move {
                (
                    header.slot,
                    writer.put(header.slot, &[bytes], header.attempt).await,
                )
            });
        }
        let Some((slot, outcome)) = in_flight.next().await else {
            return;
        };
        match outcome {
            Ok(()) => landed.insert(slot),
            Err(SlotError::Fenced { .. }) => {
                seen.fenced.store(true, Ordering::Relaxed);
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        while landed.contains(&next_ack) {
            seen.acknowledged.lock().insert(next_ack);
            let trim = trims[usize::try_from(next_ack).unwrap()];
            next_ack += 1;
            for slot in trimmed..trim {
                bucket.delete(&Path::from(test_log().key(slot))).await.unwrap();
                tokio::task::yield_now().await;
            }
            if trim > 0 && random.u32().is_multiple_of(4) {
                let slot = u64::from(random.u32()) % trim;
                let payload = old[usize::try_from(slot).unwrap()].clone().into();
                let create = PutOptions::from(PutMode::Create);
                let _ = bucket
                    .put_opts(&Path::from(test_log().key(slot)), payload, create)
                    .await;
            }
            trimmed = trimmed.max(trim);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_random_interleavings_nothing_acknowledged_is_lost_and_all_sealers_agree() {
    let (mut missed, mut cut_short, mut raced) = (0, 0, 0);
    for seed in 0..400 {
        let bucket: Arc<InMemory> = Arc::default();
        let random = Arc::new(Random::seeded(seed));
        let seen = Arc::new(Seen::default());
        let store = unsteady(&bucket, &random);
        let owner = tokio::spawn(write(
            writer(&store),
            bucket.clone(),
            random.clone(),
            seen.clone(),
        ));
        let sealers: Vec<_> = (2..4)
            .map(|epoch| {
                let (store, random) = (store.clone(), random.clone());
                tokio::spawn(async move {
                    for _ in 0..random.u32() % 80 {
                        tokio::task::yield_now().await;
                    }
                    take_over(&store, epoch).await
                })
            })
            .collect();
        let mut sealed = Vec::new();
        for sealer in sealers {
            sealed.push(sealer.await.unwrap());
        }
        owner.await.unwrap();
        let last = read_log(&plain(&bucket), &test_log(), Fetch::Whole, Purpose::Recovery)
            .await
            .unwrap();
        let winners: BTreeSet<_> = sealed.iter().map(|s| s.seal.header.attempt).collect();
        assert_eq!(winners.len(), 1, "seed {seed}");
        assert_eq!(sealed.iter().filter(|s| s.won).count(), 1, "seed {seed}");
        assert_eq!(last.seal.as_ref(), Some(&sealed[0].seal), "seed {seed}");
        let acknowledged = seen.acknowledged.lock().clone();
        for read in sealed.iter().map(|s| &s.read).chain([&last]) {
            assert_eq!(read.view.end, last.view.end, "seed {seed}");
            for slot in &acknowledged {
                let kept = *slot < read.view.trim || read.view.slots.contains(slot);
                assert!(
                    *slot < read.view.end && kept,
                    "seed {seed}: slot {slot} in {:?}",
                    read.view
                );
            }
            let common = |view: &LogView| {
                let from = view.trim.max(last.view.trim);
                view.slots
                    .iter()
                    .copied()
                    .filter(|slot| *slot >= from)
                    .collect::<Vec<_>>()
            };
            if read.view.trim <= last.view.trim {
                assert_eq!(common(&read.view), common(&last.view), "seed {seed}");
            }
        }
        for (_, object) in last.objects.iter().filter(|(slot, _)| *slot < last.view.trim) {
            let kind = SlotHeader::parse(&bytes(&bucket, &object.key).await.unwrap())
                .unwrap()
                .kind;
            missed += usize::from(kind == SlotKind::Seal);
        }
        cut_short += usize::from(seen.fenced.load(Ordering::Relaxed));
        raced += usize::from(!last.view.slots.is_empty() && last.view.trim > 0);
    }
    // The runs must reach the cases that they are for.
    assert!(
        missed > 5 && cut_short > 100 && raced > 50,
        "{missed} {cut_short} {raced}"
    );
}
