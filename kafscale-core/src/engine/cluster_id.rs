//! The cluster's identity: made once, kept in the metadata.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::TopicId;
use crate::metadata::{Expect, MetadataStore, Txn, TxnOutcome};
use crate::random::Random;

const KEY: &str = "cluster";

/// The cluster's identity, made if there is none.
pub(super) async fn obtain(metadata: &dyn MetadataStore, random: &Random) -> Result<String> {
    loop {
        if let Some(found) = metadata.get(KEY).await? {
            return String::from_utf8(found.value.to_vec()).map_err(|e| {
                Error::new(
                    ErrorKind::Corrupt,
                    format!("the metadata under {KEY:?} is not text"),
                )
                .with_source(e)
            });
        }
        // As Kafka's cluster ids: a random UUID in the same base64 as topic ids.
        let id = TopicId::from_random(random.bytes16()).to_string();
        let txn = Txn::new().expect(KEY, Expect::Absent).put(KEY, id.clone());
        if let TxnOutcome::Committed { .. } = metadata.commit(txn).await? {
            return Ok(id);
        }
    }
}
