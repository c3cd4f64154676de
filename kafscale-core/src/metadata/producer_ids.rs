//! Producer ids: random blocks, claimed by transaction, so that no id is ever handed out twice, not even by a cluster
//! whose metadata was restored from an old backup.

use std::ops::RangeInclusive;

use super::MetadataStore;
use super::schema::{self, ProducerIdBlock};
use super::txn::{Expect, Txn, TxnOutcome};
use crate::error::Result;
use crate::format::keys::SessionId;
use crate::random::Random;

/// Ids of one block: a block number has 48 bits, a positive id 63.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1 << 15;

/// Claims a block of [`PRODUCER_IDS_PER_BLOCK`] producer ids for `session` and returns it.
///
/// # Errors
/// Those of [`MetadataStore::commit`]. After a `Timeout` the block may be claimed for good; claim another.
pub async fn claim_producer_ids(
    store: &dyn MetadataStore,
    random: &Random,
    session: SessionId,
) -> Result<RangeInclusive<i64>> {
    loop {
        let block = random.u64() >> 16;
        let key = schema::producer_id_block_key(block);
        let value = schema::to_value(&ProducerIdBlock { session })?;
        let txn = Txn::new().expect(key.clone(), Expect::Absent).put(key, value);
        if let TxnOutcome::Committed { .. } = store.commit(txn).await? {
            return Ok(ids_of(block));
        }
    }
}

fn ids_of(block: u64) -> RangeInclusive<i64> {
    let first = block.cast_signed() << 15;
    first..=first + (PRODUCER_IDS_PER_BLOCK - 1)
}

#[cfg(test)]
mod tests;
