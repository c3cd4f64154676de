use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use object_store::memory::InMemory;

use super::*;
use crate::slotlog::test_store::{
    Call, Fate, bytes, plain, put_next, scripted, sealer, session, test_log, writer,
};
use crate::slotlog::{Fetch, seal};

#[tokio::test]
async fn slots_are_numbered_and_trim_points_never_fall() {
    let writer = writer(&plain(&Arc::default()));
    let headers: Vec<_> = [0, 2, 1, 5, 0]
        .into_iter()
        .map(|trim| writer.next_header(trim))
        .collect();
    assert_eq!(
        headers.iter().map(|h| h.slot).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    assert_eq!(
        headers.iter().map(|h| h.trim).collect::<Vec<_>>(),
        [0, 2, 2, 5, 5]
    );
    assert!(
        headers
            .iter()
            .all(|h| h.kind == SlotKind::Data && h.writer == 1 && h.epoch == 1 && h.nonce == 0xa)
    );
    assert_ne!(headers[0].attempt, headers[1].attempt);
    assert_eq!(writer.next_slot(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_slot_whose_answer_was_lost_is_still_ours() {
    let bucket: Arc<InMemory> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let store = scripted(&bucket, move |call| {
        let lose = matches!(call, Call::Put(_)) && count.fetch_add(1, Ordering::Relaxed) < 3;
        futures::future::ready(if lose { Fate::LoseAnswer } else { Fate::Go }).boxed()
    });
    let writer = writer(&store);
    assert_eq!(put_next(&writer, 0).await.unwrap(), 0);
    assert!(calls.load(Ordering::Relaxed) >= 2, "the PUT was sent again");
    assert_eq!(put_next(&writer, 0).await.unwrap(), 1);
    let header = SlotHeader::parse(&bytes(&bucket, &test_log().key(0)).await.unwrap()).unwrap();
    assert_eq!((header.slot, header.epoch), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_put_until_the_store_takes_it() {
    let bucket: Arc<InMemory> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let store = scripted(&bucket, move |call| {
        let fail = matches!(call, Call::Put(_)) && count.fetch_add(1, Ordering::Relaxed) < 200;
        futures::future::ready(if fail { Fate::Fail } else { Fate::Go }).boxed()
    });
    put_next(&writer(&store), 0).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 201);
}

#[tokio::test]
async fn a_seal_in_its_slot_fences_the_writer() {
    let store = plain(&Arc::default());
    let writer = writer(&store);
    put_next(&writer, 0).await.unwrap();
    let sealed = seal(&store, &test_log(), &sealer(2), "the next log", Fetch::Header)
        .await
        .unwrap();
    assert_eq!(sealed.read.view.sealed, Some(1));
    let error = put_next(&writer, 0).await.unwrap_err();
    let SlotError::Fenced { key, seal } = &error else {
        panic!("{error}")
    };
    assert_eq!(*key, test_log().key(1));
    assert_eq!(seal.successor, "the next log");
    assert_eq!(seal.header.epoch, 2);
    assert_eq!(Error::from(error).kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn another_writers_data_stops_the_writer_loudly() {
    let store = plain(&Arc::default());
    let clock: Arc<dyn Clock> = Arc::new(crate::clock::SimClock::new(0));
    let twin = |seed| {
        let random = Arc::new(Random::seeded(seed));
        SlotWriter::new(
            store.clone(),
            test_log(),
            session(1),
            clock.clone(),
            random,
            Purpose::Wal,
        )
    };
    put_next(&twin(1), 0).await.unwrap();
    let error = put_next(&twin(2), 0).await.unwrap_err();
    assert!(matches!(error, SlotError::TwoWriters { .. }), "{error}");
    assert_eq!(Error::from(error).kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn rubbish_in_its_slot_stops_the_writer_loudly() {
    let store = plain(&Arc::default());
    let purpose = Purpose::Wal;
    store
        .create(
            &test_log().key(0),
            &[Bytes::from("rubbish")],
            None,
            CreateLimit::UntilKnown,
            purpose,
        )
        .await
        .unwrap();
    let error = put_next(&writer(&store), 0).await.unwrap_err();
    assert!(matches!(error, SlotError::TwoWriters { .. }), "{error}");
}

#[tokio::test]
async fn an_owner_seals_its_own_log() {
    let store = plain(&Arc::default());
    let writer = writer(&store);
    put_next(&writer, 0).await.unwrap();
    writer.seal("").await.unwrap();
    let found = seal(&store, &test_log(), &sealer(2), "other", Fetch::Whole)
        .await
        .unwrap();
    assert!(!found.won);
    assert_eq!((found.seal.successor.as_str(), found.seal.header.epoch), ("", 1));
    assert_eq!(found.read.view.slots, [0]);
    assert!(
        matches!(put_next(&writer, 0).await, Ok(2)),
        "a writer that goes on after its own seal writes void slots"
    );
    let again = seal(&store, &test_log(), &sealer(3), "other", Fetch::Whole)
        .await
        .unwrap();
    assert_eq!(again.read.view, found.read.view);
}
