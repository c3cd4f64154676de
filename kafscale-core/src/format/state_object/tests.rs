use proptest::prelude::*;

use super::*;
use crate::format::golden::{damage_is_found, golden, hostile};

fn sample() -> StateObject {
    let batch = |base_sequence, base_offset| StoredBatch {
        base_sequence,
        last_sequence: base_sequence + 1,
        base_offset,
        last_offset: base_offset + 1,
        timestamp: 1_767_225_600_000,
    };
    let full = PartitionState {
        topic_id: TopicId([1; 16]),
        partition: 7,
        next_offset: 1000,
        log_start: 10,
        epochs: vec![
            EpochStart {
                epoch: 0,
                start_offset: 0,
            },
            EpochStart {
                epoch: 4,
                start_offset: 900,
            },
        ],
        producers: vec![
            ProducerState {
                producer_id: 77,
                producer_epoch: 2,
                last_timestamp: 1_767_225_600_001,
                batches: vec![batch(0, 980), batch(2, 990)],
            },
            ProducerState {
                producer_id: 78,
                producer_epoch: 0,
                last_timestamp: -1,
                batches: vec![],
            },
        ],
    };
    let empty = PartitionState {
        topic_id: TopicId([2; 16]),
        partition: 0,
        next_offset: 0,
        log_start: 0,
        epochs: vec![],
        producers: vec![],
    };
    StateObject {
        session: SessionId {
            broker: 3,
            epoch: 17,
            nonce: 0xfeed_beef,
        },
        slot: 1000,
        created_ms: 1_767_225_600_002,
        partitions: vec![full, empty],
    }
}

#[test]
fn an_object_has_its_golden_bytes() {
    let stored = golden("state-object.kfp", &sample().encode().unwrap());
    assert_eq!(StateObject::parse(&stored), Ok(sample()));
}

#[test]
fn the_room_taken_is_exact() {
    let partitions: usize = sample().partitions.iter().map(PartitionState::encoded_len).sum();
    assert_eq!(sample().encode().unwrap().len(), FIXED_LEN + partitions);
}

#[test]
fn damage_is_found_wherever_it_is() {
    damage_is_found(&sample().encode().unwrap(), StateObject::parse);
}

#[test]
fn more_than_five_batches_are_not_written() {
    let mut object = sample();
    let batches = &mut object.partitions[0].producers[0].batches;
    *batches = vec![batches[0]; 6];
    assert!(matches!(
        object.encode(),
        Err(FormatError::TooLarge {
            size: 6,
            limit: 5,
            ..
        })
    ));
}

#[test]
fn an_object_that_lies_is_refused() {
    let message = |change: fn(&mut PartitionState)| {
        let mut object = sample();
        change(&mut object.partitions[0]);
        StateObject::parse(&object.encode().unwrap())
            .unwrap_err()
            .to_string()
    };
    assert!(message(|state| state.partition = -1).ends_with("the partition is negative"));
    assert!(message(|state| state.next_offset = -1).ends_with("the next offset is negative"));
    assert!(message(|state| state.next_offset = 9).ends_with("the log start lies after the next offset"));
    assert!(
        message(|state| state.epochs[1].epoch = 0)
            .ends_with("an epoch does not come after the one before it")
    );
    assert!(message(|state| state.epochs[0].start_offset = 901).ends_with("come after the one before it"));
    assert!(message(|state| state.producers[0].producer_id = -1).ends_with("the producer id is negative"));
    assert!(
        message(|state| state.producers[0].batches[0].last_offset = 979)
            .ends_with("offsets are not possible")
    );

    // The counts of the object, of the first partition's epochs, producers and its first producer's batches.
    for (at, value) in [(40, 0x7f), (80, 0x7f), (108, 0x7f), (130, 6)] {
        let mut bytes = sample().encode().unwrap().to_vec();
        bytes.truncate(bytes.len() - 4);
        bytes[at] = value;
        put_crc(&mut bytes);
        let error = StateObject::parse(&bytes).unwrap_err();
        assert!(
            matches!(error, FormatError::Count { .. } | FormatError::Value { .. }),
            "byte {at}: {error}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("state object: byte {at}: ")),
            "byte {at}: {error}"
        );
    }
}

fn any_partition() -> impl Strategy<Value = PartitionState> {
    let batch = (any::<i32>(), any::<i32>(), 0_i64..1000, 0_i64..1000, any::<i64>()).prop_map(
        |(base_sequence, last_sequence, base_offset, more, timestamp)| StoredBatch {
            base_sequence,
            last_sequence,
            base_offset,
            last_offset: base_offset + more,
            timestamp,
        },
    );
    let producer = (
        0..=i64::MAX,
        any::<i16>(),
        any::<i64>(),
        proptest::collection::vec(batch, 0..=5),
    )
        .prop_map(
            |(producer_id, producer_epoch, last_timestamp, batches)| ProducerState {
                producer_id,
                producer_epoch,
                last_timestamp,
                batches,
            },
        );
    let epochs = proptest::collection::vec(1_i32..50, 0..5).prop_map(|steps| {
        let mut epoch = 0;
        let mut step = |more| {
            epoch += more;
            EpochStart {
                epoch,
                start_offset: i64::from(epoch) * 3,
            }
        };
        steps.into_iter().map(&mut step).collect()
    });
    (
        any::<[u8; 16]>(),
        0..=i32::MAX,
        0..=i64::MAX,
        epochs,
        proptest::collection::vec(producer, 0..4),
    )
        .prop_map(
            |(topic_id, partition, next_offset, epochs, producers)| PartitionState {
                topic_id: TopicId(topic_id),
                partition,
                next_offset,
                log_start: next_offset / 2,
                epochs,
                producers,
            },
        )
}

proptest! {
    #[test]
    fn every_object_comes_back(
        (broker, epoch, nonce, slot, created_ms) in
            (0..=i32::MAX, any::<u64>(), any::<u32>(), any::<u64>(), any::<i64>()),
        partitions in proptest::collection::vec(any_partition(), 0..6),
    ) {
        let object = StateObject { session: SessionId { broker, epoch, nonce }, slot, created_ms, partitions };
        prop_assert_eq!(StateObject::parse(&object.encode().unwrap()), Ok(object));
    }

    #[test]
    fn hostile_bytes_never_panic(mut bytes in hostile(sample().encode().unwrap().to_vec())) {
        let _ = StateObject::parse(&bytes);
        put_crc(&mut bytes);
        let _ = StateObject::parse(&bytes);
    }
}
