use bytes::Bytes;

use super::*;
use crate::format::keys::SessionId;
use crate::wal::object::LogObject;

fn batch(records: i32) -> BatchHeader {
    sequenced(-1, -1, records)
}

fn sequenced(producer_id: i64, base_sequence: i32, records: i32) -> BatchHeader {
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
        producer_epoch: if producer_id < 0 { -1 } else { 0 },
        base_sequence,
        record_count: records,
    }
}

fn run(base: i64, last: i64) -> LogRun {
    let session = SessionId {
        broker: 0,
        epoch: 1,
        nonce: 2,
    };
    let object = LogObject::new(session, 0, "k".into(), 9, Some(Bytes::new()), 1, 0);
    LogRun {
        object: Arc::new(object),
        base_offset: base,
        last_offset: last,
        position: 0,
        length: 1,
        max_timestamp: 0,
    }
}

fn state() -> PartitionState {
    PartitionState::new(0, 1)
}

#[test]
fn each_batch_of_an_append_gets_its_offsets() {
    let mut state = state();
    let taken = state.take(&[batch(3), batch(2)], 0).unwrap();
    assert_eq!(
        taken,
        Taken {
            base_offset: 0,
            last_offset: 4,
            new: vec![Some(0), Some(3)]
        }
    );
    assert_eq!(state.take(&[batch(1)], 0).unwrap().base_offset, 5);
}

#[test]
fn an_append_whose_second_batch_is_refused_takes_nothing() {
    let mut state = state();
    let error = state
        .take(&[sequenced(7, 0, 2), sequenced(7, 9, 1)], 0)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfOrderSequence);
    assert_eq!(state.next_offset, 0);
    assert_eq!(state.take(&[sequenced(7, 0, 2)], 0).unwrap().new, [Some(0)]);
}

#[test]
fn what_is_not_durable_cannot_be_read() {
    let mut state = state();
    state.take(&[batch(3)], 0).unwrap();
    assert!(matches!(state.plan_read(0, 100), Ok(ReadPlan::Empty)));
    assert_eq!(
        state.plan_read(1, 100).unwrap_err().kind(),
        ErrorKind::OffsetOutOfRange
    );
    state.commit(run(0, 2)).wake();
    assert!(matches!(state.plan_read(1, 100), Ok(ReadPlan::Tail(runs)) if runs.len() == 1));
}

#[tokio::test]
async fn a_repeat_of_a_batch_that_is_on_its_way_joins_its_wait() {
    let mut state = state();
    let first = state.take(&[sequenced(7, 0, 2)], 0).unwrap();
    let first_answer = state.await_durable(first.last_offset).unwrap();
    state.take(&[batch(1)], 0).unwrap();
    let later_answer = state.await_durable(2).unwrap();
    let again = state.take(&[sequenced(7, 0, 2)], 0).unwrap();
    assert_eq!(
        again,
        Taken {
            base_offset: 0,
            last_offset: 1,
            new: vec![None]
        }
    );
    let mut again_answer = state.await_durable(again.last_offset).unwrap();
    assert!(again_answer.try_recv().is_err());
    state.commit(run(0, 1)).wake();
    first_answer.await.unwrap().unwrap();
    again_answer.await.unwrap().unwrap();
    assert!(state.await_durable(again.last_offset).is_none());
    state.commit(run(2, 2)).wake();
    later_answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_partition_that_stops_tells_everybody_who_waits() {
    let mut state = state();
    state.take(&[batch(1)], 0).unwrap();
    let answer = state.await_durable(0).unwrap();
    let reader = Arc::new(Notify::new());
    state.register_reader(1, Arc::clone(&reader));
    let readers = state.stop(ErrorKind::Fenced, "a newer session took over".into());
    assert_eq!(readers.len(), 1);
    assert_eq!(answer.await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(state.take(&[batch(1)], 0).unwrap_err().kind(), ErrorKind::Fenced);
}

#[test]
fn what_is_in_segments_is_read_there() {
    let mut state = state();
    state.take(&[batch(4)], 0).unwrap();
    state.commit(run(0, 1)).wake();
    state.commit(run(2, 3)).wake();
    assert_eq!(state.segmented(2).len(), 1);
    assert!(matches!(state.plan_read(1, 9), Ok(ReadPlan::Segments)));
    assert!(matches!(state.plan_read(2, 9), Ok(ReadPlan::Tail(_))));
}

#[test]
fn the_epoch_begins_with_its_first_record() {
    let mut state = PartitionState::new(10, 4);
    assert!(state.epochs.pairs().is_empty());
    state.take(&[batch(1)], 0).unwrap();
    assert_eq!(state.epochs.pairs(), [(4, 10)]);
}
