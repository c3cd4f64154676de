//! Segment indexes.
#![no_main]

use kafscale_core::format::index::Index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(index) = Index::parse(data) else { return };
    assert_eq!(index.encode().expect("it was read"), data);
    for len in [0, 48, 5000, u64::MAX] {
        for offset in [i64::MIN, 0, 1000, i64::MAX] {
            let from = index.position_for(offset, len);
            assert!(from == 32 || (from > 32 && from < len - 16));
            let end = index.end_for(offset, len);
            assert!(end >= 32 && end <= len.max(32));
        }
    }
});
