use super::*;

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

#[test]
fn an_object_is_released_by_its_last_run() {
    let object = object(0, 2);
    assert!(!object.release_run());
    assert!(!object.is_released());
    assert!(object.release_run());
    assert!(object.is_released());
}

#[test]
fn an_evicted_object_has_no_resident_runs() {
    let object = object(0, 1);
    let run = run(&object, 0, 9, 20);
    assert_eq!(run.resident().map(|b| b.len()), Some(20));
    object.evict();
    assert!(run.resident().is_none());
}
