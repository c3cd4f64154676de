use super::*;

fn batch(producer_id: i64, epoch: i16, sequence: i32, records: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 49,
        partition_leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: records - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        record_count: records,
    }
}

fn take(producers: &mut Producers, header: &BatchHeader, base: i64, hw: i64) {
    assert_eq!(producers.check(header), Ok(Sequenced::New));
    producers.record(header, base, hw, 500);
}

#[test]
fn the_next_sequence_is_new_and_a_repeat_gets_its_first_offsets() {
    let mut producers = Producers::default();
    take(&mut producers, &batch(7, 0, 0, 10), 100, 0);
    take(&mut producers, &batch(7, 0, 10, 5), 110, 0);
    assert_eq!(
        producers.check(&batch(7, 0, 0, 10)),
        Ok(Sequenced::Duplicate {
            base_offset: 100,
            last_offset: 109
        })
    );
}

#[test]
fn a_gap_is_refused_and_names_what_comes_next() {
    let mut producers = Producers::default();
    take(&mut producers, &batch(7, 0, 0, 10), 0, 0);
    assert_eq!(
        producers.check(&batch(7, 0, 11, 1)),
        Err(SequenceError::Gap {
            producer_id: 7,
            sent: 11,
            expected: 10
        })
    );
}

#[test]
fn a_repeat_that_is_no_longer_remembered_is_told_apart_from_a_gap() {
    let mut producers = Producers::default();
    for n in 0..7 {
        take(&mut producers, &batch(7, 0, n, 1), i64::from(n), 100);
    }
    assert_eq!(
        producers.check(&batch(7, 0, 0, 1)),
        Err(SequenceError::TooOld {
            producer_id: 7,
            sent: 0
        })
    );
    assert!(matches!(
        producers.check(&batch(7, 0, 2, 1)),
        Ok(Sequenced::Duplicate { base_offset: 2, .. })
    ));
}

#[test]
fn an_older_epoch_is_refused_and_a_newer_one_starts_at_sequence_zero() {
    let mut producers = Producers::default();
    take(&mut producers, &batch(7, 3, 0, 1), 0, 0);
    assert!(matches!(
        producers.check(&batch(7, 2, 1, 1)),
        Err(SequenceError::StaleEpoch { .. })
    ));
    assert!(matches!(
        producers.check(&batch(7, 4, 1, 1)),
        Err(SequenceError::Gap { expected: 0, .. })
    ));
    take(&mut producers, &batch(7, 4, 0, 1), 1, 0);
    assert_eq!(producers.check(&batch(7, 4, 1, 1)), Ok(Sequenced::New));
}

#[test]
fn sequences_wrap_to_zero() {
    let mut producers = Producers::default();
    take(&mut producers, &batch(7, 0, i32::MAX - 1, 2), 0, 0);
    assert_eq!(producers.check(&batch(7, 0, 0, 1)), Ok(Sequenced::New));
}

#[test]
fn a_batch_that_may_still_be_lost_is_not_part_of_what_is_durable() {
    let mut producers = Producers::default();
    for n in 0..4 {
        take(&mut producers, &batch(7, 0, n, 1), i64::from(n), 2);
    }
    let durable = producers.durable(2);
    assert_eq!(durable.len(), 1);
    let offsets: Vec<i64> = durable[0].1.batches.iter().map(|b| b.base_offset).collect();
    assert_eq!(offsets, [0, 1]);
    assert!(Producers::default().durable(9).is_empty());
}

#[test]
fn more_than_five_batches_that_are_not_durable_are_all_remembered() {
    let mut producers = Producers::default();
    for n in 0..9 {
        take(&mut producers, &batch(7, 0, n, 1), i64::from(n), 0);
    }
    assert!(matches!(
        producers.check(&batch(7, 0, 0, 1)),
        Ok(Sequenced::Duplicate { base_offset: 0, .. })
    ));
}

#[test]
fn an_idle_producer_is_forgotten_but_not_while_its_batch_is_on_its_way() {
    let mut producers = Producers::default();
    take(&mut producers, &batch(7, 0, 0, 1), 0, 0);
    producers.expire(1_000, 0);
    assert_eq!(producers.durable(9).len(), 1);
    producers.expire(1_000, 1);
    assert_eq!(producers.durable(9).len(), 0);
}
