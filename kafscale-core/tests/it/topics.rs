use kafscale_core::{ConfigChange, ErrorKind, NewTopic};

use crate::world::*;

fn new(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions,
        configs: Default::default(),
    }
}

#[tokio::test]
async fn a_topic_that_is_deleted_and_created_again_never_shows_old_records() {
    let mut world = World::new();
    world.settings.segment.max_age_ms = 1;
    world.settings.segment.delete_grace_ms = 0;
    let engine = world.open().await;
    let first = create(&engine, "orders", 1).await;
    append(&engine, first, 0, batch(&["old"])).await.unwrap();
    until(|| async { world.keys("default/orders/").await.len() == 2 }).await;
    engine.delete_topic("orders").await.unwrap();
    assert!(engine.topic("orders").is_none());
    assert_eq!(
        fetch(&engine, first, 0, 0).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let second = create(&engine, "orders", 1).await;
    assert_ne!(first, second);
    assert_eq!(append(&engine, second, 0, batch(&["v0"])).await.unwrap(), 0);
    assert_eq!(read_all(&engine, second, 0).await, numbered(0..1));
    until(|| async { world.keys("default/orders/").await.is_empty() }).await;
    drop(engine);
    let engine = world.open().await;
    assert_eq!(engine.topics().len(), 1);
    assert_eq!(read_all(&engine, second, 0).await, numbered(0..1));
}

#[tokio::test]
async fn a_deleted_topic_with_records_in_the_log_is_gone_after_a_crash() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["old"])).await.unwrap();
    engine.delete_topic("orders").await.unwrap();
    drop(engine);
    let engine = world.open().await;
    assert!(engine.topics().is_empty());
    let again = create(&engine, "orders", 1).await;
    assert_eq!(read_all(&engine, again, 0).await, []);
}

#[tokio::test]
async fn impossible_topics_are_refused() {
    let world = World::new();
    let engine = world.open().await;
    create(&engine, "a.b", 1).await;
    for (topic, kind) in [
        (new("a.b", 1), ErrorKind::AlreadyExists),
        (new("a_b", 1), ErrorKind::InvalidTopic),
        (new("a/b", 1), ErrorKind::InvalidTopic),
        (new("..", 1), ErrorKind::InvalidTopic),
        (new("none", 0), ErrorKind::InvalidPartitions),
        (
            NewTopic {
                configs: [("no.such".to_owned(), "1".to_owned())].into(),
                ..new("c", 1)
            },
            ErrorKind::InvalidConfig,
        ),
    ] {
        assert_eq!(engine.create_topic(topic).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn partitions_are_added_and_configs_changed_for_good() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 1).await;
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    engine.create_partitions("orders", 3).await.unwrap();
    assert_eq!(
        engine.create_partitions("orders", 3).await.unwrap_err().kind(),
        ErrorKind::InvalidPartitions
    );
    let set = |v: &str| vec![ConfigChange::Set("retention.ms".into(), v.into())];
    engine.alter_topic_configs("orders", set("5")).await.unwrap();
    assert_eq!(
        engine
            .alter_topic_configs("orders", set("x"))
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidConfig
    );
    append(&engine, topic, 2, batch(&["v0"])).await.unwrap();
    drop(engine);
    let engine = world.open().await;
    let info = engine.topic("orders").unwrap();
    assert_eq!(info.partitions, 3);
    assert_eq!(info.configs.get("retention.ms").map(String::as_str), Some("5"));
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..1));
    assert_eq!(read_all(&engine, topic, 2).await, numbered(0..1));
}
