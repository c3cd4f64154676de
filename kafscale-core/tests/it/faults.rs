//! The bucket loses answers, throttles, hangs, fails for a while; and engines are deposed while their requests are on
//! their way.

use std::time::Duration;

use kafscale_core::health::HealthState;
use kafscale_core::store::Operation;
use kafscale_core::testing::fault_store::{Fault, FaultError, FaultRule, GateAt};
use kafscale_core::{AppendOptions, Appended, Engine, ErrorKind, TopicId};

use crate::crash_world::Bucket;
use crate::world::*;

const FIRST_SLOT: &str = "/00000000000000000000.kfw";

/// Every batch travels in an object of its own, several at the same time.
fn one_batch_one_object() -> Bucket {
    let mut bucket = Bucket::new();
    bucket.settings.wal.object_bytes = Some(1);
    bucket
}

async fn moments() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// Appends v0, v1, … of an idempotent producer without waiting.
async fn send(engine: &Engine, topic: TopicId, numbers: std::ops::Range<i32>) -> Vec<Appended> {
    let mut sent = Vec::new();
    for n in numbers {
        let bytes = sequenced(9, n, &[&format!("v{n}")]);
        sent.push(engine.append(topic, 0, bytes, WAIT).await.unwrap());
        // The object is sealed before the next batch comes.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_log_put_is_acknowledged_once_and_stored_once() {
    for error in [FaultError::Broken, FaultError::Internal, FaultError::Throttled] {
        let bucket = Bucket::new();
        let (store, control) = bucket.door();
        let engine = bucket.open(store).await.unwrap();
        let topic = create(&engine, "orders", 1).await;
        let rule = FaultRule::new(Fault::FailAfter(error)).on(Operation::Create);
        control.add(rule.key(".kfw").times(1));
        assert_eq!(append(&engine, topic, 0, batch(&["v0"])).await.unwrap(), 0);
        assert_eq!(append(&engine, topic, 0, batch(&["v1"])).await.unwrap(), 1);
        assert_eq!(control.count(Operation::Create, FIRST_SLOT), 2, "{error:?}");
        assert_eq!(read_all(&engine, topic, 0).await, numbered(0..2));
        drop(engine);
        assert_eq!(read_all(&bucket.reopen().await, topic, 0).await, numbered(0..2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_put_is_sent_again_with_the_same_bytes_until_it_lands() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    // Some of the refused requests take effect all the same.
    let throttled = FaultRule::new(Fault::FailBefore(FaultError::Throttled)).on(Operation::Create);
    control.add(throttled.key(".kfw").times(7));
    let applied = Fault::ApplyLater(Duration::from_millis(1), FaultError::Throttled);
    control.add(
        FaultRule::new(applied)
            .on(Operation::Create)
            .key(".kfw")
            .skip(7)
            .times(1),
    );
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap(),
        0
    );
    assert!(control.count(Operation::Create, FIRST_SLOT) > 7);
    assert_eq!(bucket.keys(".kfw").await.len(), 1);
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 1, &["v1"])).await.unwrap(),
        1
    );
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..2));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_or_shown_before_all_slots_before_it_are_there() {
    let bucket = one_batch_one_object();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    let gate = control.gate(GateAt::Request, Some(Operation::Create), FIRST_SLOT);
    let sent = send(&engine, topic, 0..4).await;
    moments().await;
    assert_eq!(bucket.keys(".kfw").await.len(), 3, "later slots have landed");
    let fetched = fetch(&engine, topic, 0, 0).await.unwrap();
    assert_eq!((fetched.high_watermark, fetched.len()), (0, 0));
    let mut waiting: Vec<_> = sent.into_iter().map(|a| Box::pin(a.durable())).collect();
    for appended in &mut waiting {
        let early = tokio::time::timeout(Duration::from_millis(100), appended).await;
        assert!(early.is_err(), "acknowledged before the prefix was complete");
    }
    gate.open();
    for appended in waiting {
        appended.await.unwrap();
    }
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..4));
}

#[tokio::test(start_paused = true)]
async fn slots_behind_one_that_never_landed_are_void_after_a_crash() {
    let bucket = one_batch_one_object();
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    let gate = control.gate(GateAt::Request, Some(Operation::Create), FIRST_SLOT);
    let sent = send(&engine, topic, 0..4).await;
    moments().await;
    drop(engine);
    for appended in sent {
        assert_eq!(appended.durable().await.unwrap_err().kind(), ErrorKind::Closed);
    }
    let engine = bucket.reopen().await;
    assert_eq!(read_all(&engine, topic, 0).await, []);
    for n in 0..4 {
        let bytes = sequenced(9, n, &[&format!("v{n}")]);
        assert_eq!(append(&engine, topic, 0, bytes).await.unwrap(), i64::from(n));
    }
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..4));
    drop(gate);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_fails_for_a_while_loses_nothing_and_is_used_again() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let health = store.health();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap(),
        0
    );
    control.add(FaultRule::new(Fault::FailBefore(FaultError::Internal)));
    let waiting = engine
        .append(topic, 0, sequenced(9, 1, &["v1"]), WAIT)
        .await
        .unwrap();
    let mut failing = health.clone();
    failing
        .wait_for(|health| health.state == HealthState::Unavailable)
        .await
        .unwrap();
    let refused = append(&engine, topic, 0, sequenced(9, 2, &["v2"]))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    // What memory holds is still read.
    assert_eq!(
        values(&fetch(&engine, topic, 0, 0).await.unwrap(), 0),
        numbered(0..1)
    );
    tokio::time::sleep(Duration::from_secs(120)).await;
    control.clear();
    waiting.durable().await.unwrap();
    failing
        .wait_for(|health| health.state != HealthState::Unavailable)
        .await
        .unwrap();
    assert_eq!(
        append(&engine, topic, 0, sequenced(9, 2, &["v2"])).await.unwrap(),
        2
    );
    assert_eq!(read_all(&engine, topic, 0).await, numbered(0..3));
    drop(engine);
    assert_eq!(read_all(&bucket.reopen().await, topic, 0).await, numbered(0..3));
}

#[tokio::test(start_paused = true)]
async fn appends_beyond_the_memory_budget_wait_and_are_taken_when_the_bucket_answers() {
    let mut bucket = Bucket::new();
    bucket.settings.memory.in_flight_bytes = 1 << 20;
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    let gate = control.gate(GateAt::Request, Some(Operation::Create), ".kfw");
    let large = "x".repeat(600 << 10);
    let options = AppendOptions { wait: false };
    engine.append(topic, 0, batch(&[&large]), WAIT).await.unwrap();
    let mut second = Box::pin(engine.append(topic, 0, batch(&[&large]), options));
    let early = tokio::time::timeout(Duration::from_secs(1), &mut second).await;
    assert!(early.is_err(), "taken beyond the budget");
    gate.open();
    assert_eq!(second.await.unwrap().base_offset, 1);
    // Refused appends give their memory back.
    for _ in 0..10 {
        let mut broken = batch(&[&large]).to_vec();
        *broken.last_mut().unwrap() ^= 1;
        append(&engine, topic, 0, broken.into()).await.unwrap_err();
        let gap = sequenced(9, 5, &[&large]);
        append(&engine, topic, 0, sequenced(9, 0, &[&large]))
            .await
            .unwrap();
        append(&engine, topic, 0, gap).await.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_comes_after_the_seal_is_not_acknowledged_and_not_read() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let older = bucket.open(store).await.unwrap();
    let topic = create(&older, "orders", 1).await;
    append(&older, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap();
    let gate = control.gate(GateAt::Request, Some(Operation::Create), ".kfw");
    let late = older
        .append(topic, 0, sequenced(9, 1, &["v1"]), WAIT)
        .await
        .unwrap();
    gate.wait_for(1).await;
    let newer = bucket.reopen().await;
    assert_eq!(read_all(&newer, topic, 0).await, numbered(0..1));
    gate.open();
    assert_eq!(late.durable().await.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(read_all(&older, topic, 0).await, numbered(0..1));
    // Nothing of it counts: the retry is a new record.
    assert_eq!(
        append(&newer, topic, 0, sequenced(9, 1, &["v1"])).await.unwrap(),
        1
    );
    assert_eq!(read_all(&newer, topic, 0).await, numbered(0..2));
    assert_eq!(read_all(&bucket.reopen().await, topic, 0).await, numbered(0..2));
}

#[tokio::test(start_paused = true)]
async fn a_put_that_the_seal_counts_is_kept_and_its_retry_is_recognised() {
    let bucket = Bucket::new();
    let (store, control) = bucket.door();
    let older = bucket.open(store).await.unwrap();
    let topic = create(&older, "orders", 1).await;
    let gate = control.gate(GateAt::Answer, Some(Operation::Create), ".kfw");
    let in_flight = older
        .append(topic, 0, sequenced(9, 0, &["v0"]), WAIT)
        .await
        .unwrap();
    gate.wait_for(1).await;
    let newer = bucket.reopen().await;
    assert_eq!(
        append(&newer, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap(),
        0
    );
    assert_eq!(
        append(&newer, topic, 0, sequenced(9, 1, &["v1"])).await.unwrap(),
        1
    );
    gate.open();
    // True, and so it may be said: the record is in the log.
    in_flight.durable().await.unwrap();
    assert_eq!(
        append(&older, topic, 0, sequenced(9, 1, &["other"]))
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Fenced
    );
    assert_eq!(read_all(&newer, topic, 0).await, numbered(0..2));
}

#[tokio::test(start_paused = true)]
async fn slots_that_land_behind_a_seal_are_void() {
    let bucket = one_batch_one_object();
    let (store, control) = bucket.door();
    let older = bucket.open(store).await.unwrap();
    let topic = create(&older, "orders", 1).await;
    let gate = control.gate(GateAt::Request, Some(Operation::Create), FIRST_SLOT);
    let sent = send(&older, topic, 0..3).await;
    moments().await;
    assert_eq!(bucket.keys(".kfw").await.len(), 2);
    let newer = bucket.reopen().await;
    gate.open();
    for late in sent {
        assert_eq!(late.durable().await.unwrap_err().kind(), ErrorKind::Fenced);
    }
    assert_eq!(read_all(&older, topic, 0).await, []);
    assert_eq!(read_all(&newer, topic, 0).await, []);
    assert_eq!(
        append(&newer, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap(),
        0
    );
    drop((older, newer));
    assert_eq!(read_all(&bucket.reopen().await, topic, 0).await, numbered(0..1));
}

/// The first engine has written a batch of an idempotent producer and is gone, the second has cut it into a segment and is
/// about to trim, and the third opens. Whatever of the first log the third finds no more, it finds in the second's state.
#[tokio::test(start_paused = true)]
async fn what_a_deposed_engine_moves_while_its_successor_opens_is_found_there() {
    let mut bucket = Bucket::new();
    let first = bucket.reopen().await;
    let topic = create(&first, "orders", 1).await;
    append(&first, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap();
    let first_log = first.session().to_string();
    drop(first);
    bucket.settings.segment.max_age_ms = 20;
    let (store, control) = bucket.door();
    let writes_state = control.gate(GateAt::Request, Some(Operation::Create), ".kfp");
    let second = bucket.open(store).await.unwrap();
    writes_state.wait_for(1).await;
    bucket.settings.segment.max_age_ms = 600_000;
    let (store, control) = bucket.door();
    let reads_first_log = control.gate(GateAt::Request, Some(Operation::List), first_log.as_str());
    let opens = async {
        let third = bucket.open(store).await.unwrap();
        assert_eq!(
            append(&third, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap(),
            0
        );
        assert_eq!(
            append(&third, topic, 0, sequenced(9, 1, &["v1"])).await.unwrap(),
            1
        );
        assert_eq!(read_all(&third, topic, 0).await, numbered(0..2));
    };
    let meanwhile = async {
        reads_first_log.wait_for(1).await;
        moments().await;
        writes_state.open();
        moments().await;
        let data = format!("{first_log}{FIRST_SLOT}");
        assert!(
            bucket.keys(&data).await.is_empty(),
            "the second engine has trimmed"
        );
        reads_first_log.open();
    };
    tokio::join!(opens, meanwhile);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_state_object_that_goes_while_it_is_read_is_found_in_a_later_one() {
    let mut bucket = Bucket::new();
    bucket.settings.segment.max_age_ms = 20;
    let first = bucket.reopen().await;
    let topic = create(&first, "orders", 1).await;
    append(&first, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap();
    moments().await;
    let (first_log, states) = (first.session().to_string(), bucket.keys(".kfp").await);
    assert_eq!(states.len(), 1);
    append(&first, topic, 0, sequenced(9, 1, &["v1"])).await.unwrap();
    drop(first);
    let (store, control) = bucket.door();
    let writes_state = control.gate(GateAt::Request, Some(Operation::Create), ".kfp");
    let second = bucket.open(store).await.unwrap();
    writes_state.wait_for(1).await;
    let (store, control) = bucket.door();
    let reads_state = control.gate(
        GateAt::Request,
        Some(Operation::Get),
        format!("{first_log}/state-"),
    );
    let opens = async {
        let third = bucket.open(store).await.unwrap();
        assert_eq!(
            append(&third, topic, 0, sequenced(9, 0, &["v0"])).await.unwrap(),
            0
        );
        assert_eq!(
            append(&third, topic, 0, sequenced(9, 1, &["v1"])).await.unwrap(),
            1
        );
        assert_eq!(
            append(&third, topic, 0, sequenced(9, 2, &["v2"])).await.unwrap(),
            2
        );
        assert_eq!(read_all(&third, topic, 0).await, numbered(0..3));
    };
    let meanwhile = async {
        reads_state.wait_for(1).await;
        writes_state.open();
        moments().await;
        assert!(
            !bucket.keys(".kfp").await.contains(&states[0]),
            "the second engine has trimmed"
        );
        reads_state.open();
    };
    tokio::join!(opens, meanwhile);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_finds_the_segments_of_its_successor_is_fenced_and_speaks_of_no_damage() {
    let mut bucket = Bucket::new();
    bucket.settings.segment.max_age_ms = 20;
    let (store, control) = bucket.door();
    let older = bucket.open(store).await.unwrap();
    let topic = create(&older, "orders", 1).await;
    let gate = control.gate(GateAt::Request, Some(Operation::Create), ".kfs");
    append(&older, topic, 0, batch(&["v0"])).await.unwrap();
    gate.wait_for(1).await;
    let newer = bucket.reopen().await;
    append(&newer, topic, 0, batch(&["v1"])).await.unwrap();
    moments().await;
    assert_eq!(bucket.keys(".kfs").await.len(), 1);
    gate.open();
    let mut fenced = older.fenced();
    let learns = tokio::time::timeout(Duration::from_secs(10), fenced.wait_for(Option::is_some));
    assert!(learns.await.is_ok(), "it does not learn that it was fenced");
    let error = append(&older, topic, 0, batch(&["x"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(read_all(&newer, topic, 0).await, numbered(0..2));
    drop((older, newer));
    assert_eq!(read_all(&bucket.reopen().await, topic, 0).await, numbered(0..2));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_engine_whatever_its_background_work_waits_for() {
    let mut bucket = Bucket::new();
    bucket.settings.segment.max_age_ms = 20;
    let (store, control) = bucket.door();
    let engine = bucket.open(store).await.unwrap();
    let topic = create(&engine, "orders", 1).await;
    let cut = control.gate(GateAt::Request, Some(Operation::Create), ".kfs");
    append(&engine, topic, 0, batch(&["v0"])).await.unwrap();
    cut.wait_for(1).await;
    let log = control.gate(GateAt::Request, Some(Operation::Create), ".kfw");
    let in_flight = engine.append(topic, 0, batch(&["v1"]), WAIT).await.unwrap();
    log.wait_for(1).await;
    drop(engine);
    let ended = tokio::time::timeout(Duration::from_secs(1), in_flight.durable()).await;
    assert_eq!(
        ended.expect("the engine lives on").unwrap_err().kind(),
        ErrorKind::Closed
    );
}
