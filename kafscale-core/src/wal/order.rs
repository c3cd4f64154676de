//! Slots land in any order and count in slot order: nothing is acknowledged before all that came before it. Pure.

use std::collections::BTreeMap;

/// Holds back what landed until everything before it has landed.
#[derive(Debug)]
pub(crate) struct PrefixOrder<T> {
    next: u64,
    landed: BTreeMap<u64, T>,
}

impl<T> PrefixOrder<T> {
    /// Slots below `next` count already.
    pub(crate) fn new(next: u64) -> PrefixOrder<T> {
        PrefixOrder {
            next,
            landed: BTreeMap::new(),
        }
    }

    /// Slot `slot` has landed: gives all slots, in order, that count from now on.
    pub(crate) fn landed(&mut self, slot: u64, value: T) -> Vec<(u64, T)> {
        self.landed.insert(slot, value);
        let mut ready = Vec::new();
        while let Some(value) = self.landed.remove(&self.next) {
            ready.push((self.next, value));
            self.next += 1;
        }
        ready
    }
}

#[cfg(test)]
mod tests;
