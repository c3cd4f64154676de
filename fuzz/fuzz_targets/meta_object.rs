//! Metadata objects.
#![no_main]

use bytes::Bytes;
use kafscale_core::checksum::crc32c;
use kafscale_core::format::meta_object::MetaObject;
use kafscale_core::format::slot::{AttemptId, SlotHeader, SlotKind, SlotMagic};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data.to_vec());
    let header = SlotHeader {
        magic: SlotMagic::Meta,
        kind: SlotKind::Data,
        attempt: AttemptId([7; 16]),
        writer: 1,
        nonce: 2,
        epoch: 3,
        slot: 4,
        trim: 5,
        created_ms: 6,
    };
    let mut mended = [&header.encode(), data].concat();
    mended.extend_from_slice(&crc32c(&mended).to_be_bytes());
    check(mended);
});

fn check(data: Vec<u8>) {
    let data = Bytes::from(data);
    if let Ok(object) = MetaObject::parse(&data) {
        assert_eq!(object.encode().expect("it was read"), data);
    }
}
