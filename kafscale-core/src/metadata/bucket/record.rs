//! Between the map in memory and the slots of the log.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::format::meta_object::{MetaEntry, MetaKind, MetaObject};
use crate::format::slot::SlotHeader;
use crate::metadata::state::{Changes, State};
use crate::metadata::txn::Versioned;
use crate::slotlog::{LogRead, SlotRead};

/// The bytes of a slot with all of `state`.
pub(super) fn snapshot(header: SlotHeader, state: &State) -> Result<Bytes> {
    let put = |(key, v): (&String, &Versioned)| MetaEntry::Put {
        key: key.clone(),
        version: v.version,
        value: v.value.clone(),
    };
    let entries = state.entries.iter().map(put).collect();
    encode(MetaObject {
        header,
        kind: MetaKind::Snapshot,
        revision: state.revision,
        entries,
    })
}

/// The bytes of a slot with one flush.
pub(super) fn changes(header: SlotHeader, changes: &Changes) -> Result<Bytes> {
    let entry = |(key, v): (&String, &Option<Versioned>)| match v {
        Some(v) => MetaEntry::Put {
            key: key.clone(),
            version: v.version,
            value: v.value.clone(),
        },
        None => MetaEntry::Delete { key: key.clone() },
    };
    let entries = changes.entries.iter().map(entry).collect();
    encode(MetaObject {
        header,
        kind: MetaKind::Changes,
        revision: changes.revision,
        entries,
    })
}

fn encode(object: MetaObject) -> Result<Bytes> {
    object
        .encode()
        .map_err(|e| Error::new(ErrorKind::Invalid, "a metadata slot cannot be written").with_source(e))
}

/// The state at the end of a log whose slots are all there.
pub(super) fn replay(read: &LogRead) -> Result<State> {
    let mut state = State::default();
    for slot in &read.slots {
        let object =
            MetaObject::parse(&slot.bytes).map_err(|e| corrupt(slot, "cannot be read").with_source(e))?;
        let expected = if slot.slot == 0 {
            MetaKind::Snapshot
        } else {
            MetaKind::Changes
        };
        if object.kind != expected {
            return Err(corrupt(
                slot,
                "is a snapshot where changes belong, or changes where a snapshot belongs",
            ));
        }
        if object.revision < state.revision {
            return Err(corrupt(slot, "goes back to an older revision"));
        }
        let mut changes = Changes {
            revision: object.revision,
            ..Changes::default()
        };
        for entry in object.entries {
            match entry {
                // A copy: a small value would keep the whole object in memory.
                MetaEntry::Put { key, version, value } => {
                    let value = Bytes::copy_from_slice(&value);
                    changes.entries.insert(key, Some(Versioned { version, value }));
                }
                MetaEntry::Delete { key } => {
                    changes.entries.insert(key, None);
                }
            }
        }
        state.apply(changes);
    }
    Ok(state)
}

fn corrupt(slot: &SlotRead, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the metadata object {} {what}", slot.object.key),
    )
}
