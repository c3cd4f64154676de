use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::format::keys::SessionId;
use crate::wal::object::LogObject;

fn object(slot: u64, runs: usize) -> Arc<LogObject> {
    let session = SessionId {
        broker: 0,
        epoch: 1,
        nonce: 2,
    };
    Arc::new(LogObject::new(
        session,
        slot,
        "k".into(),
        100,
        Some(Bytes::from(vec![7; 100])),
        runs,
        0,
    ))
}

fn run(object: &Arc<LogObject>, base: i64, last: i64, length: u64) -> LogRun {
    LogRun {
        object: Arc::clone(object),
        base_offset: base,
        last_offset: last,
        position: 10,
        length,
        max_timestamp: 0,
    }
}

fn tail() -> Tail {
    let mut tail = Tail::default();
    for n in 0..5 {
        tail.push(run(&object(n as u64, 1), n * 10, n * 10 + 9, 20));
    }
    tail
}

#[test]
fn reading_starts_at_the_run_that_holds_the_offset() {
    let bases: Vec<i64> = tail().read(15, 45).iter().map(|r| r.base_offset).collect();
    assert_eq!(bases, [10, 20, 30]);
    assert!(tail().read(50, 1).is_empty());
    assert_eq!(tail().read(49, 0).len(), 1);
}

#[test]
fn the_cutter_gets_whole_runs_within_its_size_and_at_least_one() {
    assert_eq!(tail().oldest(50).len(), 2);
    assert_eq!(tail().oldest(1).len(), 1);
}

#[test]
fn what_is_cut_is_given_back_and_its_bytes_no_longer_count() {
    let mut tail = tail();
    assert_eq!(tail.bytes(), 100);
    assert_eq!(tail.drop_below(20).len(), 2);
    assert_eq!(tail.bytes(), 60);
    assert_eq!(tail.first().map(|r| r.base_offset), Some(20));
}
