//! Reading a slot log: the one function that take-over, rebuild and audit share.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::LogName;
use super::view::{LogView, SlotSeen, decide};
use crate::error::{Error, ErrorKind, Result};
use crate::format::FormatError;
use crate::format::slot::{Seal, SlotHeader, SlotKind};
use crate::format::wal_object::{ParseTail, WalFooter};
use crate::store::{HEAD_BYTES, ObjectInfo, Purpose, Store};

/// How many objects of one log are read at the same time.
const PARALLEL_READS: usize = 32;
/// How often a read begins again because slots vanished under it. Each time, a living writer trimmed its log between
/// our listing and our read.
const MAX_RESTARTS: usize = 64;

/// No seal is longer: what a tail read fetches at least, so that it has every seal whole.
const LONGEST_SEAL: u64 = 1024;

/// What is read of each slot object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetch {
    /// The first bytes, which hold the header and a whole seal.
    Header,
    /// The last bytes of an object of a write-ahead log: at least this many, and all of the footer, which repeats the
    /// header. All bytes of a shorter object.
    WalTail(u64),
    /// All bytes.
    Whole,
}

/// A slot object that was read.
#[derive(Clone, Debug)]
pub struct SlotRead {
    /// Its slot.
    pub slot: u64,
    /// Its key, size and age.
    pub object: ObjectInfo,
    /// Its header.
    pub header: SlotHeader,
    /// What [`Fetch`] asked for.
    pub bytes: Bytes,
}

/// What a log contains, read.
#[derive(Clone, Debug, Default)]
pub struct LogRead {
    /// What the log contains.
    pub view: LogView,
    /// The objects of `view.slots`, in the same order.
    pub slots: Vec<SlotRead>,
    /// The seal that ends the log.
    pub seal: Option<Seal>,
    /// All slot objects that the listing showed, ascending: with those that are trimmed, void or seals that do not count.
    pub objects: Vec<(u64, ObjectInfo)>,
}

/// Reads a log: lists it, decides what it contains, and reads that. A slot that vanishes while it is read means that the
/// log was trimmed meanwhile, and the read begins again.
///
/// # Errors
/// `Corrupt`, naming the object, for an object that is not what its key says. `Unavailable` when the store does not
/// answer, or when the log changes faster than it can be read.
pub async fn read_log(store: &Store, log: &LogName, fetch: Fetch, purpose: Purpose) -> Result<LogRead> {
    LogReader::new(store, log, fetch, purpose).read().await
}

/// Reads a log again and again, and each object once: objects never change.
pub(super) struct LogReader<'a> {
    store: &'a Store,
    log: &'a LogName,
    fetch: Fetch,
    purpose: Purpose,
    known: BTreeMap<u64, SlotRead>,
}

impl<'a> LogReader<'a> {
    pub(super) fn new(store: &'a Store, log: &'a LogName, fetch: Fetch, purpose: Purpose) -> LogReader<'a> {
        LogReader {
            store,
            log,
            fetch,
            purpose,
            known: BTreeMap::new(),
        }
    }

    pub(super) async fn read(&mut self) -> Result<LogRead> {
        for _ in 0..MAX_RESTARTS {
            if let Some(read) = self.pass().await? {
                return Ok(read);
            }
        }
        let what = format!(
            "the log {} is trimmed faster than it can be read; its owner is alive",
            self.log.prefix
        );
        Err(Error::new(ErrorKind::Unavailable, what))
    }

    /// One listing and what it shows; none when an object vanished meanwhile.
    async fn pass(&mut self) -> Result<Option<LogRead>> {
        let listed = self.store.list(&self.log.prefix, self.purpose).await?;
        let objects: BTreeMap<u64, ObjectInfo> = listed
            .into_iter()
            .filter_map(|o| Some((self.log.parse(&o.key)?, o)))
            .collect();
        // A trimmed slot may have been taken by a seal that came too late: only the same object is known.
        self.known
            .retain(|slot, read| objects.get(slot) == Some(&read.object));

        // One writer's trim points never fall, so that the highest data object has the largest of all, and what lies
        // below need not be read.
        let mut trim = 0;
        for (slot, object) in objects.iter().rev() {
            let Some(header) = self.known_or_read(*slot, object).await? else {
                return Ok(None);
            };
            if header.kind == SlotKind::Data {
                trim = header.trim;
                break;
            }
        }
        let missing = objects
            .range(trim..)
            .filter(|(slot, _)| !self.known.contains_key(slot));
        let reads = stream::iter(
            missing
                .map(|(slot, object)| self.read_slot(*slot, object.clone()))
                .collect::<Vec<_>>(),
        );
        let reads: Vec<Option<SlotRead>> = reads.buffer_unordered(PARALLEL_READS).try_collect().await?;
        for read in reads {
            let Some(read) = read else { return Ok(None) };
            self.known.insert(read.slot, read);
        }
        let seen: Vec<SlotSeen> = self
            .known
            .values()
            .map(|read| SlotSeen {
                slot: read.slot,
                kind: read.header.kind,
                trim: read.header.trim,
            })
            .collect();
        let view = decide(&seen);
        let seal = match view.sealed.and_then(|slot| self.known.get(&slot)) {
            Some(read) => Some(self.whole_seal(read).await?),
            None => None,
        };
        let slots = view
            .slots
            .iter()
            .filter_map(|slot| self.known.get(slot))
            .cloned()
            .collect();
        Ok(Some(LogRead {
            view,
            slots,
            seal,
            objects: objects.into_iter().collect(),
        }))
    }

    async fn known_or_read(&mut self, slot: u64, object: &ObjectInfo) -> Result<Option<SlotHeader>> {
        if let Some(read) = self.known.get(&slot) {
            return Ok(Some(read.header));
        }
        let Some(read) = self.read_slot(slot, object.clone()).await? else {
            return Ok(None);
        };
        let header = read.header;
        self.known.insert(slot, read);
        Ok(Some(header))
    }

    async fn read_slot(&self, slot: u64, object: ObjectInfo) -> Result<Option<SlotRead>> {
        let (store, purpose) = (self.store, self.purpose);
        let bytes = match self.fetch {
            Fetch::Header => store.get_range(&object.key, 0..HEAD_BYTES, purpose).await?,
            Fetch::WalTail(len) if object.size > len.max(LONGEST_SEAL) => {
                return self.read_wal_tail(slot, object, len.max(LONGEST_SEAL)).await;
            }
            Fetch::WalTail(_) | Fetch::Whole => store.get(&object.key, purpose).await?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let header = SlotHeader::parse(&bytes).map_err(|e| not_a_slot(&object.key, e))?;
        check_header(self.log, slot, &object.key, &header)?;
        Ok(Some(SlotRead {
            slot,
            object,
            header,
            bytes,
        }))
    }

    async fn read_wal_tail(&self, slot: u64, object: ObjectInfo, len: u64) -> Result<Option<SlotRead>> {
        let (store, purpose) = (self.store, self.purpose);
        let tail = store.get_tail(&object.key, object.size, len, purpose).await?;
        let Some(mut bytes) = tail else { return Ok(None) };
        // At most two rounds more: one for the trailer, one for the footer.
        for _ in 0..3 {
            match WalFooter::parse_tail(&bytes, object.size).map_err(|e| not_a_slot(&object.key, e))? {
                ParseTail::Footer(WalFooter { header, .. }) => {
                    check_header(self.log, slot, &object.key, &header)?;
                    return Ok(Some(SlotRead {
                        slot,
                        object,
                        header,
                        bytes,
                    }));
                }
                ParseTail::NeedMore { from } => {
                    let longer = store.get_range(&object.key, from..object.size, purpose).await?;
                    let Some(longer) = longer else { return Ok(None) };
                    bytes = longer;
                }
            }
        }
        Err(corrupt(&object.key, "has a footer that asks for ever more bytes"))
    }

    async fn whole_seal(&self, read: &SlotRead) -> Result<Seal> {
        let key = &read.object.key;
        let bytes = if read.bytes.len() as u64 >= read.object.size {
            read.bytes.clone()
        } else {
            let whole = self.store.get(key, self.purpose).await?;
            whole.ok_or_else(|| corrupt(key, "was a seal and is gone; seals must never be deleted"))?
        };
        Seal::parse(&bytes).map_err(|e| corrupt(key, "is not a whole seal").with_source(e))
    }
}

/// Whether the header is that of the object's key.
pub(super) fn check_header(log: &LogName, slot: u64, key: &str, header: &SlotHeader) -> Result<()> {
    if header.magic != log.magic || header.slot != slot {
        return Err(corrupt(
            key,
            &format!("says that it is slot {} of a {:?} log", header.slot, header.magic),
        ));
    }
    Ok(())
}

fn not_a_slot(key: &str, cause: FormatError) -> Error {
    corrupt(key, "is not a slot of its log").with_source(cause)
}

fn corrupt(key: &str, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the object {key} {what}"))
}

#[cfg(test)]
mod tests;
