#![allow(clippy::unwrap_used, clippy::expect_used)]

use kafscale_core::format::batch::{BatchLimits, validate};

use super::*;

const LIMITS: BatchLimits = BatchLimits {
    max_batch_bytes: 4 << 20,
    allow_control: false,
};

#[test]
fn batches_are_valid_and_about_as_large_as_asked() {
    for bytes in [1 << 10, 16 << 10, 1 << 20] {
        let batch = Shape::of(bytes).batch(1).unwrap();
        let header = validate(&batch, LIMITS).unwrap();
        assert_eq!(header.record_count as usize, (bytes / 1024).max(1));
        assert!(
            batch.len() <= bytes && batch.len() > bytes / 10 * 9,
            "{} of {bytes}",
            batch.len()
        );
    }
}

#[test]
fn batches_differ_by_seed_and_carry_sequence_and_position() {
    let shape = Shape::of(2048);
    assert_ne!(shape.batch(1).unwrap(), shape.batch(2).unwrap());
    let header = validate(&shape.sequenced(9, 40, 1).unwrap(), LIMITS).unwrap();
    assert_eq!((header.producer_id, header.base_sequence), (9, 40));
    let header = validate(&shape.stored(77, 1).unwrap(), LIMITS).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch), (77, 1));
}
