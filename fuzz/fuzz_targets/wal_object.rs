//! WAL objects: the tail, the footer, the batches that it tells of.
#![no_main]

use kafscale_core::checksum::crc32c;
use kafscale_core::format::slot::{AttemptId, SlotHeader, SlotKind, SlotMagic};
use kafscale_core::format::wal_object::{ParseTail, WalFooter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    if let Some((&[split], rest)) = data.split_first_chunk::<1>() {
        check(&object_around(usize::from(split) * 4, rest));
    }
});

fn check(object: &[u8]) {
    let len = object.len() as u64;
    for keep in [20, 100, object.len()] {
        let tail = &object[object.len().saturating_sub(keep)..];
        if let Ok(ParseTail::NeedMore { from }) = WalFooter::parse_tail(tail, len) {
            assert!(from < len - tail.len() as u64);
        }
    }
    let Ok(footer) = WalFooter::parse(object) else {
        return;
    };
    for run in &footer.runs {
        assert!(run.position + run.length <= len);
    }
    // The batches may be rubbish, and that must be found without a panic.
    let _ = footer.verify_payload(object);
}

/// An object whose headers and checksums are right: `split` bytes of batches, the rest is the footer behind its header.
fn object_around(split: usize, rest: &[u8]) -> Vec<u8> {
    let header = SlotHeader {
        magic: SlotMagic::Wal,
        kind: SlotKind::Data,
        attempt: AttemptId([7; 16]),
        writer: 1,
        nonce: 2,
        epoch: 3,
        slot: 4,
        trim: 5,
        created_ms: 6,
    };
    let (batches, runs) = rest.split_at(split.min(rest.len()));
    let footer = [&header.encode(), runs].concat();
    let mut object = [&header.encode(), batches].concat();
    let footer_at = object.len() as u64;
    object.extend_from_slice(&footer);
    object.extend_from_slice(&footer_at.to_be_bytes());
    object.extend_from_slice(&u32::try_from(footer.len()).expect("a small input").to_be_bytes());
    object.extend_from_slice(&crc32c(&footer).to_be_bytes());
    object.extend_from_slice(b"WEND");
    object
}
