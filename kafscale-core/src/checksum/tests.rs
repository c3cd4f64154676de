use proptest::prelude::*;

use super::{crc32c, crc32c_append, crc32c_combine};

#[test]
fn gives_the_check_values_of_rfc_3720() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(crc32c(b""), 0);
}

proptest! {
    #[test]
    fn appending_and_combining_give_the_crc_of_the_whole(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        cut in any::<prop::sample::Index>(),
    ) {
        let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
        let whole = crc32c(&bytes);
        prop_assert_eq!(crc32c_append(crc32c(first), second), whole);
        prop_assert_eq!(crc32c_combine(crc32c(first), crc32c(second), second.len()), whole);
    }
}
