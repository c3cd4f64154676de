//! Transactions: what is compared, what is changed, and the limits that every store can keep.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// The most comparisons and the most changes of one transaction: etcd's default (`--max-txn-ops`).
pub const MAX_TXN_OPS: usize = 128;
/// The most bytes of one transaction, keys and values with 64 bytes for each entry. Below etcd's default request
/// limit of 1.5 MiB, to leave room for what a request adds.
pub const MAX_TXN_BYTES: usize = 1_400_000;
/// The most bytes of a key or prefix: what the bucket store's format holds.
pub const MAX_KEY_BYTES: usize = 65_535;
/// What an entry counts besides its key and value.
const ENTRY_OVERHEAD: usize = 64;

/// A value and the version that the last change gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned {
    /// The store's revision at the last change of this key: never repeats, not even when the key is deleted and put
    /// again.
    pub version: u64,
    /// The value.
    pub value: Bytes,
}

/// What a key must be for a transaction to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The key has no value.
    Absent,
    /// The key has a value, whichever.
    Present,
    /// The key has the value of this version.
    Version(u64),
}

/// One comparison of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// What it must be.
    pub expect: Expect,
}

/// One change of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Sets a value.
    Put {
        /// The key, not empty.
        key: String,
        /// The value.
        value: Bytes,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key, not empty.
        key: String,
    },
    /// Removes all keys that start with `prefix`.
    DeletePrefix {
        /// The prefix, not empty.
        prefix: String,
    },
}

/// Changes that happen together, if the comparisons hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Txn {
    compares: Vec<Compare>,
    ops: Vec<Op>,
}

/// What became of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum TxnOutcome {
    /// It happened, durably.
    Committed {
        /// The version of every key that it put.
        revision: u64,
    },
    /// It did not happen.
    Conflict {
        /// The first key that was not as expected.
        key: String,
    },
}

impl TxnOutcome {
    /// Whether it happened.
    pub fn is_committed(&self) -> bool {
        matches!(self, TxnOutcome::Committed { .. })
    }
}

impl Txn {
    /// No comparison, no change.
    pub fn new() -> Txn {
        Txn::default()
    }

    /// Happens only if `key` is as expected.
    #[must_use]
    pub fn expect(mut self, key: impl Into<String>, expect: Expect) -> Txn {
        self.compares.push(Compare {
            key: key.into(),
            expect,
        });
        self
    }

    /// Happens only if `key` is what an earlier read showed: the same version, or still absent.
    #[must_use]
    pub fn expect_same(self, key: impl Into<String>, seen: Option<&Versioned>) -> Txn {
        self.expect(key, seen.map_or(Expect::Absent, |v| Expect::Version(v.version)))
    }

    /// Sets `key` to `value`.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Txn {
        self.ops.push(Op::Put {
            key: key.into(),
            value: value.into(),
        });
        self
    }

    /// Removes `key`, if it is there.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Txn {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// Removes all keys that start with `prefix`.
    #[must_use]
    pub fn delete_prefix(mut self, prefix: impl Into<String>) -> Txn {
        self.ops.push(Op::DeletePrefix {
            prefix: prefix.into(),
        });
        self
    }

    /// The comparisons, in the order in which they were added.
    pub fn compares(&self) -> &[Compare] {
        &self.compares
    }

    /// The changes, in the order in which they were added.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Bytes of keys and values with 64 for each entry: what [`MAX_TXN_BYTES`] limits.
    pub fn cost(&self) -> usize {
        let compares = self.compares.iter().map(|c| c.key.len());
        let ops = self.ops.iter().map(|op| match op {
            Op::Put { key, value } => key.len() + value.len(),
            Op::Delete { key } => key.len(),
            Op::DeletePrefix { prefix } => prefix.len(),
        });
        compares
            .chain(ops)
            .map(|n| n.saturating_add(ENTRY_OVERHEAD))
            .fold(0, usize::saturating_add)
    }

    /// Whether every store can take this transaction: at most [`MAX_TXN_OPS`] comparisons and as many changes, at most
    /// [`MAX_TXN_BYTES`], no empty key or prefix, and no key that is put twice or put and deleted (etcd refuses those,
    /// and the order of changes inside a transaction must not matter).
    ///
    /// # Errors
    /// `TooLarge` for the sizes (keys: [`MAX_KEY_BYTES`]), `Invalid` for the rest.
    pub fn check(&self) -> Result<()> {
        if self.compares.len() > MAX_TXN_OPS || self.ops.len() > MAX_TXN_OPS {
            let what = format!(
                "a metadata transaction may have {MAX_TXN_OPS} comparisons and {MAX_TXN_OPS} changes, not {} and {}",
                self.compares.len(),
                self.ops.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        let cost = self.cost();
        if cost > MAX_TXN_BYTES {
            let what = format!("a metadata transaction may have {MAX_TXN_BYTES} bytes, not {cost}");
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        for key in self
            .compares
            .iter()
            .map(|c| &c.key)
            .chain(self.ops.iter().map(Op::target))
        {
            if key.is_empty() {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "a metadata key or prefix is empty",
                ));
            }
            if key.len() > MAX_KEY_BYTES {
                let what = format!("a metadata key may have {MAX_KEY_BYTES} bytes, not {}", key.len());
                return Err(Error::new(ErrorKind::TooLarge, what));
            }
        }
        for (at, op) in self.ops.iter().enumerate() {
            let Op::Put { key, .. } = op else { continue };
            if self
                .ops
                .iter()
                .enumerate()
                .any(|(other, o)| other != at && o.touches(key))
            {
                let what = format!("a metadata transaction changes the key {key:?} twice");
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        }
        Ok(())
    }
}

impl Op {
    fn target(&self) -> &String {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
            Op::DeletePrefix { prefix } => prefix,
        }
    }

    fn touches(&self, key: &str) -> bool {
        match self {
            Op::Put { key: own, .. } | Op::Delete { key: own } => own == key,
            Op::DeletePrefix { prefix } => key.starts_with(prefix.as_str()),
        }
    }
}

#[cfg(test)]
mod tests;
