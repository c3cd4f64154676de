use proptest::prelude::*;

use super::*;
use crate::checksum::crc32c;
use crate::format::golden::{damage_is_found, golden, hostile};
use crate::format::slot::AttemptId;

fn header() -> SlotHeader {
    SlotHeader {
        magic: SlotMagic::Meta,
        kind: SlotKind::Data,
        attempt: AttemptId([9; 16]),
        writer: 3,
        nonce: 0xfeed_beef,
        epoch: 17,
        slot: 2,
        trim: 0,
        created_ms: 1_767_225_600_000,
    }
}

fn entry(key: &str, version: u64, value: &'static [u8]) -> MetaEntry {
    MetaEntry::Put {
        key: key.to_owned(),
        version,
        value: Bytes::from_static(value),
    }
}

fn changes() -> MetaObject {
    let entries = vec![
        entry("topics/orders", 41, b"{\"partitions\":6}"),
        MetaEntry::Delete {
            key: "topics/clicks".to_owned(),
        },
        entry("gruppe/ö", 42, b""),
    ];
    MetaObject {
        header: header(),
        kind: MetaKind::Changes,
        revision: 42,
        entries,
    }
}

fn snapshot() -> MetaObject {
    let entries = vec![entry("a", 1, b"one"), entry("b", u64::MAX, &[0xff; 5])];
    let header = SlotHeader { slot: 0, ..header() };
    MetaObject {
        header,
        kind: MetaKind::Snapshot,
        revision: u64::MAX,
        entries,
    }
}

#[test]
fn both_kinds_have_their_golden_bytes() {
    for (name, object) in [
        ("metadata-changes.kfm", changes()),
        ("metadata-snapshot.kfm", snapshot()),
    ] {
        let stored = golden(name, &object.encode().unwrap());
        assert_eq!(MetaObject::parse(&stored.into()), Ok(object));
    }
}

#[test]
fn an_object_may_be_empty() {
    let object = MetaObject {
        entries: vec![],
        ..changes()
    };
    assert_eq!(MetaObject::parse(&object.encode().unwrap()), Ok(object));
}

#[test]
fn values_share_the_memory_of_the_object() {
    let bytes = changes().encode().unwrap();
    let MetaEntry::Put { value, .. } = MetaObject::parse(&bytes).unwrap().entries.remove(0) else {
        panic!()
    };
    assert!(bytes.as_ptr_range().contains(&value.as_ptr()));
}

#[test]
fn damage_is_found_wherever_it_is() {
    for object in [changes(), snapshot()] {
        damage_is_found(&object.encode().unwrap(), |bytes| {
            MetaObject::parse(&Bytes::copy_from_slice(bytes))
        });
    }
}

/// The bytes of `object` after `change`, with a right checksum.
fn forged(object: &MetaObject, change: impl FnOnce(&mut [u8])) -> String {
    let mut bytes = object.encode().unwrap().to_vec();
    bytes.truncate(bytes.len() - 4);
    change(&mut bytes);
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    MetaObject::parse(&bytes.into()).unwrap_err().to_string()
}

#[test]
fn an_object_that_lies_is_refused() {
    let at = |at: usize, value: u8| move |bytes: &mut [u8]| bytes[at] = value;
    assert_eq!(
        forged(&changes(), at(72, 2)),
        "metadata object: byte 72: the kind is neither snapshot (0) nor changes (1)"
    );
    assert_eq!(
        forged(&changes(), at(72, 0)),
        "metadata object: byte 132: a snapshot holds a deletion"
    );
    assert_eq!(
        forged(&changes(), at(74, 1)),
        "metadata object: byte 73: reserved bytes are not zero"
    );
    assert_eq!(
        forged(&changes(), at(84, 0x7f)),
        "metadata object: byte 84: 2130706435 entries cannot lie in the 84 bytes that follow"
    );
    assert_eq!(
        forged(&changes(), at(88, 7)),
        "metadata object: byte 88: the operation is neither put (0) nor delete (1)"
    );
    assert_eq!(
        forged(&changes(), at(112, 0x7f)),
        "metadata object: byte 112: 2130706448 bytes of the value cannot lie in the 56 bytes that follow"
    );
    assert_eq!(
        forged(&changes(), at(87, 2)),
        "metadata object: 24 bytes follow after its end at byte 148"
    );
}

#[test]
fn what_cannot_be_written_is_refused() {
    let wal = MetaObject {
        header: SlotHeader {
            magic: SlotMagic::Wal,
            ..header()
        },
        ..changes()
    };
    assert!(matches!(wal.encode(), Err(FormatError::Misuse { .. })));
    let seal = MetaObject {
        header: SlotHeader {
            kind: SlotKind::Seal,
            ..header()
        },
        ..changes()
    };
    assert!(matches!(seal.encode(), Err(FormatError::Misuse { .. })));
    let deletion = MetaObject {
        kind: MetaKind::Snapshot,
        ..changes()
    };
    assert!(matches!(deletion.encode(), Err(FormatError::Misuse { .. })));
    let long = MetaObject {
        entries: vec![entry(&"k".repeat(65_536), 1, b"")],
        ..changes()
    };
    assert!(matches!(
        long.encode(),
        Err(FormatError::TooLarge { size: 65_536, .. })
    ));
}

proptest! {
    #[test]
    fn every_object_comes_back(
        revision: u64,
        entries in proptest::collection::vec(
            ("\\PC{0,20}", proptest::option::of((any::<u64>(), proptest::collection::vec(any::<u8>(), 0..50)))), 0..20),
    ) {
        let entries = entries.into_iter().map(|(key, put)| match put {
            Some((version, value)) => MetaEntry::Put { key, version, value: value.into() },
            None => MetaEntry::Delete { key },
        }).collect();
        let object = MetaObject { header: header(), kind: MetaKind::Changes, revision, entries };
        prop_assert_eq!(MetaObject::parse(&object.encode().unwrap()), Ok(object));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in hostile(changes().encode().unwrap().to_vec())) {
        let _ = MetaObject::parse(&bytes.into());
    }

    #[test]
    fn hostile_bytes_behind_a_right_checksum_never_panic(
        bytes in hostile(changes().encode().unwrap()[SLOT_HEADER_LEN..].to_vec()),
    ) {
        let mut object = header().encode().to_vec();
        object.extend_from_slice(&bytes);
        put_crc(&mut object);
        let _ = MetaObject::parse(&object.into());
    }
}
