use proptest::prelude::*;

use super::*;

fn varint(value: i32) -> Vec<u8> {
    let mut out = Vec::new();
    encode_varint(value, &mut out);
    out
}

fn varlong(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_varlong(value, &mut out);
    out
}

#[test]
fn numbers_have_the_zigzag_bytes_of_protocol_buffers() {
    for (value, bytes) in [
        (0, vec![0]),
        (-1, vec![1]),
        (1, vec![2]),
        (63, vec![0x7e]),
        (-64, vec![0x7f]),
        (64, vec![0x80, 1]),
        (i32::MAX, vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN, vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
    ] {
        assert_eq!(varint(value), bytes, "{value}");
        assert_eq!(decode_varint(&bytes), Ok((value, bytes.len())), "{value}");
    }
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(varlong(i64::MIN), most);
    assert_eq!(decode_varlong(&most), Ok((i64::MIN, 10)));
}

#[test]
fn a_number_that_is_too_wide_is_refused() {
    assert_eq!(
        decode_varint(&[0xff, 0xff, 0xff, 0xff, 0x10]),
        Err(VarintError::Overflow { bits: 32 })
    );
    assert_eq!(
        decode_varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]),
        Err(VarintError::Overflow { bits: 32 })
    );
    assert_eq!(decode_varint(&[0x80; 5]), Err(VarintError::Overflow { bits: 32 }));
    assert_eq!(
        decode_varlong(&[0xff; 11]),
        Err(VarintError::Overflow { bits: 64 })
    );
    let two_in_the_last = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
    assert_eq!(
        decode_varlong(&two_in_the_last),
        Err(VarintError::Overflow { bits: 64 })
    );
}

#[test]
fn a_number_that_ends_early_is_refused() {
    assert_eq!(decode_varint(&[]), Err(VarintError::Truncated));
    assert_eq!(decode_varint(&[0x80]), Err(VarintError::Truncated));
    assert_eq!(decode_varlong(&[0x80; 9]), Err(VarintError::Truncated));
}

proptest! {
    #[test]
    fn every_varint_comes_back(value in any::<i32>()) {
        let bytes = varint(value);
        prop_assert_eq!(bytes.len(), encoded_len(i64::from(value)));
        prop_assert_eq!(decode_varint(&bytes), Ok((value, bytes.len())));
        prop_assert_eq!(decode_varlong(&bytes), Ok((i64::from(value), bytes.len())));
    }

    #[test]
    fn every_varlong_comes_back(value in any::<i64>(), shift in 0_u32..64) {
        let value = value >> shift;
        let bytes = varlong(value);
        prop_assert_eq!(bytes.len(), encoded_len(value));
        prop_assert_eq!(decode_varlong(&bytes), Ok((value, bytes.len())));
    }
}
