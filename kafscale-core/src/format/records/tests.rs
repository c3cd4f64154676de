use proptest::prelude::*;

use super::*;
use crate::format::batch::{BatchLimits, rewrite_header, validate};
use crate::format::golden::{golden, hostile};

const LIMIT: usize = 1 << 20;
const LIMITS: BatchLimits = BatchLimits {
    max_batch_bytes: 1 << 20,
    allow_control: true,
};
const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn header(key: &'static str, value: Option<&'static [u8]>) -> RecordHeader {
    RecordHeader {
        key: Bytes::from_static(key.as_bytes()),
        value: value.map(Bytes::from_static),
    }
}

fn record(offset: i64, timestamp: i64, key: Option<&'static str>, value: Option<&'static str>) -> Record {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    Record {
        offset,
        timestamp,
        key: key.map(bytes),
        value: value.map(bytes),
        headers: vec![],
    }
}

/// Records with everything that records can have: nulls, empty bytes, repeated header keys, times that go back.
fn records() -> Vec<Record> {
    let mut first = record(100, 5000, Some("key"), Some("value"));
    first.headers = vec![
        header("a", Some(b"1")),
        header("b", None),
        header("a", Some(b"2")),
        header("", Some(b"")),
    ];
    vec![
        first,
        record(101, 4000, None, Some("")),
        record(102, 6000, Some(""), None),
    ]
}

fn append_all(mut builder: BatchBuilder, records: &[Record]) -> BatchBuilder {
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder
            .append(record.timestamp, key, value, &record.headers)
            .unwrap();
    }
    builder
}

fn sample(codec: Compression) -> Bytes {
    let builder = BatchBuilder::new()
        .compression(codec, None)
        .position(100, 7)
        .producer(9, 1, 40);
    append_all(builder, &records()).build().unwrap()
}

fn read(batch: &Bytes) -> Result<Vec<Record>, RecordError> {
    Records::open(batch, LIMIT)?.collect()
}

#[test]
fn records_come_back_whatever_the_codec() {
    for codec in CODECS {
        let batch = sample(codec);
        let header = validate(&batch, LIMITS).unwrap();
        assert_eq!(header.compression(), Ok(codec));
        assert_eq!(
            (header.base_offset, header.last_offset(), header.record_count),
            (100, 102, 3)
        );
        assert_eq!((header.base_timestamp, header.max_timestamp), (5000, 6000));
        assert_eq!(
            (header.producer_id, header.producer_epoch, header.base_sequence),
            (9, 1, 40)
        );
        assert_eq!(read(&batch), Ok(records()), "{codec:?}");
    }
}

#[test]
fn a_batch_has_its_golden_bytes() {
    let stored = golden("batch.bin", &sample(Compression::None));
    assert_eq!(read(&stored.into()), Ok(records()));
}

#[test]
fn records_share_the_memory_of_the_batch() {
    let batch = sample(Compression::None);
    let first = Records::open(&batch, LIMIT).unwrap().next().unwrap().unwrap();
    assert!(batch.as_ptr_range().contains(&first.value.unwrap().as_ptr()));
}

#[test]
fn flags_and_log_append_time_are_written() {
    let builder = BatchBuilder::new()
        .producer(9, 1, -1)
        .transactional()
        .control()
        .log_append_time(77);
    let batch = append_all(builder, &records()).build().unwrap();
    let header = validate(&batch, LIMITS).unwrap();
    assert!(header.is_control() && header.is_transactional());
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(
        (
            header.base_offset,
            header.partition_leader_epoch,
            header.max_timestamp
        ),
        (0, -1, 77)
    );
    assert!(read(&batch).unwrap().iter().all(|record| record.timestamp == 77));
}

#[test]
fn a_batch_needs_records() {
    assert_eq!(BatchBuilder::new().build(), Err(RecordError::Empty));
}

#[test]
fn timestamps_too_far_apart_are_refused() {
    let mut builder = BatchBuilder::new();
    builder.append(i64::MIN, None, None, &[]).unwrap();
    assert!(matches!(
        builder.append(i64::MAX, None, None, &[]),
        Err(RecordError::TooLarge { .. })
    ));
    assert_eq!(builder.record_count(), 1);
    let batch = builder.build().unwrap();
    assert_eq!(read(&batch).unwrap()[0].timestamp, i64::MIN);
}

#[test]
fn decompression_stops_at_the_limit() {
    let mut builder = BatchBuilder::new().compression(Compression::Zstd, None);
    builder.append(0, None, Some(&vec![0; 2 << 20]), &[]).unwrap();
    let error = Records::open(&builder.build().unwrap(), LIMIT).unwrap_err();
    assert_eq!(
        error,
        RecordError::Codec(CodecError::TooLarge {
            codec: Compression::Zstd,
            limit: LIMIT
        })
    );
}

/// An uncompressed batch with these bytes as its records.
fn with_records(count: i32, records: &[u8]) -> Bytes {
    let mut bytes = sample(Compression::None).to_vec();
    bytes.truncate(HEADER_LEN);
    bytes.extend_from_slice(records);
    let mut header = BatchHeader::parse(&bytes).unwrap();
    header.batch_length = i32::try_from(bytes.len() - 12).unwrap();
    (header.record_count, header.last_offset_delta) = (count, count - 1);
    rewrite_header(&mut bytes, &mut header).unwrap();
    bytes.into()
}

#[test]
fn broken_records_are_refused_and_end_the_iteration() {
    let good = [12, 0, 0, 0, 1, 1, 0];
    assert_eq!(read(&with_records(1, &good)).unwrap().len(), 1);
    let message = |count: i32, records: &[u8]| match Records::open(&with_records(count, records), LIMIT) {
        Ok(mut opened) => {
            let error = opened.find_map(Result::err).unwrap();
            assert_eq!(opened.next(), None);
            error.to_string()
        }
        Err(error) => error.to_string(),
    };
    let too_many = "the batch is invalid: its records cannot be as many as it says";
    assert_eq!(message(2, &good), too_many);
    assert_eq!(message(i32::MAX, &good), too_many);
    assert_eq!(message(-1, &good), too_many);
    assert_eq!(
        message(1, &[good.as_slice(), &[0]].concat()),
        "record 1, byte 7 of the records: bytes follow after the batch's last record"
    );
    assert_eq!(
        message(2, &[good, good].concat()),
        "record 1, byte 10 of the records: its offset is not between that before it and the batch's last"
    );
    for (records, expected) in [
        (
            [14, 0, 0, 0, 1, 1, 0],
            "byte 0 of the records: its length reaches beyond the batch",
        ),
        (
            [11, 0, 0, 0, 1, 1, 0],
            "byte 0 of the records: its length reaches beyond the batch",
        ),
        (
            [12, 0, 0, 2, 1, 1, 0],
            "byte 3 of the records: its offset is not between",
        ),
        (
            [12, 0, 0, 1, 1, 1, 0],
            "byte 3 of the records: its offset is not between",
        ),
        (
            [12, 0, 0, 0, 3, 1, 0],
            "byte 4 of the records: a length is negative",
        ),
        (
            [12, 0, 0, 0, 8, 1, 0],
            "byte 5 of the records: a field reaches beyond the record",
        ),
        (
            [12, 0, 0, 0, 1, 1, 2],
            "byte 6 of the records: its headers cannot be as many as it says",
        ),
        (
            [12, 0, 0, 0, 1, 1, 1],
            "byte 6 of the records: its headers cannot be as many as it says",
        ),
        (
            [12, 0, 0, 0, 1, 1, 0x80],
            "byte 6 of the records: the bytes end inside a variable-length integer",
        ),
        (
            [10, 0, 0, 0, 1, 1, 0],
            "byte 6 of the records: the bytes end inside a variable-length integer",
        ),
    ] {
        let message = message(1, &records);
        assert!(message.starts_with(&format!("record 0, {expected}")), "{message}");
    }
    let two_more = [16, 0, 0, 0, 1, 1, 0, 0, 0];
    assert!(message(1, &two_more).ends_with("bytes follow after its last header"));
    let null_key = [16, 0, 0, 0, 1, 1, 2, 1, 1];
    assert!(message(1, &null_key).ends_with("a header has no key"));
}

#[test]
fn only_exactly_one_batch_is_opened() {
    let batch = sample(Compression::None);
    assert!(matches!(
        read(&batch.slice(..90)),
        Err(RecordError::Batch(BatchError::Truncated { .. }))
    ));
    let longer = Bytes::from([batch.as_ref(), &[0]].concat());
    assert!(matches!(
        read(&longer),
        Err(RecordError::Batch(BatchError::BadLength { .. }))
    ));
}

#[test]
fn the_first_record_from_a_time_on_is_found() {
    for codec in CODECS {
        let batch = sample(codec);
        for (timestamp, found) in [
            (0, Some((100, 5000))),
            (5000, Some((100, 5000))),
            (5001, Some((102, 6000))),
            (6000, Some((102, 6000))),
            (6001, None),
        ] {
            assert_eq!(
                first_at_or_after(&batch, timestamp, LIMIT),
                Ok(found),
                "{codec:?} {timestamp}"
            );
        }
    }
    let builder = BatchBuilder::new().position(50, 0).log_append_time(77);
    let batch = append_all(builder, &records()).build().unwrap();
    assert_eq!(first_at_or_after(&batch, 77, LIMIT), Ok(Some((50, 77))));
    assert_eq!(first_at_or_after(&batch, 78, LIMIT), Ok(None));
}

fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100).prop_map(Bytes::from))
}

fn any_records() -> impl Strategy<Value = Vec<Record>> {
    let header = (any_bytes(), any_bytes()).prop_map(|(key, value)| RecordHeader {
        key: key.unwrap_or_default(),
        value,
    });
    let record = (
        0_i64..1 << 50,
        any_bytes(),
        any_bytes(),
        proptest::collection::vec(header, 0..4),
    );
    proptest::collection::vec(record, 1..20).prop_map(|records| {
        let numbered = records.into_iter().zip(0_i64..);
        let build = |((timestamp, key, value, headers), offset)| Record {
            offset,
            timestamp,
            key,
            value,
            headers,
        };
        numbered.map(build).collect()
    })
}

proptest! {
    #[test]
    fn any_records_come_back(records in any_records(), codec in proptest::sample::select(CODECS.to_vec())) {
        let builder = append_all(BatchBuilder::new().compression(codec, None), &records);
        let len = builder.uncompressed_len();
        let batch = builder.build().unwrap();
        if codec == Compression::None {
            prop_assert_eq!(len, batch.len());
        }
        validate(&batch, LIMITS).unwrap();
        prop_assert_eq!(read(&batch), Ok(records.clone()));
        let newest = records.iter().map(|record| record.timestamp).max().unwrap();
        let found = first_at_or_after(&batch, newest, LIMIT).unwrap().unwrap();
        prop_assert_eq!(found.1, newest);
    }

    #[test]
    fn hostile_batches_never_panic(
        bytes in proptest::sample::select(CODECS.to_vec()).prop_flat_map(|codec| hostile(sample(codec).to_vec())),
    ) {
        let batch = Bytes::from(bytes);
        if let Ok(records) = Records::open(&batch, 10_000) {
            prop_assert!(records.count() <= 10_001);
        }
        let _ = first_at_or_after(&batch, 5500, 10_000);
    }

    #[test]
    fn hostile_records_never_panic(bytes in hostile(sample(Compression::None)[HEADER_LEN..].to_vec())) {
        let _ = read(&with_records(3, &bytes));
    }
}
