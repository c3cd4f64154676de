#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn a_record_tells_its_run_and_its_time() {
    for content in [Content::Random, Content::Words] {
        for size in [STAMP_LEN, 1000, 3 << 20] {
            let mut payload = Payload::new(42, content, size, 1);
            let value = payload.value(123_456_789).to_vec();
            assert_eq!(value.len(), size);
            assert_eq!(due(42, &value), Some(123_456_789));
            assert_eq!(due(43, &value), None);
            assert_eq!(due(42, &value[..15]), None);
        }
    }
}

#[test]
fn words_compress_and_random_bytes_do_not() {
    use kafscale_core::format::codec::{Compression, compress};
    let len = |content| {
        let mut payload = Payload::new(1, content, 1 << 10, 1);
        let values: Vec<u8> = (0..64).flat_map(|n| payload.value(n).to_vec()).collect();
        compress(Compression::Lz4, None, &values).unwrap().len() as f64 / values.len() as f64
    };
    assert!(len(Content::Random) > 0.95);
    assert!(
        (0.1..0.7).contains(&len(Content::Words)),
        "{}",
        len(Content::Words)
    );
}
