//! The records inside a batch, with every codec.
#![no_main]

use bytes::Bytes;
use kafscale_core::checksum::crc32c;
use kafscale_core::format::batch::{BatchHeader, CRC_COVERS_FROM, HEADER_LEN, LOG_OVERHEAD, MAGIC};
use kafscale_core::format::records::{BatchBuilder, Record, Records, first_at_or_after};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    read(&Bytes::copy_from_slice(data));
    if let Some((&[codec, count], records)) = data.split_first_chunk::<2>() {
        read(&batch_around(codec % 5, count, records));
    }
});

fn read(batch: &Bytes) {
    let Ok(opened) = Records::open(batch, LIMIT) else {
        return;
    };
    let header = *opened.header();
    let Ok(records) = opened.collect::<Result<Vec<_>, _>>() else {
        return;
    };
    assert_eq!(
        records.len(),
        usize::try_from(header.record_count).expect("it was counted")
    );
    let found = first_at_or_after(batch, header.max_timestamp, LIMIT).expect("all records can be read");
    if let Some((offset, timestamp)) = found {
        assert!(timestamp >= header.max_timestamp);
        assert!(offset >= header.base_offset);
    }
    write_again(&records);
}

/// What was read is written and read again: the same, but for offsets, which a builder numbers.
fn write_again(records: &[Record]) {
    let mut builder = BatchBuilder::new();
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        if builder
            .append(record.timestamp, key, value, &record.headers)
            .is_err()
        {
            return;
        }
    }
    let Ok(batch) = builder.build() else { return };
    let again = Records::open(&batch, LIMIT).expect("a batch that was built");
    for (record, before) in again.zip(records) {
        assert_eq!(
            record
                .map(|record| Record {
                    offset: before.offset,
                    ..record
                })
                .as_ref(),
            Ok(before)
        );
    }
}

fn batch_around(codec: u8, count: u8, records: &[u8]) -> Bytes {
    let mut header = BatchHeader {
        base_offset: 100,
        batch_length: i32::try_from(HEADER_LEN - LOG_OVERHEAD + records.len()).expect("a small input"),
        partition_leader_epoch: 0,
        magic: MAGIC,
        crc: 0,
        attributes: i16::from(codec),
        last_offset_delta: i32::from(count) - 1,
        base_timestamp: 1000,
        max_timestamp: 1000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: i32::from(count),
    };
    header.crc = crc32c(&[&header.encode()[CRC_COVERS_FROM..], records].concat());
    [&header.encode(), records].concat().into()
}
