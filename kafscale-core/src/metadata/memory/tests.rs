use super::*;
use crate::metadata::conformance::{self, Subject};

struct Memory(MemoryMetadata);

#[async_trait]
impl Subject for Memory {
    async fn handle(&self) -> Arc<dyn MetadataStore> {
        Arc::new(self.0.another())
    }
}

#[tokio::test]
async fn the_memory_store_conforms() {
    conformance::run(|| Memory(MemoryMetadata::new())).await;
}

#[tokio::test]
async fn brokers_live_side_by_side() {
    let one = MemoryMetadata::new();
    let two = one.another();
    let first = one.open_session(1).await.unwrap();
    let second = two.open_session(2).await.unwrap();
    assert!(second.epoch > first.epoch);
    assert!(one.commit(Txn::new().put("k", "v")).await.unwrap().is_committed());
    assert_eq!(two.get("k").await.unwrap().unwrap().value, "v");
    assert!(one.fenced().borrow().is_none());
}
