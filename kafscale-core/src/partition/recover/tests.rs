use std::sync::Arc;

use super::*;
use crate::format::keys::SessionId;
use crate::partition::state::ReadPlan;
use crate::wal::object::LogObject;

fn run(base: i64, last: i64, leader_epoch: i32) -> FoundRun {
    let session = SessionId {
        broker: 0,
        epoch: 1,
        nonce: 2,
    };
    let object = LogObject::new(session, 0, "k".into(), 9, None, 1, 0);
    let run = LogRun {
        object: Arc::new(object),
        base_offset: base,
        last_offset: last,
        position: 0,
        length: 1,
        max_timestamp: 0,
    };
    FoundRun {
        run,
        leader_epoch,
        producers: vec![(7, 0, seen(base, last))],
    }
}

fn seen(base: i64, last: i64) -> SeenBatch {
    SeenBatch {
        base_sequence: base as i32,
        last_sequence: last as i32,
        base_offset: base,
        last_offset: last,
        timestamp: 0,
    }
}

fn record(segmented_end: i64) -> Option<FoundRecord> {
    Some(FoundRecord {
        log_start: 0,
        segmented_end,
        epochs: vec![(1, 0)],
    })
}

#[test]
fn runs_above_the_segments_are_the_tail() {
    let found = Found {
        record: record(10),
        runs: vec![run(0, 9, 1), run(10, 14, 1), run(15, 19, 2)],
        ..Found::default()
    };
    assert!(!found.needs_listing());
    let (state, unneeded) = found.assemble(None, 3).unwrap();
    assert_eq!(
        (state.segmented_end, state.high_watermark, state.next_offset),
        (10, 20, 20)
    );
    assert_eq!(unneeded.len(), 1);
    assert_eq!(state.epochs.pairs(), [(1, 0), (2, 15)]);
    assert!(matches!(state.plan_read(12, 100), Ok(ReadPlan::Tail(runs)) if runs.len() == 2));
}

#[test]
fn a_partition_without_a_record_is_listed_and_goes_on_after_its_segments() {
    let found = Found {
        runs: vec![run(30, 34, 1)],
        ..Found::default()
    };
    assert!(found.needs_listing());
    let (state, _) = found
        .assemble(Some(SegmentExtent { start: 5, end: 30 }), 3)
        .unwrap();
    assert_eq!(
        (state.log_start, state.segmented_end, state.next_offset),
        (5, 30, 35)
    );
    let (empty, _) = Found::default().assemble(None, 3).unwrap();
    assert_eq!((empty.log_start, empty.next_offset), (0, 0));
}

#[test]
fn a_record_that_is_behind_the_bucket_is_noticed_by_the_hole_it_leaves() {
    let found = Found {
        record: record(10),
        runs: vec![run(20, 24, 1)],
        ..Found::default()
    };
    assert!(found.needs_listing());
    assert!(
        found
            .clone()
            .assemble(None, 3)
            .unwrap_err()
            .contains("records 10 to 19")
    );
    let (state, _) = found
        .assemble(Some(SegmentExtent { start: 0, end: 20 }), 3)
        .unwrap();
    assert_eq!(state.next_offset, 25);
}

#[test]
fn a_state_object_that_knows_of_records_that_are_nowhere_is_damage() {
    let state = FoundState {
        next_offset: 12,
        log_start: 0,
        epochs: vec![],
        producers: vec![],
    };
    let found = Found {
        record: record(10),
        state: Some(state),
        ..Found::default()
    };
    assert!(found.needs_listing());
    assert!(found.assemble(None, 1).unwrap_err().contains("records 10 to 11"));
}

#[test]
fn producers_come_from_the_state_object_and_the_runs_after_it() {
    let producer = Producer {
        epoch: 0,
        batches: [seen(0, 4)].into(),
        seen_ms: 0,
    };
    let state = FoundState {
        next_offset: 5,
        log_start: 0,
        epochs: vec![(1, 0)],
        producers: vec![(7, producer)],
    };
    let found = Found {
        record: record(5),
        state: Some(state),
        runs: vec![run(0, 4, 1), run(5, 9, 1)],
        ..Found::default()
    };
    let (state, _) = found.assemble(None, 2).unwrap();
    let durable = state.producers.durable(i64::MAX);
    let bases: Vec<i64> = durable[0].1.batches.iter().map(|b| b.base_offset).collect();
    assert_eq!(bases, [0, 5]);
}

#[test]
fn a_run_that_two_logs_hold_counts_once() {
    let found = Found {
        record: record(0),
        runs: vec![run(0, 4, 1), run(0, 4, 1), run(5, 6, 1)],
        ..Found::default()
    };
    let (state, unneeded) = found.assemble(None, 2).unwrap();
    assert_eq!(state.next_offset, 7);
    assert_eq!(unneeded.len(), 1);
}
