use super::*;
use crate::metadata::MemoryMetadata;

#[tokio::test]
async fn a_deleted_topic_takes_the_offsets_of_all_groups_with_it_and_no_others() {
    let store = MemoryMetadata::new();
    store.open_session(1).await.unwrap();
    let (gone, stays) = (TopicId([1; 16]), TopicId([2; 16]));
    // More groups than one transaction has changes, with names that look like paths.
    let groups: Vec<String> = (0..300).map(|i| format!("team/{i}/{gone}")).collect();
    for group in &groups {
        let txn = Txn::new()
            .put(schema::offset_key(group, gone, 0), "{}")
            .put(schema::offset_key(group, gone, 1), "{}")
            .put(schema::offset_key(group, stays, 0), "{}");
        assert!(store.commit(txn).await.unwrap().is_committed());
    }
    assert_eq!(groups_with_offsets_of(&store, gone).await.unwrap().len(), 300);
    delete_topic_offsets(&store, gone).await.unwrap();
    assert!(groups_with_offsets_of(&store, gone).await.unwrap().is_empty());
    assert_eq!(groups_with_offsets_of(&store, stays).await.unwrap().len(), 300);
    assert_eq!(store.range("").await.unwrap().len(), 300);
    delete_topic_offsets(&store, gone).await.unwrap();
}
