use std::time::Duration;

use kafscale_core::ErrorKind;
use kafscale_core::store::{Operation, Purpose};

use crate::world::*;

#[tokio::test]
async fn a_record_is_acknowledged_once_it_is_in_the_bucket_and_read_back() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 2).await;
    assert_eq!(append(&engine, topic, 1, batch(&["v0", "v1"])).await.unwrap(), 0);
    assert_eq!(append(&engine, topic, 1, batch(&["v2"])).await.unwrap(), 2);
    assert_eq!(read_all(&engine, topic, 1).await, numbered(0..3));
    assert_eq!(read_all(&engine, topic, 0).await, []);
    assert!(!world.keys("/wal/").await.is_empty());
}

#[tokio::test]
async fn one_flush_is_one_put_whatever_the_number_of_partitions() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 200).await;
    // The first append starts a flush at once; the others gather behind it.
    let mut waiting = Vec::new();
    for partition in 0..200 {
        waiting.push(
            engine
                .append(topic, partition, batch(&["x"]), WAIT)
                .await
                .unwrap(),
        );
    }
    for appended in waiting {
        appended.durable().await.unwrap();
    }
    let puts = world.metrics.requests(Operation::Create, Purpose::Wal);
    assert!(puts <= 4, "{puts} PUTs for 200 partitions");
}

#[tokio::test]
async fn several_batches_in_one_append_each_get_their_offsets() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    let two = [batch(&["v0", "v1"]), batch(&["v2"])].concat();
    assert_eq!(append(&engine, topic, 0, two.into()).await.unwrap(), 0);
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..3));
}

#[tokio::test]
async fn broken_batches_are_refused_and_take_no_offset() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    let good = batch(&["v0"]);
    let mut bad_crc = good.to_vec();
    *bad_crc.last_mut().unwrap() ^= 1;
    let mut old_magic = good.to_vec();
    old_magic[16] = 1;
    let cut_off = good.slice(..good.len() - 1);
    let one_bad = [&good[..], &bad_crc[..]].concat();
    for (records, kind) in [
        (bad_crc.clone().into(), ErrorKind::CorruptBatch),
        (old_magic.into(), ErrorKind::UnsupportedFormat),
        (cut_off, ErrorKind::CorruptBatch),
        (one_bad.into(), ErrorKind::CorruptBatch),
        (bytes::Bytes::new(), ErrorKind::InvalidRecord),
    ] {
        assert_eq!(append(&engine, topic, 0, records).await.unwrap_err().kind(), kind);
    }
    assert_eq!(append(&engine, topic, 0, good).await.unwrap(), 0);
}

#[tokio::test]
async fn a_batch_larger_than_the_topic_allows_is_refused() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create_with(&engine, "orders", 1, &[("max.message.bytes", "100")]).await;
    let large = batch(&["0123456789012345678901234567890123456789"]);
    assert_eq!(
        append(&engine, topic, 0, large).await.unwrap_err().kind(),
        ErrorKind::TooLarge
    );
}

#[tokio::test]
async fn closing_writes_what_nobody_waits_for() {
    let mut world = World::new();
    world.settings.wal.flush_interval_ms = 60_000;
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    for n in 0..3 {
        let options = kafscale_core::AppendOptions { wait: false };
        engine
            .append(topic, 0, batch(&[&format!("v{n}")]), options)
            .await
            .unwrap();
    }
    assert_eq!(fetch(&engine, topic, 0, 0).await.unwrap().high_watermark, 0);
    engine.close().await.unwrap();
    assert_eq!(
        append(&engine, topic, 0, batch(&["late"]))
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Closed
    );
    drop(engine);
    let engine = world.open().await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..3));
}

#[tokio::test]
async fn what_nobody_waits_for_is_written_after_the_flush_interval() {
    let mut world = World::new();
    world.settings.wal.flush_interval_ms = 20;
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    let options = kafscale_core::AppendOptions { wait: false };
    engine.append(topic, 0, batch(&["v0"]), options).await.unwrap();
    let fetched = fetch_with(&engine, topic, 0, 0, 1 << 20, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(values(&fetched, 0), numbered(0..1));
}

#[tokio::test]
async fn broker_time_replaces_the_producers_where_the_topic_asks_for_it() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create_with(
        &engine,
        "orders",
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    )
    .await;
    let appended = engine.append(topic, 0, batch(&["v0"]), WAIT).await.unwrap();
    let time = appended.log_append_time_ms.unwrap();
    appended.durable().await.unwrap();
    let listed = engine
        .list_offsets(topic, 0, kafscale_core::OffsetSpec::Timestamp(time))
        .await
        .unwrap();
    assert_eq!((listed.offset, listed.timestamp), (0, time));
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..1));
}
