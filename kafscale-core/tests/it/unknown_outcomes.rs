//! Changes of the metadata whose answer does not come in time, and metadata that is older than the bucket.

use std::time::Duration;

use kafscale_core::store::{Operation, Purpose};
use kafscale_core::testing::fault_store::{FaultControl, Gate, GateAt};
use kafscale_core::{ConfigChange, Engine, ErrorKind, NewTopic, TopicId};

use crate::crash_world::Bucket;
use crate::world::*;

fn topic_of(name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: 1,
        configs: Default::default(),
    }
}

/// The next change of the metadata takes effect, and nobody hears of it for a long while.
fn mute(control: &FaultControl) -> Gate {
    control.gate(GateAt::Answer, Some(Operation::Create), ".kfm")
}

/// Long enough for whatever was not known to be found out.
async fn found_out() {
    tokio::time::sleep(Duration::from_secs(60)).await;
}

async fn lose_metadata(bucket: &Bucket) {
    bucket.delete(bucket.keys("/meta/").await).await;
}

async fn use_it(bucket: &Bucket, engine: Engine, topic: TopicId) {
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    drop(engine);
    assert_eq!(read_all(&bucket.reopen().await, topic, 0).await, numbered(0..1));
    lose_metadata(bucket).await;
    let engine = bucket.reopen().await;
    assert_eq!(engine.topic("orders").unwrap().id, topic);
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..1));
}

#[tokio::test(start_paused = true)]
async fn a_creation_whose_answer_was_late_is_found_and_its_records_outlive_the_metadata() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let gate = mute(&control);
    let error = engine.create_topic(topic_of("orders")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // Still not known: it must not be started a second time.
    let error = engine.create_topic(topic_of("orders")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    gate.open();
    found_out().await;
    let topic = engine.topic("orders").expect("it was created").id;
    let error = engine.create_topic(topic_of("orders")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    use_it(&bucket, engine, topic).await;
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_never_happened_can_be_asked_for_again() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    // Another change is on its way, so that this one waits in the queue until it is given up.
    let gate = mute(&control);
    let other = engine.create_topic(topic_of("other")).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Timeout);
    gate.open();
    found_out().await;
    let topic = engine.create_topic(topic_of("orders")).await.unwrap().id;
    use_it(&bucket, engine, topic).await;
}

#[tokio::test(start_paused = true)]
async fn while_it_is_not_known_whether_a_topic_was_deleted_nothing_is_appended_to_it() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    let gate = mute(&control);
    let error = engine.delete_topic("orders").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = append(&engine, topic, 0, batch(&["v1"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    gate.open();
    found_out().await;
    assert!(engine.topic("orders").is_none(), "the deletion happened");
    let topic = create(&engine, "orders", 1).await;
    use_it(&bucket, engine, topic).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_did_not_happen_lets_the_topic_go_on() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    // A commit of a position keeps the log busy; the deletion waits behind it and is given up.
    let gate = mute(&control);
    let busy = engine.clone();
    let commit = tokio::spawn(async move {
        let commit = kafscale_core::OffsetCommit {
            topic,
            partition: 0,
            offset: 0,
            leader_epoch: -1,
            metadata: String::new(),
        };
        busy.commit_offsets("g", vec![commit]).await
    });
    gate.wait_for(1).await;
    let error = engine.delete_topic("orders").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    gate.open();
    let _ = commit.await.unwrap();
    found_out().await;
    assert!(engine.topic("orders").is_some());
    use_it(&bucket, engine, topic).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_topic_whose_answer_was_late_is_found_and_the_next_one_works() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    let gate = mute(&control);
    let error = engine.create_partitions("orders", 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    gate.open();
    found_out().await;
    assert_eq!(engine.topic("orders").unwrap().partitions, 2);
    append(&engine, topic, 1, batch(&["v0"])).await.unwrap();
    let change = ConfigChange::Set("retention.ms".into(), "5".into());
    engine.alter_topic_configs("orders", vec![change]).await.unwrap();
    use_it(&bucket, engine, topic).await;
}

#[tokio::test(start_paused = true)]
async fn the_second_half_of_a_deletion_is_finished_when_the_bucket_answers_again() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["old"])).await.unwrap();
    let gate = control.gate(GateAt::Request, Some(Operation::Put), ".kft");
    engine.delete_topic("orders").await.unwrap_err();
    assert!(engine.topic("orders").is_none());
    gate.open();
    found_out().await;
    let topic = create(&engine, "orders", 1).await;
    use_it(&bucket, engine, topic).await;
}

#[tokio::test(start_paused = true)]
async fn added_partitions_outlive_the_metadata_wherever_the_process_died() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    let gate = control.gate(GateAt::Request, Some(Operation::Put), ".kft");
    let growth = engine.create_partitions("orders", 2);
    tokio::select! {
        _ = growth => panic!("not cut short"),
        () = gate.wait_for(1) => {}
    }
    drop(engine);
    let engine = bucket.reopen().await;
    if engine.topic("orders").unwrap().partitions < 2 {
        engine.create_partitions("orders", 2).await.unwrap();
    }
    append(&engine, topic, 1, batch(&["v0"])).await.unwrap();
    drop(engine);
    lose_metadata(&bucket).await;
    let engine = bucket.reopen().await;
    assert_eq!(read_all(&engine, topic, 1).await, numbered(0..1));
}

#[tokio::test(start_paused = true)]
async fn metadata_from_before_a_topic_was_deleted_and_created_again_shows_the_newer_one() {
    let bucket = Bucket::new();
    let engine = bucket.reopen().await;
    create(&engine, "orders", 1).await;
    engine.close().await.unwrap();
    drop(engine);
    let store = bucket.plain();
    let mut backup = Vec::new();
    for key in bucket.keys("/meta/").await {
        backup.push((
            key.clone(),
            store.get(&key, Purpose::Recovery).await.unwrap().unwrap(),
        ));
    }
    let engine = bucket.reopen().await;
    engine.delete_topic("orders").await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    drop(engine);
    lose_metadata(&bucket).await;
    for (key, bytes) in backup {
        store.overwrite(&key, bytes, Purpose::Metadata).await.unwrap();
    }
    let engine = bucket.reopen().await;
    assert_eq!(engine.topic("orders").unwrap().id, topic);
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..1));
    append(&engine, topic, 0, batch(&["v1"])).await.unwrap();
    drop(engine);
    assert_eq!(read_all(&bucket.reopen().await, topic, 0).await, numbered(0..2));
}
