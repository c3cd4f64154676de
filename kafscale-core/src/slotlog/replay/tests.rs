use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::*;
use crate::format::batch::BatchHeader;
use crate::format::keys::SessionId;
use crate::format::wal_object::{WalObjectBuilder, WalSizeHint};
use crate::random::Random;
use crate::slotlog::test_store::{Call, Fate, plain, put_next, scripted, sealer, test_log, writer};
use crate::slotlog::{SlotWriter, seal};

async fn delete(bucket: &InMemory, slots: impl IntoIterator<Item = u64>) {
    for slot in slots {
        bucket.delete(&Path::from(test_log().key(slot))).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_is_read_in_order_with_what_was_asked_for() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = plain(&bucket);
    let writer = writer(&store);
    for trim in [0, 0, 0, 2, 2] {
        put_next(&writer, trim).await.unwrap();
    }
    delete(&bucket, [0]).await;
    for fetch in [Fetch::Header, Fetch::Whole] {
        let read = read_log(&store, &test_log(), fetch, Purpose::Recovery)
            .await
            .unwrap();
        assert_eq!(
            read.view,
            LogView {
                trim: 2,
                end: 5,
                sealed: None,
                slots: vec![2, 3, 4]
            }
        );
        assert_eq!(read.slots.iter().map(|s| s.slot).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(
            read.slots
                .iter()
                .all(|s| s.bytes.len() as u64 == s.object.size && s.header.slot == s.slot)
        );
        assert_eq!(
            read.objects.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
        assert!(read.seal.is_none());
    }
}

#[tokio::test]
async fn objects_that_are_no_slots_are_left_alone() {
    let bucket: Arc<InMemory> = Arc::default();
    let store = plain(&bucket);
    put_next(&writer(&store), 0).await.unwrap();
    for name in [
        "state-00000000000000000000.kfp",
        "1.kfm",
        "00000000000000000001.kfw",
        "x/00000000000000000001.kfm",
    ] {
        let key = format!("{}{name}", test_log().prefix);
        bucket
            .put(&Path::from(key), PutPayload::from_static(b"rubbish"))
            .await
            .unwrap();
    }
    let read = read_log(&store, &test_log(), Fetch::Whole, Purpose::Recovery)
        .await
        .unwrap();
    assert_eq!(read.view.slots, [0]);
    assert_eq!(read.objects.len(), 1);
}

#[tokio::test]
async fn what_lies_below_the_trim_point_is_not_read() {
    let bucket: Arc<InMemory> = Arc::default();
    let plain = plain(&bucket);
    let writer = writer(&plain);
    for slot in 0..100 {
        put_next(&writer, if slot < 95 { 0 } else { 90 }).await.unwrap();
    }
    let gets = Arc::new(AtomicUsize::new(0));
    let count = gets.clone();
    let store = scripted(&bucket, move |call| {
        if matches!(call, Call::Get(_)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        futures::future::ready(Fate::Go).boxed()
    });
    let read = read_log(&store, &test_log(), Fetch::Header, Purpose::Recovery)
        .await
        .unwrap();
    assert_eq!((read.view.trim, read.view.end), (90, 100));
    assert_eq!(
        gets.load(Ordering::Relaxed),
        10,
        "each slot that counts once, and no other"
    );
}

#[tokio::test]
async fn a_slot_that_vanishes_while_it_is_read_means_start_again() {
    let bucket: Arc<InMemory> = Arc::default();
    let plain = plain(&bucket);
    let writer = Arc::new(writer(&plain));
    for _ in 0..6 {
        put_next(&writer, 0).await.unwrap();
    }
    let trimmed = Arc::new(AtomicUsize::new(0));
    let store = scripted(&bucket, {
        let (bucket, writer, trimmed) = (bucket.clone(), writer.clone(), trimmed.clone());
        move |call| {
            let (bucket, writer, trimmed) = (bucket.clone(), writer.clone(), trimmed.clone());
            async move {
                // The owner trims just when slot 2 is about to be read.
                if call == Call::Get(test_log().key(2)) && trimmed.fetch_add(1, Ordering::Relaxed) == 0 {
                    put_next(&writer, 4).await.unwrap();
                    delete(&bucket, 0..4).await;
                }
                Fate::Go
            }
            .boxed()
        }
    });
    let read = read_log(&store, &test_log(), Fetch::Whole, Purpose::Recovery)
        .await
        .unwrap();
    assert_eq!(trimmed.load(Ordering::Relaxed), 1);
    assert_eq!(
        read.view,
        LogView {
            trim: 4,
            end: 7,
            sealed: None,
            slots: vec![4, 5, 6]
        }
    );
}

#[tokio::test]
async fn an_object_that_is_not_what_its_key_says_is_named() {
    let rubbish = PutPayload::from_static(b"rubbish");
    let header = writer(&plain(&Arc::default())).next_header(0).encode();
    for (slot, payload) in [(0, rubbish), (1, Bytes::copy_from_slice(&header).into())] {
        let bucket: Arc<InMemory> = Arc::default();
        let key = test_log().key(slot);
        bucket.put(&Path::from(key.as_str()), payload).await.unwrap();
        let error = read_log(&plain(&bucket), &test_log(), Fetch::Whole, Purpose::Recovery)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains(&key), "{error}");
    }
}

#[tokio::test]
async fn the_tails_of_a_write_ahead_log_are_enough_to_read_it() {
    let store = plain(&Arc::default());
    let log = LogName::wal(
        "default",
        SessionId {
            broker: 1,
            epoch: 1,
            nonce: 0xa,
        },
    );
    let clock = Arc::new(crate::clock::SimClock::new(0));
    let session = SessionId {
        broker: 1,
        epoch: 1,
        nonce: 0xa,
    };
    let random = Arc::new(Random::seeded(1));
    let writer = SlotWriter::new(store.clone(), log.clone(), session, clock, random, Purpose::Wal);
    // Small objects come whole, large ones with a footer inside and one outside of what is fetched first.
    for runs in [0i64, 200, 20, 1] {
        let header = writer.next_header(0);
        let hint = WalSizeHint::default();
        let mut object = WalObjectBuilder::new(header, hint).unwrap();
        for run in 0..runs {
            object.begin_run(crate::TopicId([1; 16]), "orders", i32::try_from(run).unwrap(), 0);
            object.push_batch(&batch(), run * 10).unwrap();
        }
        let (bytes, _) = object.finish().unwrap();
        writer.put(header.slot, &[bytes], header.attempt).await.unwrap();
    }
    let sealed = seal(&store, &log, &sealer(2), "next", Fetch::WalTail(1))
        .await
        .unwrap();
    assert!(sealed.won);
    assert_eq!(sealed.read.view.slots, [0, 1, 2, 3]);
    let runs: Vec<usize> = sealed
        .read
        .slots
        .iter()
        .map(
            |slot| match WalFooter::parse_tail(&slot.bytes, slot.object.size).unwrap() {
                ParseTail::Footer(footer) => footer.runs.len(),
                ParseTail::NeedMore { .. } => panic!("slot {} lacks a part of its footer", slot.slot),
            },
        )
        .collect();
    assert_eq!(runs, [0, 200, 20, 1]);
    let large = &sealed.read.slots[1];
    assert!(
        (large.bytes.len() as u64) < large.object.size,
        "not the whole object"
    );
}

/// A batch of ten records whose bytes nobody here looks into.
fn batch() -> Vec<u8> {
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 49 + 100,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: 9,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 10,
    };
    [header.encode().as_slice(), &[0; 100]].concat()
}
