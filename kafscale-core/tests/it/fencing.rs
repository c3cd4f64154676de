use std::sync::Arc;

use kafscale_core::ErrorKind;

use crate::world::*;

#[tokio::test]
async fn a_newer_engine_fences_the_older_which_acknowledges_nothing_more() {
    let world = World::new();
    let older = world.open().await;
    let topic = create(&older, "orders", 1).await;
    append(&older, topic, 0, batch(&["v0"])).await.unwrap();
    let newer = world.open().await;
    assert_eq!(read_all(&newer, topic, 0).await, numbered(0..1));
    let error = append(&older, topic, 0, batch(&["lost"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert!(older.fenced().borrow().is_some());
    assert_eq!(append(&newer, topic, 0, batch(&["v1"])).await.unwrap(), 1);
    assert_eq!(read_all(&newer, topic, 0).await, numbered(0..2));
}

#[tokio::test]
async fn a_fenced_engine_changes_no_metadata() {
    let world = World::new();
    let older = world.open().await;
    let _newer = world.open().await;
    let new = kafscale_core::NewTopic {
        name: "late".into(),
        partitions: 1,
        configs: Default::default(),
    };
    let error = older.create_topic(new).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
}

#[tokio::test]
async fn the_leader_epoch_grows_with_every_session_and_its_history_is_kept() {
    let world = World::new();
    let first = world.open().await;
    let topic = create(&first, "orders", 1).await;
    append(&first, topic, 0, batch(&["v0", "v1"])).await.unwrap();
    let first_epoch = first.partition_info(topic, 0).unwrap().leader_epoch;
    let second = world.open().await;
    append(&second, topic, 0, batch(&["v2"])).await.unwrap();
    let second_epoch = second.partition_info(topic, 0).unwrap().leader_epoch;
    assert!(second_epoch > first_epoch);
    assert_eq!(
        second.leader_epoch_end(topic, 0, first_epoch).unwrap(),
        (first_epoch, 2)
    );
    assert_eq!(
        second.leader_epoch_end(topic, 0, second_epoch).unwrap(),
        (second_epoch, 3)
    );
}

#[tokio::test]
async fn engines_that_open_at_the_same_moment_leave_exactly_one_that_serves() {
    let world = Arc::new(World::new());
    {
        let engine = world.open().await;
        let topic = create(&engine, "orders", 1).await;
        append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    }
    let opened = futures::future::join_all((0..4).map(|_| world.try_open())).await;
    let mut serving = 0;
    for engine in opened.iter().flatten() {
        let topic = engine.topic("orders").unwrap().id;
        if append(engine, topic, 0, batch(&["v1"])).await.is_ok() {
            serving += 1;
        }
    }
    assert_eq!(serving, 1);
    let engine = world.open().await;
    let topic = engine.topic("orders").unwrap().id;
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..2));
}
