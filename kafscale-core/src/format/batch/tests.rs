#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

/// One record without key, value "hello", CreateTime, no producer id; the CRC is still to be filled in.
const HELLO: &[u8] = &[
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 61, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    0x9b, 0x76, 0xda, 0xa8, 0, 0, 0, 1, 0x9b, 0x76, 0xda, 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 22, 0, 0, 0, 1, 10, b'h', b'e', b'l', b'l', b'o',
    0,
];

const LIMITS: BatchLimits = BatchLimits {
    max_batch_bytes: 1 << 20,
    allow_control: false,
};

fn hello() -> Vec<u8> {
    let mut bytes = HELLO.to_vec();
    let mut header = BatchHeader::parse(&bytes).unwrap();
    rewrite_header(&mut bytes, &mut header).unwrap();
    bytes
}

/// A batch with `count` records (whose bytes are zeros: nothing here looks into them), changed by `change`.
pub(in crate::format) fn batch_with(
    base_offset: i64,
    count: i32,
    payload: usize,
    change: impl FnOnce(&mut BatchHeader),
) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN + payload];
    let mut header = BatchHeader {
        base_offset,
        batch_length: i32::try_from(bytes.len() - LOG_OVERHEAD).unwrap(),
        partition_leader_epoch: -1,
        magic: MAGIC,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: 1000,
        max_timestamp: 2000,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        record_count: count,
    };
    change(&mut header);
    rewrite_header(&mut bytes, &mut header).unwrap();
    bytes
}

fn invalid(change: impl FnOnce(&mut BatchHeader)) -> &'static str {
    match validate(&batch_with(0, 3, 30, change), LIMITS) {
        Err(BatchError::InvalidRecord { reason }) => reason,
        other => panic!("accepted or refused otherwise: {other:?}"),
    }
}

#[test]
fn every_field_is_read_from_its_place() {
    let mut raw: Vec<u8> = (1..=61).collect();
    raw[8] = 0;
    raw[16] = 2;
    let header = BatchHeader::parse(&raw).unwrap();
    assert_eq!(header.base_offset, 0x0102_0304_0506_0708);
    assert_eq!(header.batch_length, 0x000a_0b0c);
    assert_eq!(header.partition_leader_epoch, 0x0d0e_0f10);
    assert_eq!(header.magic, 2);
    assert_eq!(header.crc, 0x1213_1415);
    assert_eq!(header.attributes, 0x1617);
    assert_eq!(header.last_offset_delta, 0x1819_1a1b);
    assert_eq!(header.base_timestamp, 0x1c1d_1e1f_2021_2223);
    assert_eq!(header.max_timestamp, 0x2425_2627_2829_2a2b);
    assert_eq!(header.producer_id, 0x2c2d_2e2f_3031_3233);
    assert_eq!(header.producer_epoch, 0x3435);
    assert_eq!(header.base_sequence, 0x3637_3839);
    assert_eq!(header.record_count, 0x3a3b_3c3d);
    assert_eq!(header.encode().as_slice(), raw);
    assert_eq!(header.total_len(), 12 + 0x000a_0b0c);
}

#[test]
fn a_plain_batch_passes() {
    let header = validate(&hello(), LIMITS).unwrap();
    assert_eq!(header.total_len(), HELLO.len());
    assert_eq!(
        (header.record_count, header.last_offset(), header.next_offset()),
        (1, 0, 1)
    );
    assert_eq!(header.compression(), Ok(Compression::None));
    assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    assert!(!header.is_idempotent() && !header.is_transactional() && !header.is_control());
    assert_eq!(header.last_sequence(), NO_SEQUENCE);
}

#[test]
fn older_message_formats_have_their_own_error() {
    for magic in [0_u8, 1, 3, 0xff] {
        let mut bytes = hello();
        bytes[MAGIC_AT] = magic;
        let expected = BatchError::UnsupportedMagic {
            magic: magic.cast_signed(),
        };
        assert_eq!(validate(&bytes, LIMITS), Err(expected.clone()));
        // A message of version 0 or 1 can be shorter than a batch header.
        assert_eq!(BatchHeader::parse(&bytes[..30]), Err(expected));
    }
}

#[test]
fn lengths_that_do_not_match_are_refused() {
    let bytes = hello();
    for end in 0..bytes.len() {
        let error = validate(&bytes[..end], LIMITS).unwrap_err();
        assert!(matches!(error, BatchError::Truncated { .. }), "{end}: {error}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(
        validate(&longer, LIMITS),
        Err(BatchError::BadLength { .. })
    ));
    for length in [48_i32, 0, -1, i32::MIN] {
        let mut bytes = bytes.clone();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        assert!(
            matches!(validate(&bytes, LIMITS), Err(BatchError::BadLength { length: said, .. }) if said == length)
        );
    }
    let mut bytes = bytes.clone();
    bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(
        validate(&bytes, LIMITS),
        Err(BatchError::Truncated { .. })
    ));
}

#[test]
fn a_batch_over_the_limit_is_too_large() {
    let bytes = batch_with(0, 1, 100, |_| {});
    let limits = BatchLimits {
        max_batch_bytes: 161,
        ..LIMITS
    };
    assert!(validate(&bytes, limits).is_ok());
    let limits = BatchLimits {
        max_batch_bytes: 160,
        ..LIMITS
    };
    assert_eq!(
        validate(&bytes, limits),
        Err(BatchError::TooLarge {
            size: 161,
            limit: 160
        })
    );
}

#[test]
fn every_flipped_bit_under_the_crc_is_found() {
    let bytes = hello();
    for at in CRC_COVERS_FROM - 4..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            assert!(
                matches!(validate(&bytes, LIMITS), Err(BatchError::BadCrc { .. })),
                "byte {at} bit {bit}"
            );
        }
    }
}

#[test]
fn counts_must_agree() {
    assert_eq!(invalid(|h| h.record_count = 0), "it says that it has no records");
    assert_eq!(invalid(|h| h.record_count = -5), "it says that it has no records");
    assert_eq!(
        invalid(|h| h.record_count = 4),
        "its last offset delta is not its record count less one"
    );
    assert_eq!(
        invalid(|h| h.last_offset_delta = -1),
        "its last offset delta is not its record count less one"
    );
    assert_eq!(
        invalid(|h| h.last_offset_delta = i32::MIN),
        "its last offset delta is not its record count less one"
    );
}

#[test]
fn attributes_must_be_known() {
    assert_eq!(
        invalid(|h| h.attributes = 0x80),
        "it has attribute bits that are not defined"
    );
    assert_eq!(
        invalid(|h| h.attributes = i16::MIN),
        "it has attribute bits that are not defined"
    );
    for codec in 5..=7 {
        let bytes = batch_with(0, 1, 10, |h| h.attributes = codec);
        let codec = u8::try_from(codec).unwrap();
        assert_eq!(
            validate(&bytes, LIMITS),
            Err(BatchError::UnsupportedCompression { codec })
        );
    }
    for codec in 0..=4 {
        let header = validate(&batch_with(0, 1, 10, |h| h.attributes = codec | 0x48), LIMITS).unwrap();
        assert_eq!(i16::from(header.compression().unwrap().id()), codec);
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert!(header.has_delete_horizon());
    }
}

#[test]
fn producers_with_an_id_need_epoch_and_sequence() {
    let idempotent = |h: &mut BatchHeader| (h.producer_id, h.producer_epoch, h.base_sequence) = (7, 0, 0);
    let header = validate(&batch_with(0, 3, 30, idempotent), LIMITS).unwrap();
    assert!(header.is_idempotent());
    assert_eq!(header.last_sequence(), 2);
    assert_eq!(
        invalid(|h| (h.producer_id, h.base_sequence) = (7, 0)),
        "it has a producer id but no producer epoch"
    );
    assert_eq!(
        invalid(|h| (h.producer_id, h.producer_epoch) = (7, 0)),
        "it has a producer id but no sequence number"
    );
    assert_eq!(invalid(|h| h.producer_id = -2), "its producer id is negative");
    assert_eq!(
        invalid(|h| h.attributes = 0x10),
        "it is transactional but has no producer id"
    );
}

#[test]
fn control_batches_are_refused_from_clients_only() {
    let marker = |h: &mut BatchHeader| (h.attributes, h.producer_id, h.producer_epoch) = (0x30, 7, 1);
    assert_eq!(invalid(marker), "clients may not write control batches");
    let limits = BatchLimits {
        allow_control: true,
        ..LIMITS
    };
    let header = validate(&batch_with(0, 1, 10, marker), limits).unwrap();
    assert!(header.is_control() && header.is_transactional());
}

#[test]
fn sequences_wrap_to_zero_after_the_largest() {
    let header = |base_sequence, count| {
        let bytes = batch_with(0, count, 10, |h| h.base_sequence = base_sequence);
        BatchHeader::parse(&bytes).unwrap()
    };
    assert_eq!(header(i32::MAX - 1, 2).last_sequence(), i32::MAX);
    assert_eq!(header(i32::MAX - 1, 3).last_sequence(), 0);
    assert_eq!(header(i32::MAX, 5).last_sequence(), 3);
    assert_eq!(add_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
}

#[test]
fn patching_leaves_the_crc_valid() {
    let mut bytes = hello();
    patch(&mut bytes, 0x0102_0304_0506, 77).unwrap();
    let header = validate(&bytes, LIMITS).unwrap();
    assert_eq!(
        (header.base_offset, header.partition_leader_epoch),
        (0x0102_0304_0506, 77)
    );
    assert_eq!(bytes[16..], hello()[16..]);
    assert!(matches!(
        patch(&mut bytes[..15], 1, 1),
        Err(BatchError::Truncated { .. })
    ));
}

#[test]
fn log_append_time_changes_attribute_time_and_crc_only() {
    let before = batch_with(5, 3, 30, |h| h.attributes = 4);
    let mut after = before.clone();
    let header = set_log_append_time(&mut after, 123_456).unwrap();
    assert_eq!(validate(&after, LIMITS), Ok(header));
    let expected = BatchHeader {
        attributes: 4 | LOG_APPEND_TIME_FLAG,
        max_timestamp: 123_456,
        crc: header.crc,
        ..BatchHeader::parse(&before).unwrap()
    };
    assert_eq!(header, expected);
    assert_eq!(after[HEADER_LEN..], before[HEADER_LEN..]);
    after.push(0);
    assert!(matches!(
        set_log_append_time(&mut after, 1),
        Err(BatchError::BadLength { .. })
    ));
}

#[test]
fn batches_are_walked_one_by_one() {
    let parts = [
        batch_with(0, 3, 30, |_| {}),
        batch_with(3, 1, 0, |_| {}),
        batch_with(4, 10, 500, |_| {}),
    ];
    let bytes = parts.concat();
    let walked: Vec<_> = Batches::strict(&bytes).map(|batch| batch.unwrap()).collect();
    let places: Vec<_> = walked.iter().map(|(_, place)| place.clone()).collect();
    assert_eq!(places, [0..91, 91..152, 152..713]);
    let offsets: Vec<_> = walked
        .iter()
        .map(|(header, _)| (header.base_offset, header.last_offset()))
        .collect();
    assert_eq!(offsets, [(0, 2), (3, 3), (4, 13)]);
    assert_eq!(Batches::strict(&[]).count(), 0);
}

#[test]
fn a_cut_off_batch_is_an_error_or_the_end() {
    let bytes = [batch_with(0, 3, 30, |_| {}), batch_with(3, 1, 40, |_| {})].concat();
    for end in 92..bytes.len() {
        let cut = &bytes[..end];
        let strict: Vec<_> = Batches::strict(cut).collect();
        assert_eq!(strict.len(), 2, "{end}");
        assert!(matches!(strict[1], Err(BatchError::Truncated { .. })), "{end}");
        assert_eq!(
            Batches::lenient(cut)
                .collect::<Result<Vec<_>, _>>()
                .unwrap()
                .len(),
            1,
            "{end}"
        );
    }
}

#[test]
fn rubbish_between_batches_is_an_error_in_both_modes() {
    let mut bytes = [batch_with(0, 3, 30, |_| {}), batch_with(3, 1, 40, |_| {})].concat();
    bytes[91 + 8..91 + 12].copy_from_slice(&7_i32.to_be_bytes());
    for mut batches in [Batches::strict(&bytes), Batches::lenient(&bytes)] {
        assert!(batches.next().unwrap().is_ok());
        assert!(matches!(
            batches.next(),
            Some(Err(BatchError::BadLength { length: 7, .. }))
        ));
        assert_eq!(batches.position(), 91);
        assert!(batches.next().is_none());
    }
}

#[test]
fn the_batch_of_an_offset_is_found() {
    let bytes = [
        batch_with(10, 3, 30, |_| {}),
        batch_with(13, 1, 0, |_| {}),
        batch_with(20, 5, 9, |_| {}),
    ]
    .concat();
    for (offset, position) in [
        (0, Some(0)),
        (10, Some(0)),
        (12, Some(0)),
        (13, Some(91)),
        (14, Some(152)),
        (24, Some(152)),
        (25, None),
    ] {
        assert_eq!(skip_to_offset(&bytes, offset), Ok(position), "{offset}");
    }
    assert_eq!(skip_to_offset(&bytes[..160], 20), Ok(None));
    assert!(skip_to_offset(&[1; 100], 0).is_err());
}

#[test]
fn whole_batches_are_taken_and_at_least_one() {
    let bytes = [
        batch_with(10, 3, 30, |_| {}),
        batch_with(13, 1, 0, |_| {}),
        batch_with(20, 5, 9, |_| {}),
    ]
    .concat();
    for (max_bytes, taken) in [
        (0, 91),
        (1, 91),
        (91, 91),
        (151, 91),
        (152, 152),
        (221, 152),
        (222, 222),
        (usize::MAX, 222),
    ] {
        assert_eq!(take_whole(&bytes, max_bytes), Ok(taken), "{max_bytes}");
    }
    assert_eq!(take_whole(&bytes[..90], 1000), Ok(0));
    assert_eq!(take_whole(&[], 1000), Ok(0));
}

proptest! {
    #[test]
    fn any_header_comes_back(
        (base_offset, batch_length, partition_leader_epoch, crc) in
            (any::<i64>(), MIN_BATCH_LENGTH..=i32::MAX, any::<i32>(), any::<u32>()),
        (attributes, last_offset_delta, base_timestamp, max_timestamp) in
            (any::<i16>(), any::<i32>(), any::<i64>(), any::<i64>()),
        (producer_id, producer_epoch, base_sequence, record_count) in
            (any::<i64>(), any::<i16>(), any::<i32>(), any::<i32>()),
    ) {
        let header = BatchHeader {
            base_offset, batch_length, partition_leader_epoch, magic: MAGIC, crc, attributes, last_offset_delta,
            base_timestamp, max_timestamp, producer_id, producer_epoch, base_sequence, record_count,
        };
        prop_assert_eq!(BatchHeader::parse(&header.encode()), Ok(header));
        // None of these may overflow.
        let _ = (header.last_offset(), header.next_offset(), header.last_sequence(), header.total_len());
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), magic in any::<bool>()) {
        if magic && let Some(at) = bytes.get_mut(MAGIC_AT) {
            *at = 2;
            if let Some(length) = bytes.get_mut(8..11) {
                length.fill(0);
            }
        }
        let _ = validate(&bytes, LIMITS);
        let _ = skip_to_offset(&bytes, 1000);
        if let Ok(taken) = take_whole(&bytes, 100) {
            prop_assert!(taken <= bytes.len());
        }
        let mut walked = 0;
        for (_, place) in Batches::strict(&bytes).flatten() {
            prop_assert_eq!(place.start, walked);
            walked = place.end;
        }
        prop_assert!(walked <= bytes.len());
        let _ = set_log_append_time(&mut bytes, 1);
        let _ = patch(&mut bytes, 1, 1);
    }
}
