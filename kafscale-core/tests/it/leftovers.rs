//! Nothing is kept for ever that nothing needs, and nothing that is needed goes.

use std::time::Duration;

use kafscale_core::ErrorKind;
use kafscale_core::store::Operation;
use kafscale_core::testing::fault_store::{Fault, FaultError, FaultRule, GateAt};

use crate::crash_world::Bucket;
use crate::world::*;

fn cutting() -> Bucket {
    let mut bucket = Bucket::new();
    bucket.settings.segment.max_age_ms = 20;
    bucket.settings.segment.delete_grace_ms = 1;
    bucket
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Log objects with records in them.
async fn log_objects(bucket: &Bucket) -> usize {
    bucket.keys(".kfw").await.len()
}

#[tokio::test(start_paused = true)]
async fn an_append_on_its_way_when_its_topic_is_deleted_does_not_hold_the_log_back() {
    let bucket = cutting();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let (gone, kept) = (create(&engine, "gone", 1).await, create(&engine, "kept", 1).await);
    let gate = control.gate(GateAt::Request, Some(Operation::Create), ".kfw");
    let in_flight = engine.append(gone, 0, batch(&["x"]), WAIT).await.unwrap();
    gate.wait_for(1).await;
    engine.delete_topic("gone").await.unwrap();
    gate.open();
    assert_eq!(in_flight.durable().await.unwrap_err().kind(), ErrorKind::NotFound);
    for n in 0..20 {
        append(&engine, kept, 0, batch(&[&format!("v{n}")]))
            .await
            .unwrap();
    }
    settle().await;
    assert!(log_objects(&bucket).await <= 2, "{:?}", bucket.keys(".kfw").await);
    assert_eq!(read_all(&engine, kept, 0).await, numbered(0..20));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_a_start_finishes_does_not_hold_earlier_logs_back() {
    let bucket = cutting();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let (gone, kept) = (create(&engine, "gone", 1).await, create(&engine, "kept", 1).await);
    append(&engine, gone, 0, batch(&["cut"])).await.unwrap();
    settle().await;
    let _no_cut = control.gate(GateAt::Request, Some(Operation::Put), ".index");
    append(&engine, gone, 0, batch(&["x"])).await.unwrap();
    append(&engine, kept, 0, batch(&["v0"])).await.unwrap();
    let half_way = control.gate(GateAt::Request, Some(Operation::Put), ".kft");
    let deletion = engine.delete_topic("gone");
    tokio::select! {
        _ = deletion => panic!("the deletion is not cut short"),
        () = half_way.wait_for(1) => {}
    }
    drop(engine);
    let engine = bucket.reopen().await;
    assert!(engine.topic("gone").is_none());
    append(&engine, kept, 0, batch(&["v1"])).await.unwrap();
    settle().await;
    // The seal of the first log, and the carrier of the trim point.
    assert!(log_objects(&bucket).await <= 3, "{:?}", bucket.keys(".kfw").await);
    assert_eq!(read_all(&engine, kept, 0).await, numbered(0..2));
}

#[tokio::test(start_paused = true)]
async fn deleting_a_topic_that_nobody_has_used_since_the_start_lets_its_records_go() {
    let bucket = cutting();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let (gone, kept) = (create(&engine, "gone", 1).await, create(&engine, "kept", 1).await);
    let _no_cut = control.gate(GateAt::Request, Some(Operation::Put), ".index");
    append(&engine, gone, 0, batch(&["x"])).await.unwrap();
    append(&engine, kept, 0, batch(&["v0"])).await.unwrap();
    drop(engine);
    let (store, control) = bucket.door();
    // The first listing of the partition waits, so that it is not in order when the topic goes.
    let listing = control.gate(GateAt::Request, Some(Operation::List), "gone/0");
    let engine = bucket.open(store).await.unwrap();
    let engine_too = engine.clone();
    let first_use = tokio::spawn(async move { append(&engine_too, gone, 0, batch(&["y"])).await });
    listing.wait_for(1).await;
    engine.delete_topic("gone").await.unwrap();
    listing.open();
    assert_eq!(first_use.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    append(&engine, kept, 0, batch(&["v1"])).await.unwrap();
    settle().await;
    assert!(log_objects(&bucket).await <= 3, "{:?}", bucket.keys(".kfw").await);
    assert_eq!(read_all(&engine, kept, 0).await, numbered(0..2));
}

#[tokio::test(start_paused = true)]
async fn an_idle_engine_spends_no_requests_on_its_log() {
    let bucket = cutting();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    settle().await;
    control.forget_calls();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(control.calls(), []);
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..1));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_damaged_partition_is_kept_until_it_is_mended() {
    let bucket = cutting();
    let engine = bucket.reopen().await;
    let (hurt, other) = (
        create(&engine, "hurt", 1).await,
        create(&engine, "other", 1).await,
    );
    append(&engine, hurt, 0, sequenced(9, 0, &["v0"])).await.unwrap();
    settle().await;
    append(&engine, hurt, 0, sequenced(9, 1, &["v1"])).await.unwrap();
    settle().await;
    engine.close().await.unwrap();
    drop(engine);
    // The metadata is lost and so is the newest segment; somebody has kept a copy of that.
    bucket.delete(bucket.keys("/meta/").await).await;
    let newest = bucket.keys(".kfs").await.pop().unwrap();
    let store = bucket.plain();
    let copy = store
        .get(&newest, kafscale_core::store::Purpose::Recovery)
        .await
        .unwrap()
        .unwrap();
    bucket.delete(vec![newest.clone()]).await;
    for _ in 0..2 {
        let engine = bucket.reopen().await;
        let error = append(&engine, hurt, 0, batch(&["no"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        append(&engine, other, 0, batch(&["v"])).await.unwrap();
        settle().await;
    }
    store
        .overwrite(&newest, copy, kafscale_core::store::Purpose::Segment)
        .await
        .unwrap();
    let engine = bucket.reopen().await;
    assert_eq!(read_all(&engine, hurt, 0).await, numbered(0..2));
    assert_eq!(
        append(&engine, hurt, 0, sequenced(9, 1, &["v1"])).await.unwrap(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_ends_after_its_topic_was_deleted_leaves_no_record() {
    let bucket = cutting();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "gone", 1).await;
    let gate = control.gate(GateAt::Request, Some(Operation::Create), ".kfs");
    append(&engine, topic, 0, batch(&["x"])).await.unwrap();
    gate.wait_for(1).await;
    engine.delete_topic("gone").await.unwrap();
    gate.open();
    settle().await;
    drop(engine);
    let metadata = kafscale_core::metadata::BucketMetadata::new(
        bucket.plain(),
        "default",
        Default::default(),
        bucket.clock.clone(),
        std::sync::Arc::new(kafscale_core::Random::seeded(5)),
    )
    .unwrap();
    let metadata: &dyn kafscale_core::metadata::MetadataStore = &metadata;
    metadata.open_session(0).await.unwrap();
    let records = metadata
        .range(kafscale_core::metadata::schema::PARTITIONS)
        .await
        .unwrap();
    assert!(records.is_empty(), "{records:?}");
}

#[tokio::test(start_paused = true)]
async fn trimming_goes_on_after_deletes_have_failed() {
    let bucket = cutting();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    control.add(
        FaultRule::new(Fault::FailBefore(FaultError::Denied))
            .on(Operation::Delete)
            .times(5),
    );
    for n in 0..5 {
        append(&engine, topic, 0, batch(&[&format!("v{n}")]))
            .await
            .unwrap();
        settle().await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(log_objects(&bucket).await <= 2, "{:?}", bucket.keys(".kfw").await);
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..5));
}
