use kafscale_core::ErrorKind;

use crate::world::*;

#[tokio::test]
async fn a_repeated_batch_gets_its_first_offset_and_is_stored_once() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    let producer = engine.allocate_producer_id().await.unwrap();
    assert_eq!(
        append(&engine, topic, 0, sequenced(producer, 0, &["v0", "v1"]))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        append(&engine, topic, 0, sequenced(producer, 0, &["v0", "v1"]))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        append(&engine, topic, 0, sequenced(producer, 2, &["v2"]))
            .await
            .unwrap(),
        2
    );
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..3));
}

#[tokio::test]
async fn a_gap_in_the_sequence_is_refused() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap();
    let error = append(&engine, topic, 0, sequenced(9, 2, &["v2"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfOrderSequence);
}

#[tokio::test]
async fn a_repeat_after_a_crash_is_recognised() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, sequenced(9, 0, &["v0", "v1"]))
        .await
        .unwrap();
    drop(engine);
    let engine = world.open().await;
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 0, &["v0", "v1"]))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 2, &["v2"])).await.unwrap(),
        2
    );
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..3));
}

#[tokio::test]
async fn a_repeat_is_recognised_after_its_log_objects_were_trimmed_and_the_engine_crashed() {
    let mut world = World::new();
    world.settings.segment.max_age_ms = 1;
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, sequenced(9, 0, &["v0", "v1"]))
        .await
        .unwrap();
    until(|| async { world.keys("/state-").await.len() == 1 && world.keys(".kfs").await.len() == 1 }).await;
    until(|| async { world.keys("00000000000000000000.kfw").await.is_empty() }).await;
    drop(engine);
    let engine = world.open().await;
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 0, &["v0", "v1"]))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 2, &["v2"])).await.unwrap(),
        2
    );
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..3));
}

#[tokio::test]
async fn producer_ids_are_never_handed_out_twice() {
    let world = World::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        let engine = world.open().await;
        for _ in 0..10 {
            let id = engine.allocate_producer_id().await.unwrap();
            assert!(id >= 0);
            assert!(seen.insert(id));
        }
    }
}
