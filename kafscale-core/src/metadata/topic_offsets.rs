//! The committed offsets of one topic: they are stored by group, and go when the topic goes.

use std::collections::BTreeSet;

use super::txn::{MAX_TXN_BYTES, MAX_TXN_OPS, Txn};
use super::{MetadataStore, schema};
use crate::error::Result;
use crate::ids::TopicId;

/// The groups that committed offsets for `topic`, sorted. Looks at every committed offset of the cluster: for
/// administration, not for the path of a commit.
///
/// # Errors
/// Those of [`MetadataStore::range`].
pub async fn groups_with_offsets_of(store: &dyn MetadataStore, topic: TopicId) -> Result<Vec<String>> {
    let mut groups = BTreeSet::new();
    for (key, _) in store.range(schema::OFFSETS).await? {
        if let Some((group, of, _)) = schema::parse_offset_key(&key)
            && of == topic
        {
            groups.insert(group);
        }
    }
    Ok(groups.into_iter().collect())
}

/// Removes every group's committed offsets for `topic`. Comes after the transaction that removes the topic itself:
/// a commit of offsets compares that the topic is still there, so that none can follow. Begin again after an error.
///
/// # Errors
/// Those of [`MetadataStore::range`] and [`MetadataStore::commit`].
pub async fn delete_topic_offsets(store: &dyn MetadataStore, topic: TopicId) -> Result<()> {
    let mut txn = Txn::new();
    for group in groups_with_offsets_of(store, topic).await? {
        let prefix = schema::offsets_of_group_and_topic(&group, topic);
        // Ids of a topic's life are never used again, so that there is nothing to compare: what lies under this
        // prefix has lost its meaning, whoever put it there.
        let next = txn.clone().delete_prefix(prefix.clone());
        txn = if next.ops().len() > MAX_TXN_OPS || next.cost() > MAX_TXN_BYTES {
            let _ = store.commit(txn).await?;
            Txn::new().delete_prefix(prefix)
        } else {
            next
        };
    }
    if !txn.ops().is_empty() {
        let _ = store.commit(txn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
