use kafscale_core::format::segment;
use kafscale_core::store::Purpose;

use crate::world::*;

async fn fill(engine: &kafscale_core::Engine, topic: kafscale_core::TopicId, range: std::ops::Range<i64>) {
    for n in range {
        append(engine, topic, 0, batch(&[&format!("v{n}")]))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_full_partition_is_cut_into_segments_that_read_like_the_log() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create_with(&engine, "orders", 1, &[("segment.bytes", "500")]).await;
    fill(&engine, topic, 0..40).await;
    until(|| async { world.keys(".kfs").await.len() >= 4 }).await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..40));
    for key in world.keys(".kfs").await {
        let bytes = world.store().get(&key, Purpose::Recovery).await.unwrap().unwrap();
        segment::verify(&bytes).unwrap();
        assert_eq!(world.keys(&key.replace(".kfs", ".index")).await.len(), 1);
    }
    drop(engine);
    let engine = world.open().await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..40));
    fill(&engine, topic, 40..50).await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..50));
}

#[tokio::test]
async fn log_objects_go_when_all_their_records_are_in_segments() {
    let mut world = World::new();
    world.settings.segment.max_age_ms = 1;
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    fill(&engine, topic, 0..20).await;
    // What is left are slots without records that carry the trim point.
    until(|| async { world.keys(".kfw").await.len() <= 2 }).await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..20));
    assert_eq!(world.keys("/state-").await.len(), 1);
    drop(engine);
    let engine = world.open().await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..20));
    fill(&engine, topic, 20..25).await;
    until(|| async { world.keys(".kfs").await.len() >= 2 }).await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..25));
}

#[tokio::test]
async fn a_backlog_over_its_limit_is_cut_whatever_the_partitions_hold() {
    let mut world = World::new();
    world.settings.wal.max_backlog_objects = 10;
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    fill(&engine, topic, 0..60).await;
    until(|| async { world.keys(".kfw").await.len() <= 12 }).await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..60));
}

#[tokio::test]
async fn a_segment_that_was_written_before_a_crash_is_adopted() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    fill(&engine, topic, 0..3).await;
    drop(engine);
    // What a crash between the segment and its record leaves: an earlier life cut the first two records.
    let bytes = {
        let engine = world.open().await;
        fetch(&engine, topic, 0, 0).await.unwrap().records.concat()
    };
    let two = kafscale_core::format::batch::skip_to_offset(&bytes, 2)
        .unwrap()
        .unwrap();
    let built = segment::build_segment(&[bytes[..two].to_vec().into()], 1, 100).unwrap();
    let key = "default/orders/0/segment-00000000000000000000.kfs";
    world
        .store()
        .overwrite(key, built.payload.concat().into(), Purpose::Segment)
        .await
        .unwrap();

    let mut world = world;
    world.settings.segment.max_age_ms = 1;
    let engine = world.open().await;
    until(|| async { world.keys(".kfs").await.len() == 2 }).await;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..3));
    drop(engine);
    assert_eq!(read_all(&world.open().await, topic, 0).await, numbered(0..3));
}

#[tokio::test]
async fn a_foreign_segment_stops_the_partition_and_is_never_shown() {
    let mut world = World::new();
    world.settings.segment.max_age_ms = 1;
    let foreign = segment::build_segment(&[batch(&["foreign"])], 1, 100).unwrap();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 2).await;
    let key = "default/orders/0/segment-00000000000000000000.kfs";
    world
        .store()
        .overwrite(key, foreign.payload.concat().into(), Purpose::Segment)
        .await
        .unwrap();
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    until(|| async { append(&engine, topic, 0, batch(&["more"])).await.is_err() }).await;
    let error = fetch(&engine, topic, 0, 0).await.unwrap_err();
    assert_eq!(error.kind(), kafscale_core::ErrorKind::Corrupt);
    assert!(error.to_string().contains(key), "{error}");
    append(&engine, topic, 1, batch(&["v0"])).await.unwrap();
}

#[tokio::test]
async fn a_missing_or_damaged_segment_is_an_error_that_names_it_and_the_rest_stays_readable() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create_with(&engine, "orders", 1, &[("segment.bytes", "200")]).await;
    fill(&engine, topic, 0..12).await;
    until(|| async { world.keys(".kfs").await.len() >= 3 }).await;
    drop(engine);
    let second = world.keys(".kfs").await.remove(1);
    world
        .store()
        .delete(vec![second.clone()], Purpose::Delete)
        .await
        .unwrap();
    let engine = world.open().await;
    let hole: i64 = second[second.len() - 24..second.len() - 4].parse().unwrap();
    let error = fetch(&engine, topic, 0, hole).await.unwrap_err();
    assert_eq!(error.kind(), kafscale_core::ErrorKind::Corrupt);
    assert!(error.to_string().contains("orders"), "{error}");
    assert_eq!(values(&fetch(&engine, topic, 0, 0).await.unwrap(), 0)[0].1, "v0");
    assert_eq!(
        values(&fetch(&engine, topic, 0, 11).await.unwrap(), 11),
        numbered(11..12)
    );
}

#[tokio::test]
async fn offsets_are_found_by_time_in_segments() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create_with(&engine, "orders", 1, &[("segment.bytes", "200")]).await;
    for _ in 0..4 {
        append(&engine, topic, 0, batch(&["a", "b", "c"])).await.unwrap();
    }
    until(|| async { !world.keys(".kfs").await.is_empty() }).await;
    drop(engine);
    let engine = world.open().await;
    let found = engine
        .list_offsets(topic, 0, kafscale_core::OffsetSpec::Timestamp(1_002))
        .await
        .unwrap();
    assert_eq!((found.offset, found.timestamp), (2, 1_002));
}
