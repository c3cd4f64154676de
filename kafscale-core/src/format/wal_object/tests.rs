use proptest::prelude::*;

use super::*;
use crate::format::batch::tests::batch_with;
use crate::format::golden::{damage_is_found, golden, hostile};
use crate::format::slot::AttemptId;

fn header() -> SlotHeader {
    SlotHeader {
        magic: SlotMagic::Wal,
        kind: SlotKind::Data,
        attempt: AttemptId([7; 16]),
        writer: 3,
        nonce: 0xfeed_beef,
        epoch: 17,
        slot: 1000,
        trim: 990,
        created_ms: 1_767_225_600_000,
    }
}

const ORDERS: TopicId = TopicId([1; 16]);
const CLICKS: TopicId = TopicId([2; 16]);

fn producer(id: i64, sequence: i32) -> impl FnOnce(&mut BatchHeader) {
    move |header| (header.producer_id, header.producer_epoch, header.base_sequence) = (id, 1, sequence)
}

fn sample() -> (Bytes, Vec<WalRun>) {
    let hint = WalSizeHint {
        payload_bytes: 400,
        runs: 3,
        batches: 4,
    };
    let mut builder = WalObjectBuilder::new(header(), hint).unwrap();
    builder.begin_run(ORDERS, "orders!2", 0, 5);
    builder.push_batch(&batch_with(0, 3, 30, |_| {}), 1000).unwrap();
    builder
        .push_batch(&batch_with(0, 2, 20, producer(77, i32::MAX)), 1003)
        .unwrap();
    builder.begin_run(ORDERS, "orders!2", 1, 0);
    builder.begin_run(CLICKS, "clicks", 7, 9);
    builder
        .push_batch(&batch_with(0, 1, 10, producer(78, 4)), 0)
        .unwrap();
    builder.finish().unwrap()
}

fn expected_runs() -> Vec<WalRun> {
    vec![
        WalRun {
            topic_id: ORDERS,
            directory: "orders!2".to_owned(),
            partition: 0,
            leader_epoch: 5,
            base_offset: 1000,
            last_offset: 1004,
            position: 72,
            length: 91 + 81,
            max_timestamp: 2000,
            record_count: 5,
            producer_batches: vec![ProducerBatch {
                producer_id: 77,
                producer_epoch: 1,
                base_sequence: i32::MAX,
                last_sequence: 0,
                base_offset: 1003,
                last_offset: 1004,
                max_timestamp: 2000,
            }],
        },
        WalRun {
            topic_id: CLICKS,
            directory: "clicks".to_owned(),
            partition: 7,
            leader_epoch: 9,
            base_offset: 0,
            last_offset: 0,
            position: 72 + 91 + 81,
            length: 71,
            max_timestamp: 2000,
            record_count: 1,
            producer_batches: vec![ProducerBatch {
                producer_id: 78,
                producer_epoch: 1,
                base_sequence: 4,
                last_sequence: 4,
                base_offset: 0,
                last_offset: 0,
                max_timestamp: 2000,
            }],
        },
    ]
}

#[test]
fn an_object_has_its_golden_bytes() {
    let (object, runs) = sample();
    assert_eq!(runs, expected_runs());
    let stored = golden("wal-object.kfw", &object);
    let footer = WalFooter::parse(&stored).unwrap();
    assert_eq!(
        footer,
        WalFooter {
            header: header(),
            runs: expected_runs()
        }
    );
    footer.verify_payload(&stored).unwrap();
}

#[test]
fn batches_are_patched_in_the_object_and_not_outside() {
    let batch = batch_with(0, 3, 30, |_| {});
    let before = batch.clone();
    let mut builder = WalObjectBuilder::new(header(), WalSizeHint::default()).unwrap();
    builder.begin_run(ORDERS, "orders", 0, 5);
    builder.push_batch(&batch, 1000).unwrap();
    let (object, runs) = builder.finish().unwrap();
    assert_eq!(batch, before);
    let run = runs[0].slice(&object).unwrap();
    let stored = batch::validate(
        &run,
        batch::BatchLimits {
            max_batch_bytes: 91,
            allow_control: false,
        },
    )
    .unwrap();
    assert_eq!((stored.base_offset, stored.partition_leader_epoch), (1000, 5));
    assert_eq!(run[16..], batch[16..]);
    assert_eq!(runs[0].slice(&object.slice(..100)), None);
}

#[test]
fn a_good_hint_takes_the_room_at_once() {
    let hint = WalSizeHint {
        payload_bytes: 91,
        runs: 1,
        batches: 1,
    };
    let mut builder = WalObjectBuilder::new(header(), hint).unwrap();
    let (place, capacity) = (builder.buffer.as_ptr(), builder.buffer.capacity());
    builder.begin_run(ORDERS, "orders", 0, 5);
    builder
        .push_batch(&batch_with(0, 3, 30, producer(1, 1)), 1000)
        .unwrap();
    let (object, _) = builder.finish().unwrap();
    assert_eq!(object.as_ptr(), place);
    assert!(object.len() <= capacity);
}

#[test]
fn an_object_may_carry_nothing_but_a_trim_point() {
    let (object, runs) = WalObjectBuilder::new(header(), WalSizeHint::default())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(runs, []);
    assert_eq!(object.len(), MIN_WAL_OBJECT_LEN);
    assert_eq!(
        WalFooter::parse(&object),
        Ok(WalFooter {
            header: header(),
            runs
        })
    );
    golden("wal-object-empty.kfw", &object);
}

#[test]
fn the_footer_is_read_from_the_tail_in_at_most_two_steps() {
    let (object, runs) = sample();
    let len = object.len() as u64;
    let footer = ParseTail::Footer(WalFooter {
        header: header(),
        runs,
    });
    for start in 0..object.len() {
        match WalFooter::parse_tail(&object[start..], len).unwrap() {
            found @ ParseTail::Footer(_) => assert_eq!(found, footer, "{start}"),
            ParseTail::NeedMore { from } => {
                assert!(from < start as u64);
                let mut more = from;
                if object.len() - start < TRAILER_LEN {
                    assert_eq!(from, len - 20);
                    let second =
                        WalFooter::parse_tail(&object[usize::try_from(from).unwrap()..], len).unwrap();
                    let ParseTail::NeedMore { from } = second else {
                        panic!("{second:?}")
                    };
                    more = from;
                }
                assert_eq!(more, 72 + 91 + 81 + 71);
                let found = WalFooter::parse_tail(&object[usize::try_from(more).unwrap()..], len);
                assert_eq!(found.as_ref(), Ok(&footer), "{start}");
            }
        }
    }
    assert_eq!(
        WalFooter::parse_tail(&[], len),
        Ok(ParseTail::NeedMore { from: len - 20 })
    );
    assert!(WalFooter::parse_tail(&object, len - 1).is_err());
    assert!(WalFooter::parse_tail(&object[1..], 50).is_err());
}

#[test]
fn misuse_of_the_builder_is_refused_and_adds_nothing() {
    let seal = SlotHeader {
        kind: SlotKind::Seal,
        ..header()
    };
    assert!(WalObjectBuilder::new(seal, WalSizeHint::default()).is_err());
    let meta = SlotHeader {
        magic: SlotMagic::Meta,
        ..header()
    };
    assert!(WalObjectBuilder::new(meta, WalSizeHint::default()).is_err());

    let batch = batch_with(0, 3, 30, |_| {});
    let mut builder = WalObjectBuilder::new(header(), WalSizeHint::default()).unwrap();
    let message = |result: Result<(), FormatError>| result.unwrap_err().to_string();
    assert_eq!(
        message(builder.push_batch(&batch, 0)),
        "WAL object: no run was begun"
    );
    builder.begin_run(ORDERS, "orders", 0, 5);
    assert!(message(builder.push_batch(&batch[..60], 0)).contains("the batch at byte 72"));
    assert_eq!(
        message(builder.push_batch(&batch[..90], 0)),
        "WAL object: what is pushed is not exactly one batch"
    );
    assert_eq!(
        message(builder.push_batch(&batch, -1)),
        "WAL object: the batch's offsets are not possible"
    );
    assert_eq!(
        message(builder.push_batch(&batch, i64::MAX - 2)),
        "WAL object: the batch's offsets are not possible"
    );
    builder.push_batch(&batch, 10).unwrap();
    assert_eq!(
        message(builder.push_batch(&batch, 14)),
        "WAL object: the batch's offsets do not follow those before it"
    );
    let odd = batch_with(0, 3, 30, |header| header.last_offset_delta = 7);
    assert_eq!(
        message(builder.push_batch(&odd, 13)),
        "WAL object: the batch does not have as many records as offsets"
    );
    assert_eq!(builder.len(), 72 + 91);
    let (object, _) = builder.finish().unwrap();
    WalFooter::parse(&object)
        .unwrap()
        .verify_payload(&object)
        .unwrap();
}

#[test]
fn every_damaged_bit_is_found() {
    let (object, _) = sample();
    damage_is_found(&object, |bytes| WalFooter::parse(bytes)?.verify_payload(bytes));
}

#[test]
fn a_footer_of_another_object_is_found() {
    let (object, _) = sample();
    let footer = WalFooter::parse(&object).unwrap();
    let other = SlotHeader {
        slot: 1001,
        ..header()
    };
    let (other, _) = WalObjectBuilder::new(other, WalSizeHint::default())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(
        footer.verify_payload(&other).unwrap_err().to_string(),
        "WAL object: byte 0: header and footer belong to different slots"
    );
    let mut mixed = object.to_vec();
    mixed[..72].copy_from_slice(&other[..72]);
    assert!(WalFooter::parse(&mixed).is_err());
}

/// An object whose footer says what `change` makes of it, with a right checksum.
fn forged(change: impl FnOnce(&mut Vec<WalRun>)) -> Result<WalFooter, FormatError> {
    let (object, mut runs) = sample();
    let footer_at = 72 + 91 + 81 + 71;
    change(&mut runs);
    let mut footer = header().encode().to_vec();
    put_count(&mut footer, FOOTER, "runs", runs.len()).unwrap();
    runs.iter().for_each(|run| run.encode(&mut footer).unwrap());
    let mut bytes = [&object[..footer_at], footer.as_slice()].concat();
    put(&mut bytes, (footer_at as u64).to_be_bytes());
    put_count(&mut bytes, FOOTER, "length", footer.len()).unwrap();
    put(&mut bytes, crc32c(&footer).to_be_bytes());
    put(&mut bytes, END_MAGIC);
    let footer = WalFooter::parse(&bytes)?;
    footer.verify_payload(&bytes)?;
    Ok(footer)
}

#[test]
fn a_footer_that_lies_is_refused() {
    assert!(forged(|_| {}).is_ok());
    let message = |change: fn(&mut Vec<WalRun>)| forged(change).unwrap_err().to_string();
    let overlap = "the run's bytes overlap others or lie outside the object";
    assert!(message(|runs| runs[1].position -= 1).contains(overlap));
    assert!(message(|runs| runs[0].position = 0).contains(overlap));
    assert!(message(|runs| runs[1].length += 1).contains(overlap));
    assert!(message(|runs| runs[1].length = u64::MAX).contains(overlap));
    assert!(message(|runs| runs[1].length = 0).contains(overlap));
    assert!(message(|runs| runs[0].last_offset = 999).contains("the last offset is not possible"));
    assert!(message(|runs| runs[0].last_offset = i64::MAX).contains("the last offset is not possible"));
    assert!(message(|runs| runs[0].base_offset = -1).contains("the base offset is negative"));
    assert!(message(|runs| runs[0].partition = -1).contains("the partition is negative"));
    assert!(
        message(|runs| runs[0].record_count = 4).contains("the record count is not the number of offsets")
    );
    assert!(
        message(|runs| runs[0].directory = "a/b".to_owned()).contains("the directory is not one of a topic")
    );
    assert!(
        message(|runs| runs[0].producer_batches[0].last_offset = 1005)
            .contains("a producer's batch lies outside")
    );
    // Right in themselves, but not what the batches say.
    assert!(message(|runs| runs[0].leader_epoch = 6).contains("leader epoch is not the run's"));
    assert!(message(|runs| runs[0].max_timestamp = 1).contains("not those that the footer tells of"));
    assert!(message(|runs| runs[0].producer_batches.clear()).contains("not those that the footer tells of"));
    assert!(
        message(|runs| {
            runs[0].base_offset += 1;
            runs[0].last_offset += 1;
        })
        .contains("offsets are not those that the footer tells of")
    );
}

#[test]
fn a_run_count_that_the_footer_cannot_hold_is_refused() {
    let (object, _) = WalObjectBuilder::new(header(), WalSizeHint::default())
        .unwrap()
        .finish()
        .unwrap();
    let mut bytes = object.to_vec();
    bytes[72 + 72..72 + 76].copy_from_slice(&[0xff; 4]);
    let crc = crc32c(&bytes[72..148]);
    let end = bytes.len();
    bytes[end - 8..end - 4].copy_from_slice(&crc.to_be_bytes());
    let error = WalFooter::parse(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "WAL footer: byte 144: 4294967295 runs cannot lie in the 0 bytes that follow"
    );
}

proptest! {
    #[test]
    fn every_object_comes_back(
        runs in proptest::collection::vec(
            (any::<[u8; 16]>(), "[a-z]{1,20}", 0_i32..100, 0_i32..50, 0_i64..1 << 40,
             proptest::collection::vec((1_i32..20, 0_usize..100, proptest::option::of(0_i64..1000)), 0..5)),
            0..8,
        ),
    ) {
        let mut builder = WalObjectBuilder::new(header(), WalSizeHint::default()).unwrap();
        let mut records = 0;
        for (topic, directory, partition, epoch, base, batches) in &runs {
            builder.begin_run(TopicId(*topic), directory, *partition, *epoch);
            let mut next = *base;
            for (count, payload, id) in batches {
                let batch = match id {
                    Some(id) => batch_with(0, *count, *payload, producer(*id, 5)),
                    None => batch_with(0, *count, *payload, |_| {}),
                };
                builder.push_batch(&batch, next).unwrap();
                next += i64::from(*count);
                records += u64::from(count.unsigned_abs());
            }
        }
        let (object, built) = builder.finish().unwrap();
        let footer = WalFooter::parse(&object).unwrap();
        prop_assert_eq!(&footer.runs, &built);
        prop_assert_eq!(built.iter().map(|run| u64::from(run.record_count)).sum::<u64>(), records);
        footer.verify_payload(&object).unwrap();
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in hostile(sample().0.to_vec()), object_len: u64) {
        let _ = WalFooter::parse_tail(&bytes, object_len);
        let _ = WalFooter::parse_tail(&bytes, 100_000);
        if let Ok(footer) = WalFooter::parse(&bytes) {
            let _ = footer.verify_payload(&bytes);
        }
        let (_, runs) = sample();
        let _ = WalFooter { header: header(), runs }.verify_payload(&bytes);
    }
}
