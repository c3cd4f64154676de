//! For tests: segments and indexes that the Go implementation wrote (`testdata/go-*`) are read, and written the same.

use bytes::Bytes;

use super::batch::{BatchLimits, validate};
use super::golden::testdata;
use super::index::Index;
use super::records::{Record, RecordHeader, Records};
use super::segment::{HEADER_LEN, body, build_segment, rebuild_index, verify};

const LIMIT: usize = 1 << 20;

/// The records that were produced: number `i` of each topic, at one record a second from 2026 on, some with a null key
/// or value.
fn produced(i: i64, offset: i64, with_headers: bool) -> Record {
    let header = |key: &'static str, value: Option<&'static [u8]>| RecordHeader {
        key: Bytes::from_static(key.as_bytes()),
        value: value.map(Bytes::from_static),
    };
    let headers = [
        header("a", Some(b"1")),
        header("a", Some(b"2")),
        header("trace", Some(&[0, 0xff])),
        header("nul", None),
    ];
    Record {
        offset,
        timestamp: 1_767_225_600_000 + 1000 * i,
        key: (i % 5 != 0).then(|| format!("k{}", i % 7).into()),
        value: (i % 11 != 10).then(|| format!("order {i} ").repeat(3).into()),
        headers: if with_headers { headers.to_vec() } else { vec![] },
    }
}

fn check(name: &str, expected: &[Record]) {
    let segment = Bytes::from(testdata(&format!("go-{name}.kfs")));
    let index = testdata(&format!("go-{name}.index"));
    let verified = verify(&segment).unwrap();
    assert_eq!(verified.header.base_offset, expected[0].offset, "{name}");
    assert_eq!(
        verified.footer.last_offset,
        expected[expected.len() - 1].offset,
        "{name}"
    );

    let batch = segment.slice_ref(body(&segment).unwrap());
    assert_eq!(verified.batches, 1, "{name}");
    validate(
        &batch,
        BatchLimits {
            max_batch_bytes: LIMIT,
            allow_control: false,
        },
    )
    .unwrap();
    let records: Vec<_> = Records::open(&batch, LIMIT)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(records, expected, "{name}");

    let parsed = Index::parse(&index).unwrap();
    assert_eq!(
        parsed.position_for(verified.footer.last_offset, segment.len() as u64),
        HEADER_LEN as u64
    );
    assert_eq!(
        rebuild_index(&segment, parsed.interval).as_ref(),
        Ok(&parsed),
        "{name}"
    );

    // The same batches give the same bytes here.
    let built = build_segment(&[batch], verified.header.created_ms, parsed.interval).unwrap();
    assert_eq!(built.payload.concat(), segment, "{name}");
    assert_eq!(built.index, index, "{name}");
}

#[test]
fn segments_of_every_codec_are_read_and_written_alike() {
    for name in ["gzip", "snappy", "lz4", "zstd"] {
        let expected: Vec<_> = (0..40).map(|i| produced(i, i, false)).collect();
        check(name, &expected);
    }
}

#[test]
fn a_segment_in_the_middle_of_a_log_is_read() {
    let expected: Vec<_> = (40..80).map(|i| produced(i, i, false)).collect();
    check("gzip-40", &expected);
}

#[test]
fn a_segment_of_one_record_is_read() {
    check("plain", &[produced(2, 1, false)]);
}

#[test]
fn headers_keep_order_and_repeated_keys() {
    let expected: Vec<_> = (0..20).map(|i| produced(i, i, true)).collect();
    check("headers", &expected);
}
