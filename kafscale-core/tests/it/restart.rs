use kafscale_core::OffsetCommit;

use crate::world::*;

#[tokio::test]
async fn everything_acknowledged_survives_crashes_and_clean_ends() {
    let world = World::new();
    let mut expected = 0;
    let mut topic = None;
    for life in 0..6 {
        let engine = world.open().await;
        let id = match topic {
            Some(id) => id,
            None => *topic.insert(create(&engine, "orders", 3).await),
        };
        assert_eq!(read_all(&engine, id, 2).await, numbered(0..expected));
        for _ in 0..7 {
            let base = append(&engine, id, 2, batch(&[&format!("v{expected}")]))
                .await
                .unwrap();
            assert_eq!(base, expected);
            expected += 1;
        }
        if life % 2 == 0 {
            engine.close().await.unwrap();
        }
    }
    let engine = world.open().await;
    assert_eq!(read_all(&engine, topic.unwrap(), 2).await, numbered(0..expected));
}

#[tokio::test]
async fn committed_positions_survive_a_crash_and_go_with_their_topic() {
    let world = World::new();
    let engine = world.open().await;
    let topic = create(&engine, "orders", 2).await;
    let commit = |partition, offset| OffsetCommit {
        topic,
        partition,
        offset,
        leader_epoch: 1,
        metadata: "m".into(),
    };
    engine
        .commit_offsets("g/1", vec![commit(0, 5), commit(1, 6)])
        .await
        .unwrap();
    engine.commit_offsets("g/1", vec![commit(0, 7)]).await.unwrap();
    drop(engine);
    let engine = world.open().await;
    assert_eq!(engine.committed_offset("g/1", topic, 0).unwrap().offset, 7);
    assert_eq!(engine.committed_offsets("g/1").len(), 2);
    assert_eq!(engine.groups_with_offsets(), ["g/1"]);
    engine.delete_topic("orders").await.unwrap();
    assert!(engine.groups_with_offsets().is_empty());
    drop(engine);
    assert!(world.open().await.groups_with_offsets().is_empty());
}

#[tokio::test]
async fn the_cluster_keeps_its_identity() {
    let world = World::new();
    let first = world.open().await.cluster_id().to_owned();
    assert_eq!(first.len(), 22);
    assert_eq!(world.open().await.cluster_id(), first);
}

#[tokio::test]
async fn topics_and_records_outlive_the_metadata() {
    let mut world = World::new();
    world.settings.segment.max_age_ms = 1;
    let engine = world.open().await;
    let topic = create_with(&engine, "orders", 2, &[("retention.ms", "1000")]).await;
    append(&engine, topic, 1, batch(&["v0", "v1"])).await.unwrap();
    until(|| async { world.keys(".kfs").await.len() == 1 }).await;
    append(&engine, topic, 1, batch(&["v2"])).await.unwrap();
    drop(engine);
    for key in world.keys("/meta/").await {
        world
            .store()
            .delete(vec![key], kafscale_core::store::Purpose::Delete)
            .await
            .unwrap();
    }
    let engine = world.open().await;
    let info = engine.topic("orders").unwrap();
    assert_eq!((info.id, info.partitions), (topic, 2));
    assert_eq!(info.configs.get("retention.ms").map(String::as_str), Some("1000"));
    assert_eq!(read_all(&engine, topic, 1).await, numbered(0..3));
    assert_eq!(append(&engine, topic, 1, batch(&["v3"])).await.unwrap(), 3);
    assert_eq!(append(&engine, topic, 0, batch(&["v0"])).await.unwrap(), 0);
}
