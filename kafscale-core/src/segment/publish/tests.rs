use std::sync::Arc;

use object_store::memory::InMemory;

use super::*;
use crate::Random;
use crate::clock::SystemClock;
use crate::format::records::BatchBuilder;
use crate::metrics::StoreMetrics;
use crate::store::{StoreKind, StoreSettings};

fn store() -> Store {
    Store::new(
        Arc::new(InMemory::new()),
        StoreKind::Memory,
        StoreSettings::default(),
        Arc::new(SystemClock::new()),
        Arc::new(Random::seeded(1)),
        Arc::new(StoreMetrics::new()),
    )
}

fn place() -> SegmentPlace {
    SegmentPlace {
        namespace: "default".into(),
        directory: "orders".into(),
        partition: 0,
    }
}

fn batch(base: i64, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new().position(base, 1);
    builder.append(1_000 + base, None, Some(value), &[]).unwrap();
    builder.build().unwrap()
}

#[tokio::test]
async fn a_segment_that_exists_with_the_same_records_is_adopted() {
    let (store, place) = (store(), place());
    let (a, b, c) = (batch(0, b"a"), batch(1, b"b"), batch(2, b"c"));
    let first = publish(&store, &place, &[a.clone(), b.clone()], 5).await.unwrap();
    assert!(matches!(first, Published::Done { last_offset: 1, .. }));
    // A later life cuts elsewhere.
    let longer = publish(&store, &place, &[a.clone(), b.clone(), c], 6)
        .await
        .unwrap();
    assert_eq!(longer, first);
    let index = store
        .get(&place.index_key(0), Purpose::Segment)
        .await
        .unwrap()
        .unwrap();
    let segment = store
        .get(&place.segment_key(0), Purpose::Segment)
        .await
        .unwrap()
        .unwrap();
    let rebuilt = segment::rebuild_index(&segment, INDEX_INTERVAL)
        .unwrap()
        .encode()
        .unwrap();
    assert_eq!(index, rebuilt, "the index is the winner's");
    assert_eq!(
        publish(&store, &place, &[a], 7).await.unwrap(),
        Published::Longer { last_offset: 1 }
    );
}

#[tokio::test]
async fn a_segment_that_holds_other_records_is_never_adopted() {
    let (store, place) = (store(), place());
    publish(&store, &place, &[batch(0, b"theirs")], 5).await.unwrap();
    let error = publish(&store, &place, &[batch(0, b"ours!!")], 6)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("other records"), "{error}");
}
