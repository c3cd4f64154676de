use proptest::prelude::*;

use super::*;
use crate::format::golden::{golden, hostile};

fn index() -> Index {
    let mut builder = IndexBuilder::new(100);
    for (offset, position, messages) in [
        (1000, 32, 60),
        (1060, 500, 39),
        (1099, 900, 1),
        (1100, 950, 250),
        (1350, 5000, 1),
        (1351, 5100, 1),
    ] {
        builder.add(offset, position, messages);
    }
    builder.finish()
}

fn entry(offset: i64, position: i32) -> IndexEntry {
    IndexEntry { offset, position }
}

#[test]
fn the_first_batch_and_then_every_hundredth_message_is_indexed() {
    assert_eq!(
        index().entries,
        [entry(1000, 32), entry(1100, 950), entry(1350, 5000)]
    );
}

#[test]
fn an_interval_below_one_indexes_every_batch() {
    let mut builder = IndexBuilder::new(-5);
    builder.add(0, 32, 1);
    builder.add(1, 100, 1);
    assert_eq!(
        builder.finish(),
        Index {
            interval: 1,
            entries: vec![entry(0, 32), entry(1, 100)]
        }
    );
}

#[test]
fn an_index_has_its_golden_bytes() {
    let stored = golden("segment.index", &index().encode().unwrap());
    assert_eq!(Index::parse(&stored), Ok(index()));
}

#[test]
fn the_place_of_an_offset_is_the_last_entry_at_or_before_it() {
    let (index, len) = (index(), 6000);
    for (offset, from, to) in [
        (0, 32, 32),
        (1000, 32, 950),
        (1099, 32, 950),
        (1100, 950, 5000),
        (1349, 950, 5000),
        (1350, 5000, 5984),
        (i64::MAX, 5000, 5984),
    ] {
        assert_eq!(index.position_for(offset, len), from, "{offset}");
        assert_eq!(index.end_for(offset, len), to, "{offset}");
    }
}

#[test]
fn entries_beyond_the_segment_do_not_count() {
    let index = index();
    assert_eq!(index.position_for(1350, 5016), 950);
    assert_eq!(index.position_for(1350, 5017), 5000);
    assert_eq!(index.end_for(1100, 1000), 984);
    assert_eq!(index.position_for(1350, 900), 32);
    assert_eq!(index.position_for(1350, 0), 32);
    assert_eq!(index.end_for(1000, 0), 32);
    assert_eq!(
        Index {
            interval: 1,
            entries: vec![]
        }
        .position_for(7, 1000),
        32
    );
}

#[test]
fn what_is_not_an_index_is_refused() {
    let good = index().encode().unwrap();
    let changed = |at: usize, bytes: &[u8]| {
        let mut raw = good.clone();
        raw[at..at + bytes.len()].copy_from_slice(bytes);
        Index::parse(&raw).unwrap_err().to_string()
    };
    assert_eq!(
        changed(3, b"X"),
        r#"segment index: byte 0: the magic is "IDXX", not "IDX\x00""#
    );
    assert_eq!(
        changed(4, &[0, 2]),
        "segment index: byte 4: version 2 is not supported, only 1 is"
    );
    assert_eq!(
        changed(6, &[0xff; 4]),
        "segment index: byte 6: the entry count is negative"
    );
    assert_eq!(
        changed(6, &[0x7f, 0xff, 0xff, 0xff]),
        "segment index: byte 6: 2147483647 entries cannot lie in the 36 bytes that follow"
    );
    assert_eq!(
        changed(6, &[0, 0, 0, 2]),
        "segment index: 12 bytes follow after its end at byte 40"
    );
    assert_eq!(
        changed(10, &[0; 4]),
        "segment index: byte 10: the interval is not positive"
    );
    assert_eq!(
        changed(24, &[0, 0, 0, 31]),
        "segment index: byte 24: a position lies in the segment's header"
    );
    assert_eq!(
        changed(28, &[0; 8]),
        "segment index: byte 28: an entry does not come after the one before it"
    );
    for end in 0..good.len() {
        assert!(Index::parse(&good[..end]).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn every_index_comes_back(
        interval in 1_i32..1000,
        batches in proptest::collection::vec((1_i32..300, 61_i32..5000), 0..60),
        wanted in 0_i64..20_000,
    ) {
        let mut builder = IndexBuilder::new(interval);
        let (mut offset, mut position) = (500_i64, 32_i32);
        let mut places = Vec::new();
        for (messages, len) in batches {
            builder.add(offset, position, messages);
            places.push((offset, position));
            offset += i64::from(messages);
            position += len;
        }
        let index = builder.finish();
        prop_assert_eq!(Index::parse(&index.encode().unwrap()), Ok(index.clone()));

        // The batch that holds the wanted offset lies between the two places that the index gives.
        if let Some((_, holder)) = places.iter().rev().find(|(base, _)| *base <= wanted) {
            let segment_len = u64::try_from(position).unwrap() + 16;
            let holder = u64::try_from(*holder).unwrap();
            prop_assert!(index.position_for(wanted, segment_len) <= holder);
            prop_assert!(index.end_for(wanted, segment_len) > holder);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in hostile(index().encode().unwrap()), offset: i64, len: u64) {
        if let Ok(index) = Index::parse(&bytes) {
            let from = index.position_for(offset, len);
            prop_assert!(from == 32 || from < len);
            prop_assert!(index.end_for(offset, len) >= 32);
        }
    }
}
