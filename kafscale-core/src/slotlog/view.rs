//! What a slot log contains, decided from the objects that are there: pure.

use crate::format::slot::SlotKind;

/// An object of a slot log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotSeen {
    /// Its slot.
    pub slot: u64,
    /// Data or seal.
    pub kind: SlotKind,
    /// The trim point in its header.
    pub trim: u64,
}

/// What a slot log contains.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogView {
    /// All slots below are no longer needed and may be gone.
    pub trim: u64,
    /// The first slot that is not part of the log: the seal's, or the first free one.
    pub end: u64,
    /// The slot of the seal that ends the log; none while the log may still grow.
    pub sealed: Option<u64>,
    /// The data slots of the log, ascending: at or above `trim`, below `end`.
    pub slots: Vec<u64>,
}

/// Decides what a log contains. `objects` are those that a listing showed, in any order; objects below the largest
/// trim point of all data objects may be left out.
///
/// - The largest trim point T of the data objects holds. (One beyond the end of the log is as true as any: what it says
///   was so before its slot was numbered.)
/// - The highest seal at or above T ends the log, and every data slot from T up to it counts, whatever the gaps: a
///   missing one was trimmed.
/// - A seal below T was created in a slot that had been trimmed already; it stopped nobody and is ignored.
/// - Without a seal that counts, the log ends at the first free slot from T.
/// - Data beyond the end is void: it was never acknowledged, because a slot before it never was.
pub fn decide(objects: &[SlotSeen]) -> LogView {
    let data = || objects.iter().filter(|o| o.kind == SlotKind::Data);
    let trim = data().map(|o| o.trim).max().unwrap_or(0);
    let sealed = objects
        .iter()
        .filter(|o| o.kind == SlotKind::Seal && o.slot >= trim)
        .map(|o| o.slot)
        .max();
    let mut slots: Vec<u64> = data().map(|o| o.slot).filter(|slot| *slot >= trim).collect();
    slots.sort_unstable();
    slots.dedup();
    let end = match sealed {
        Some(seal) => seal,
        None => slots
            .iter()
            .zip(trim..)
            .find(|(slot, expected)| *slot != expected)
            .map_or_else(
                || slots.last().map_or(trim, |last| last + 1),
                |(_, expected)| expected,
            ),
    };
    slots.retain(|slot| *slot < end);
    LogView {
        trim,
        end,
        sealed,
        slots,
    }
}

#[cfg(test)]
mod tests;
