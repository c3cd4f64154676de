use proptest::prelude::*;

use super::*;
use crate::format::golden::{damage_is_found, golden, hostile};

fn header(kind: SlotKind) -> SlotHeader {
    SlotHeader {
        magic: SlotMagic::Wal,
        kind,
        attempt: AttemptId(*b"0123456789abcdef"),
        writer: 3,
        nonce: 0xfeed_beef,
        epoch: 17,
        slot: 1000,
        trim: 990,
        created_ms: 1_767_225_600_000,
    }
}

fn seal() -> Seal {
    let header = SlotHeader {
        magic: SlotMagic::Meta,
        ..header(SlotKind::Seal)
    };
    Seal {
        header,
        successor: "00000000000000000018-0badcafe".to_owned(),
    }
}

#[test]
fn a_header_has_its_golden_bytes() {
    let stored = golden("slot-header.bin", &header(SlotKind::Data).encode());
    assert_eq!(stored.len(), SLOT_HEADER_LEN);
    assert_eq!(SlotHeader::parse(&stored), Ok(header(SlotKind::Data)));
}

#[test]
fn a_seal_has_its_golden_bytes() {
    let stored = golden("seal.kfm", &seal().encode().unwrap());
    assert_eq!(Seal::parse(&stored), Ok(seal()));
}

#[test]
fn a_seal_may_have_no_successor() {
    let seal = Seal {
        header: header(SlotKind::Seal),
        successor: String::new(),
    };
    let bytes = seal.encode().unwrap();
    assert_eq!(bytes.len(), MIN_SEAL_LEN);
    assert_eq!(Seal::parse(&bytes), Ok(seal));
}

#[test]
fn a_header_may_be_followed_by_anything() {
    let bytes = [header(SlotKind::Data).encode().as_slice(), &[1, 2, 3]].concat();
    assert_eq!(SlotHeader::parse(&bytes), Ok(header(SlotKind::Data)));
}

#[test]
fn data_is_not_a_seal() {
    let data = Seal {
        header: header(SlotKind::Data),
        successor: String::new(),
    };
    assert!(matches!(data.encode(), Err(FormatError::Misuse { .. })));
    let mut bytes = header(SlotKind::Data).encode().to_vec();
    bytes.extend_from_slice(&[0, 0]);
    put_crc(&mut bytes);
    let error = Seal::parse(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "seal: byte 6: the slot holds data, not a seal");
}

#[test]
fn a_successor_that_is_too_long_is_refused() {
    let seal = Seal {
        header: header(SlotKind::Seal),
        successor: "x".repeat(65_536),
    };
    assert!(matches!(
        seal.encode(),
        Err(FormatError::TooLarge { size: 65_536, .. })
    ));
}

#[test]
fn damage_to_a_header_or_a_seal_is_found() {
    // A header may be followed by other bytes, so only its own length is handed over.
    damage_is_found(&header(SlotKind::Data).encode(), |bytes| match bytes.len() {
        0..=SLOT_HEADER_LEN => SlotHeader::parse(bytes).map_err(|_| ()),
        _ => Err(()),
    });
    damage_is_found(&seal().encode().unwrap(), Seal::parse);
}

proptest! {
    #[test]
    fn every_header_and_seal_comes_back(
        (meta, attempt, writer, nonce) in (any::<bool>(), any::<[u8; 16]>(), any::<i32>(), any::<u32>()),
        (epoch, slot, trim, created_ms) in (any::<u64>(), any::<u64>(), any::<u64>(), any::<i64>()),
        successor in "\\PC{0,40}",
    ) {
        let magic = if meta { SlotMagic::Meta } else { SlotMagic::Wal };
        let attempt = AttemptId(attempt);
        for kind in [SlotKind::Data, SlotKind::Seal] {
            let header = SlotHeader { magic, kind, attempt, writer, nonce, epoch, slot, trim, created_ms };
            prop_assert_eq!(SlotHeader::parse(&header.encode()), Ok(header));
            if kind == SlotKind::Seal {
                let seal = Seal { header, successor: successor.clone() };
                prop_assert_eq!(Seal::parse(&seal.encode().unwrap()), Ok(seal));
            }
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in hostile(seal().encode().unwrap().to_vec())) {
        let _ = SlotHeader::parse(&bytes);
        let _ = Seal::parse(&bytes);
    }
}
