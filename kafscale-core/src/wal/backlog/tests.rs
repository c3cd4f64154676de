use bytes::Bytes;

use super::*;

const OWN: SessionId = SessionId {
    broker: 0,
    epoch: 2,
    nonce: 0,
};
const OLD: SessionId = SessionId {
    broker: 0,
    epoch: 1,
    nonce: 0,
};

fn backlog(resident_bytes: u64) -> Backlog {
    Backlog::new(BacklogLimits {
        resident_bytes,
        bytes: 1_000,
        objects: 100,
    })
}

fn object(session: SessionId, slot: u64) -> Arc<LogObject> {
    Arc::new(LogObject::new(
        session,
        slot,
        "k".into(),
        10,
        Some(Bytes::from_static(b"0123456789")),
        1,
        0,
    ))
}

#[test]
fn the_newest_objects_keep_their_bytes() {
    let backlog = backlog(25);
    let objects: Vec<_> = (0..4).map(|slot| object(OWN, slot)).collect();
    for object in &objects {
        backlog.push(Arc::clone(object));
    }
    let resident: Vec<bool> = objects.iter().map(|o| o.is_resident()).collect();
    assert_eq!(resident, [false, false, true, true]);
    assert_eq!(
        backlog.size(),
        BacklogSize {
            objects: 4,
            bytes: 40,
            resident_bytes: 20
        }
    );
}

#[test]
fn the_own_log_is_trimmed_as_a_prefix_and_sealed_logs_object_by_object() {
    let backlog = backlog(1_000);
    let old: Vec<_> = (0..2).map(|slot| object(OLD, slot)).collect();
    let own: Vec<_> = (0..3).map(|slot| object(OWN, slot)).collect();
    for object in old.iter().chain(&own) {
        backlog.push(Arc::clone(object));
    }
    old[1].release_run();
    own[0].release_run();
    own[2].release_run();
    let found = backlog.trimmable(OWN);
    assert_eq!(found.own_below, Some(1));
    let slots: Vec<(u64, u64)> = found.objects.iter().map(|o| (o.session.epoch, o.slot)).collect();
    assert_eq!(slots, [(1, 1), (2, 0)]);
    backlog.remove(&found.objects);
    assert_eq!(backlog.size().objects, 3);
    assert!(backlog.holds(OLD));
}

#[test]
fn bytes_in_memory_are_counted_right_over_pushes_and_removals() {
    let backlog = backlog(30);
    let objects: Vec<_> = (0..5).map(|slot| object(OWN, slot)).collect();
    for object in &objects {
        backlog.push(Arc::clone(object));
    }
    backlog.remove(&objects[1..4]);
    assert_eq!(
        backlog.size(),
        BacklogSize {
            objects: 2,
            bytes: 20,
            resident_bytes: 10
        }
    );
    for slot in 5..9 {
        backlog.push(object(OWN, slot));
    }
    assert_eq!(backlog.size().resident_bytes, 30);
}
