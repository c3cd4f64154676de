//! Positions that groups have committed, in memory as the metadata has them. Pure state.

use std::collections::{BTreeMap, HashMap};

use crate::engine::CommittedOffset;
use crate::ids::PartitionId;

/// Committed positions by group and partition.
#[derive(Debug, Default)]
pub(crate) struct OffsetTable {
    groups: HashMap<String, BTreeMap<PartitionId, Position>>,
}

#[derive(Debug)]
struct Position {
    committed: CommittedOffset,
    /// Revision of the metadata that holds it: of two commits the later one counts, in whichever order they are noted.
    revision: u64,
}

impl OffsetTable {
    pub(crate) fn set(
        &mut self,
        group: &str,
        partition: PartitionId,
        committed: CommittedOffset,
        revision: u64,
    ) {
        let positions = match self.groups.get_mut(group) {
            Some(positions) => positions,
            None => self.groups.entry(group.to_owned()).or_default(),
        };
        let newer = positions
            .get(&partition)
            .is_none_or(|position| position.revision <= revision);
        if newer {
            positions.insert(partition, Position { committed, revision });
        }
    }

    pub(crate) fn get(&self, group: &str, partition: PartitionId) -> Option<CommittedOffset> {
        Some(self.groups.get(group)?.get(&partition)?.committed.clone())
    }

    pub(crate) fn of_group(&self, group: &str) -> Vec<(PartitionId, CommittedOffset)> {
        self.groups.get(group).map_or_else(Vec::new, |positions| {
            positions
                .iter()
                .map(|(&id, position)| (id, position.committed.clone()))
                .collect()
        })
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self.groups.keys().cloned().collect();
        groups.sort_unstable();
        groups
    }

    /// Takes out a position, unless it was committed after `revision`.
    pub(crate) fn remove(&mut self, group: &str, partition: PartitionId, revision: u64) {
        self.keep(group, |id, position| {
            *id != partition || position.revision > revision
        });
    }

    /// Takes out the positions of a group, but for those that were committed after `revision`.
    pub(crate) fn remove_group(&mut self, group: &str, revision: u64) {
        self.keep(group, |_, position| position.revision > revision);
    }

    fn keep(&mut self, group: &str, keep: impl Fn(&PartitionId, &Position) -> bool) {
        if let Some(positions) = self.groups.get_mut(group) {
            positions.retain(|id, position| keep(id, position));
            if positions.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    pub(crate) fn remove_topic(&mut self, topic: crate::TopicId) {
        self.groups.retain(|_, positions| {
            positions.retain(|id, _| id.topic != topic);
            !positions.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
