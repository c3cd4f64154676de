//! Deleting the data of logs that a later snapshot has made superfluous. Their seals stay for ever: a process that was
//! paused in one of them must find it when it wakes.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::format::slot::{SLOT_HEADER_LEN, SlotHeader, SlotKind};
use crate::slotlog::{LogName, LogRead};
use crate::store::{ObjectInfo, Purpose, Store};

/// The pause after a clean-up that failed; the store has tried hard before.
const RETRY: Duration = Duration::from_secs(30);

/// Objects of superfluous logs.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    /// Keys of data slots.
    data: Vec<String>,
    /// Keys of slots that may hold data or a seal.
    unknown: Vec<String>,
}

impl Garbage {
    /// Adds a log that was read.
    pub(super) fn add_read(&mut self, read: &LogRead) {
        for (slot, object) in &read.objects {
            if read.view.slots.binary_search(slot).is_ok() {
                self.data.push(object.key.clone());
            } else if read.view.sealed != Some(*slot) {
                self.unknown.push(object.key.clone());
            }
        }
    }

    /// Adds a log of which only a listing is known. Every log but the last has a seal, so that a single object is that.
    pub(super) fn add_listed(&mut self, listed: Vec<ObjectInfo>) {
        if listed.len() > 1 {
            self.unknown.extend(listed.into_iter().map(|object| object.key));
        }
    }

    /// Adds a log that this session wrote and sealed in slot `end`.
    pub(super) fn add_own(&mut self, log: &LogName, end: u64) {
        self.data.extend((0..end).map(|slot| log.key(slot)));
    }
}

/// Deletes `garbage`, and tries again until the store takes it.
pub(super) async fn clean(store: Store, clock: Arc<dyn Clock>, mut garbage: Garbage) {
    while let Err(error) = try_clean(&store, &mut garbage).await {
        tracing::warn!(%error, "old metadata logs are not cleaned up yet");
        clock.sleep(RETRY).await;
    }
}

async fn try_clean(store: &Store, garbage: &mut Garbage) -> Result<()> {
    while let Some(key) = garbage.unknown.last() {
        let head = store
            .get_range(key, 0..SLOT_HEADER_LEN as u64, Purpose::Metadata)
            .await?;
        let kind = head
            .map(|bytes| SlotHeader::parse(&bytes).map(|header| header.kind))
            .transpose();
        let kind = kind.map_err(|e| {
            Error::new(
                ErrorKind::Corrupt,
                format!("the object {key} is not a slot of its log"),
            )
            .with_source(e)
        })?;
        let key = garbage.unknown.pop();
        if kind == Some(SlotKind::Data) {
            garbage.data.extend(key);
        }
    }
    if !garbage.data.is_empty() {
        store.delete(garbage.data.clone(), Purpose::Delete).await?;
    }
    Ok(())
}
