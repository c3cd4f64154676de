//! Segments: header, footer, the walk over the body.
#![no_main]

use bytes::Bytes;
use kafscale_core::checksum::crc32c;
use kafscale_core::format::segment::{
    FOOTER_LEN, HEADER_LEN, SegmentFooter, SegmentHeader, body, build_segment, rebuild_index, verify,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    let mut mended = data.to_vec();
    if let Ok(body) = body(data) {
        let at = data.len() - FOOTER_LEN;
        mended[at..at + 4].copy_from_slice(&crc32c(body).to_be_bytes());
        check(&mended);
    }
});

fn check(data: &[u8]) {
    if let Ok(header) = SegmentHeader::parse(data) {
        assert_eq!(header.encode(), data[..HEADER_LEN]);
    }
    if let Ok(footer) = SegmentFooter::parse(data) {
        assert_eq!(footer.encode(), data[data.len() - FOOTER_LEN..]);
    }
    let Ok(verified) = verify(data) else { return };
    let chunk = Bytes::copy_from_slice(body(data).expect("it was verified"));
    let built = build_segment(&[chunk], verified.header.created_ms, 100).expect("the same batches");
    assert_eq!(built.payload.concat(), data);
    let index = rebuild_index(data, 100).expect("the same batches");
    assert_eq!(index.encode().expect("a small index"), built.index);
    assert!(index.position_for(verified.footer.last_offset, data.len() as u64) < data.len() as u64);
}
