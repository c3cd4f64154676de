use std::collections::BTreeSet;

use super::*;
use crate::metadata::MemoryMetadata;

#[tokio::test]
async fn a_block_is_claimed_once_even_when_the_dice_repeat() {
    let store = MemoryMetadata::new();
    let session = store.open_session(1).await.unwrap();
    let mut first_ids = BTreeSet::new();
    // The same seed again and again: every start offers the blocks that earlier ones took.
    for _ in 0..5 {
        let random = Random::seeded(1);
        for _ in 0..3 {
            let ids = claim_producer_ids(&store, &random, session).await.unwrap();
            assert!(*ids.start() >= 0);
            assert_eq!(ids.end() - ids.start(), 32_767);
            assert!(first_ids.insert(*ids.start()), "{ids:?} was handed out twice");
        }
    }
    assert_eq!(store.range(schema::PRODUCER_IDS).await.unwrap().len(), 15);
}

#[test]
fn the_last_block_is_still_positive() {
    assert_eq!(*ids_of(u64::MAX >> 16).end(), i64::MAX);
    assert_eq!(ids_of(0), 0..=32_767);
    assert_eq!(ids_of(1), 32_768..=65_535);
}
