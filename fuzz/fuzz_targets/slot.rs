//! Slot headers and seals.
#![no_main]

use kafscale_core::checksum::crc32c;
use kafscale_core::format::slot::{SLOT_HEADER_LEN, Seal, SlotHeader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    let mut mended = data.to_vec();
    if let Some(covered) = data.get(..64)
        && let Some(place) = mended.get_mut(64..68)
    {
        place.copy_from_slice(&crc32c(covered).to_be_bytes());
    }
    mended.extend_from_slice(&crc32c(&mended).to_be_bytes());
    check(&mended);
});

fn check(data: &[u8]) {
    if let Ok(header) = SlotHeader::parse(data) {
        assert_eq!(header.encode(), data[..SLOT_HEADER_LEN]);
    }
    if let Ok(seal) = Seal::parse(data) {
        assert_eq!(seal.encode().expect("it was read"), data);
    }
}
