//! The map itself, and the rules of a transaction on it: pure, shared by the memory and the bucket store.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::txn::{Expect, Op, Txn, TxnOutcome, Versioned};

/// Keys, values and the revision of the last transaction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) entries: BTreeMap<String, Versioned>,
}

/// What a batch of transactions changes: the new value of each key, none for a deleted one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Changes {
    pub(super) revision: u64,
    pub(super) entries: BTreeMap<String, Option<Versioned>>,
}

impl State {
    pub(super) fn get(&self, key: &str) -> Option<Versioned> {
        self.entries.get(key).cloned()
    }

    pub(super) fn range(&self, prefix: &str) -> Vec<(String, Versioned)> {
        with_prefix(&self.entries, prefix)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    pub(super) fn apply(&mut self, changes: Changes) {
        self.revision = changes.revision;
        for (key, value) in changes.entries {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }
}

fn with_prefix<'a, V>(
    map: &'a BTreeMap<String, V>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a V)> {
    map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
}

/// Transactions on top of a state that they do not touch yet.
#[derive(Debug)]
pub(super) struct Overlay<'a> {
    base: &'a State,
    changes: Changes,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(base: &'a State) -> Overlay<'a> {
        Overlay {
            base,
            changes: Changes {
                revision: base.revision,
                entries: BTreeMap::new(),
            },
        }
    }

    fn version(&self, key: &str) -> Option<u64> {
        match self.changes.entries.get(key) {
            Some(changed) => changed.as_ref().map(|v| v.version),
            None => self.base.entries.get(key).map(|v| v.version),
        }
    }

    /// Applies `txn` on the base and all transactions before it.
    pub(super) fn commit(&mut self, txn: &Txn) -> TxnOutcome {
        for compare in txn.compares() {
            let found = self.version(&compare.key);
            let holds = match compare.expect {
                Expect::Absent => found.is_none(),
                Expect::Present => found.is_some(),
                Expect::Version(version) => found == Some(version),
            };
            if !holds {
                return TxnOutcome::Conflict {
                    key: compare.key.clone(),
                };
            }
        }
        if txn.ops().is_empty() {
            return TxnOutcome::Committed {
                revision: self.changes.revision,
            };
        }
        let revision = self.changes.revision + 1;
        self.changes.revision = revision;
        for op in txn.ops() {
            match op {
                Op::Put { key, value } => {
                    let value = Versioned {
                        version: revision,
                        value: value.clone(),
                    };
                    self.changes.entries.insert(key.clone(), Some(value));
                }
                Op::Delete { key } => self.remove(key),
                Op::DeletePrefix { prefix } => {
                    let mut keys: Vec<String> = with_prefix(&self.base.entries, prefix)
                        .map(|(key, _)| key.clone())
                        .collect();
                    keys.extend(with_prefix(&self.changes.entries, prefix).map(|(key, _)| key.clone()));
                    keys.iter().for_each(|key| self.remove(key));
                }
            }
        }
        TxnOutcome::Committed { revision }
    }

    fn remove(&mut self, key: &str) {
        if self.base.entries.contains_key(key) {
            self.changes.entries.insert(key.to_owned(), None);
        } else {
            self.changes.entries.remove(key);
        }
    }

    /// The net changes of all transactions.
    pub(super) fn into_changes(self) -> Changes {
        self.changes
    }
}

#[cfg(test)]
mod tests;
