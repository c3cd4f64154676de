use std::time::Duration;

use kafscale_core::store::{Operation, Purpose};
use kafscale_core::{ErrorKind, FetchPartition, FetchRequest, OffsetSpec};

use crate::world::*;

#[tokio::test]
async fn an_offset_outside_the_log_is_refused() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    for offset in [-1, 2, i64::MAX] {
        assert_eq!(
            fetch(&engine, topic, 0, offset).await.unwrap_err().kind(),
            ErrorKind::OffsetOutOfRange
        );
    }
    assert!(fetch(&engine, topic, 0, 1).await.unwrap().is_empty());
    assert_eq!(
        fetch(&engine, topic, 7, 0).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_long_poll_ends_when_records_come() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    let reader = engine.clone();
    let poll =
        tokio::spawn(async move { fetch_with(&reader, topic, 0, 0, 1 << 20, Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!poll.is_finished());
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    let fetched = tokio::time::timeout(Duration::from_secs(5), poll)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(values(&fetched, 0), numbered(0..1));
}

#[tokio::test]
async fn a_read_gives_at_least_one_batch_and_otherwise_keeps_to_its_size() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 2).await;
    for n in 0..10 {
        append(&engine, topic, 0, batch(&[&format!("v{n}")]))
            .await
            .unwrap();
        append(&engine, topic, 1, batch(&["x"])).await.unwrap();
    }
    let one = batch(&["v0"]).len();
    let fetched = fetch_with(&engine, topic, 0, 3, 1, Duration::ZERO).await.unwrap();
    assert_eq!(values(&fetched, 3), numbered(3..4));
    let fetched = fetch_with(&engine, topic, 0, 3, 2 * one, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(values(&fetched, 3), numbered(3..5));
    // The size of the whole request holds over its partitions.
    let wanted = |partition| FetchPartition {
        topic,
        partition,
        offset: 0,
        max_bytes: 1 << 20,
    };
    let request = FetchRequest {
        partitions: vec![wanted(0), wanted(1)],
        max_bytes: one,
        min_bytes: 1,
        max_wait: Duration::ZERO,
    };
    let answers = engine.fetch(request).await;
    assert_eq!(values(answers[0].as_ref().unwrap(), 0), numbered(0..1));
    assert!(answers[1].as_ref().unwrap().is_empty());
}

#[tokio::test]
async fn tailing_readers_cost_no_get() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    let gets = |purpose| world.metrics.requests(Operation::Get, purpose);
    let before = gets(Purpose::Tail) + gets(Purpose::CatchUp);
    for n in 0..50 {
        append(&engine, topic, 0, batch(&[&format!("v{n}")]))
            .await
            .unwrap();
        assert_eq!(values(&fetch(&engine, topic, 0, n).await.unwrap(), n).len(), 1);
    }
    assert_eq!(gets(Purpose::Tail) + gets(Purpose::CatchUp), before);
}

#[tokio::test]
async fn a_tail_that_is_no_longer_in_memory_is_read_from_the_log() {
    let mut world = World::new();
    world.settings.memory.tail_bytes = 0;
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    for n in 0..20 {
        append(&engine, topic, 0, batch(&[&format!("v{n}")]))
            .await
            .unwrap();
    }
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..20));
    assert!(world.metrics.requests(Operation::Get, Purpose::Tail) > 0);
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["a", "b", "c"])).await.unwrap();
    let find = |spec| engine.list_offsets(topic, 0, spec);
    assert_eq!(find(OffsetSpec::Earliest).await.unwrap().offset, 0);
    assert_eq!(find(OffsetSpec::Latest).await.unwrap().offset, 3);
    let found = find(OffsetSpec::Timestamp(1_001)).await.unwrap();
    assert_eq!((found.offset, found.timestamp), (1, 1_001));
    assert_eq!(find(OffsetSpec::Timestamp(9_999)).await.unwrap().offset, -1);
    let found = find(OffsetSpec::MaxTimestamp).await.unwrap();
    assert_eq!((found.offset, found.timestamp), (2, 1_002));
}
