//! Topic descriptors.
#![no_main]

use kafscale_core::checksum::crc32c;
use kafscale_core::format::topic_descriptor::TopicDescriptor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    let mut mended = data.to_vec();
    mended.extend_from_slice(&crc32c(data).to_be_bytes());
    check(&mended);
});

fn check(data: &[u8]) {
    if let Ok(object) = TopicDescriptor::parse(data) {
        assert_eq!(object.encode().expect("it was read"), data);
    }
}
