//! Creates whose answers are lost, late, wrong or refused.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::faulty;
use crate::error::ErrorKind;
use crate::store::{CreateLimit, CreateOutcome, Operation, Purpose, Store};
use crate::testing::fault_store::{Fault, FaultError, FaultRule, GateAt};

const KEY: &str = "_kafscale/default/wal/0-1-00c0ffee/00000000000000000000.kfw";
const OURS: [u8; 16] = [1; 16];
const THEIRS: [u8; 16] = [2; 16];

fn slot(id: [u8; 16], body: &str) -> Vec<Bytes> {
    vec![
        Bytes::from([b"KWAL0001", &id[..]].concat()),
        Bytes::copy_from_slice(body.as_bytes()),
    ]
}

async fn create(store: &Store, limit: CreateLimit) -> crate::Result<CreateOutcome> {
    store
        .create(KEY, &slot(OURS, "ours"), Some(OURS), limit, Purpose::Wal)
        .await
}

async fn stored(store: &Store) -> Bytes {
    store.get(KEY, Purpose::Recovery).await.unwrap().unwrap()
}

fn on_create(fault: Fault) -> FaultRule {
    FaultRule::new(fault).on(Operation::Create)
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_recognised_as_our_own_create() {
    for error in [
        FaultError::Broken,
        FaultError::Throttled,
        FaultError::Internal,
        FaultError::Conflict,
    ] {
        let (store, control) = faulty();
        control.add(on_create(Fault::FailAfter(error)).times(1));
        assert_eq!(
            create(&store, CreateLimit::UntilKnown).await.unwrap(),
            CreateOutcome::Created,
            "{error:?}"
        );
        assert_eq!(stored(&store).await, slot(OURS, "ours").concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rival_is_told_apart_after_a_lost_answer_that_was_never_a_write() {
    let (store, control) = faulty();
    let gate = control.gate(GateAt::Request, Some(Operation::Create), KEY);
    control.add(on_create(Fault::FailBefore(FaultError::Broken)).times(1));
    let ours = tokio::spawn({
        let store = store.clone();
        async move { create(&store, CreateLimit::UntilKnown).await.unwrap() }
    });
    gate.wait_for(1).await;
    gate.release(1);
    gate.wait_for(2).await;
    // While our second try waits, somebody else takes the slot.
    store
        .overwrite(KEY, slot(THEIRS, "theirs").concat().into(), Purpose::Wal)
        .await
        .unwrap();
    gate.open();
    let CreateOutcome::Exists { head } = ours.await.unwrap() else {
        panic!("the slot is the rival's")
    };
    assert_eq!(head, slot(THEIRS, "theirs").concat());
    assert_eq!(stored(&store).await, slot(THEIRS, "theirs").concat());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_when_read_back_is_created_again() {
    let (store, control) = faulty();
    control.add(on_create(Fault::FailBefore(FaultError::Conflict)).times(3));
    assert_eq!(
        create(&store, CreateLimit::UntilKnown).await.unwrap(),
        CreateOutcome::Created
    );
    assert_eq!(control.count(Operation::Create, KEY), 4);
    assert_eq!(control.count(Operation::Get, KEY), 3);
    assert_eq!(stored(&store).await, slot(OURS, "ours").concat());
}

#[tokio::test(start_paused = true)]
async fn a_read_back_that_fails_is_not_taken_for_an_answer() {
    let (store, control) = faulty();
    store
        .overwrite(KEY, slot(THEIRS, "theirs").concat().into(), Purpose::Wal)
        .await
        .unwrap();
    control.add(
        FaultRule::new(Fault::FailBefore(FaultError::Broken))
            .on(Operation::Get)
            .times(2),
    );
    control.add(
        FaultRule::new(Fault::Truncate(3))
            .on(Operation::Get)
            .skip(2)
            .times(1),
    );
    let outcome = create(&store, CreateLimit::UntilKnown).await.unwrap();
    assert_eq!(
        outcome,
        CreateOutcome::Exists {
            head: slot(THEIRS, "theirs").concat().into()
        }
    );
    assert_eq!(control.count(Operation::Get, KEY), 3 + 1);
}

#[tokio::test(start_paused = true)]
async fn throttling_is_sat_out_with_pauses_and_without_an_end() {
    let (store, control) = faulty();
    control.add(on_create(Fault::FailBefore(FaultError::Throttled)).times(100));
    let start = Instant::now();
    assert_eq!(
        create(&store, CreateLimit::UntilKnown).await.unwrap(),
        CreateOutcome::Created
    );
    assert_eq!(control.count(Operation::Create, KEY), 101);
    let took = start.elapsed();
    // 94 pauses of up to 5 s, half of that on average.
    assert!(
        took > Duration::from_secs(120) && took < Duration::from_secs(400),
        "{took:?}"
    );
    assert_eq!(store.metrics().requests(Operation::Create, Purpose::Wal), 101);
    assert_eq!(store.metrics().errors(Operation::Create, Purpose::Wal), 100);
    assert_eq!(store.metrics().retries(Operation::Create, Purpose::Wal), 100);
}

#[tokio::test(start_paused = true)]
async fn a_try_without_an_answer_is_given_up_and_sent_again() {
    let (store, control) = faulty();
    control.add(on_create(Fault::Hang).times(1));
    control.add(on_create(Fault::HangAfter).skip(1).times(1));
    let start = Instant::now();
    assert_eq!(
        create(&store, CreateLimit::UntilKnown).await.unwrap(),
        CreateOutcome::Created
    );
    assert_eq!(control.count(Operation::Create, KEY), 3);
    assert!(start.elapsed() >= Duration::from_secs(10), "two time-outs of 5 s");
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_late_try_are_the_same_bytes() {
    let (store, control) = faulty();
    let later = Fault::ApplyLater(Duration::from_secs(3), FaultError::Broken);
    control.add(on_create(later).times(1));
    control.add(on_create(Fault::Delay(Duration::from_secs(4), Duration::from_secs(4))).skip(1));
    assert_eq!(
        create(&store, CreateLimit::UntilKnown).await.unwrap(),
        CreateOutcome::Created
    );
    assert_eq!(stored(&store).await, slot(OURS, "ours").concat());
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_an_unknown_outcome_is_a_time_out() {
    let (store, control) = faulty();
    control.add(on_create(Fault::FailAfter(FaultError::Broken)));
    control.add(FaultRule::new(Fault::FailBefore(FaultError::Broken)).on(Operation::Get));
    let start = Instant::now();
    let error = create(&store, CreateLimit::Within(Duration::from_secs(7)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("connection reset"), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_a_refusal_ends_the_create_at_once_unless_something_may_be_under_way() {
    let (store, control) = faulty();
    let denied = control.add(on_create(Fault::FailBefore(FaultError::Denied)));
    let start = Instant::now();
    let error = create(&store, CreateLimit::Within(Duration::from_secs(7)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(start.elapsed(), Duration::ZERO);

    control.remove(denied);
    control.add(on_create(Fault::FailAfter(FaultError::Broken)).times(1));
    control.add(on_create(Fault::FailBefore(FaultError::Denied)).skip(1));
    let error = create(&store, CreateLimit::Within(Duration::from_secs(7)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "the first try did write");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_a_refusal_is_waited_out() {
    let (store, control) = faulty();
    control.add(on_create(Fault::FailBefore(FaultError::Denied)).times(20));
    assert_eq!(
        create(&store, CreateLimit::UntilKnown).await.unwrap(),
        CreateOutcome::Created
    );
    assert_eq!(control.count(Operation::Create, KEY), 21);
}

#[tokio::test(start_paused = true)]
async fn creates_of_the_wal_do_not_wait_for_reads_of_old_data() {
    let (store, control) = faulty();
    store
        .overwrite("old", Bytes::from_static(b"data"), Purpose::Segment)
        .await
        .unwrap();
    let gate = control.gate(GateAt::Request, Some(Operation::Get), "old");
    for _ in 0..200 {
        let store = store.clone();
        tokio::spawn(async move { store.get("old", Purpose::CatchUp).await });
    }
    gate.wait_for(32).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gate.arrived(), 32, "old data has half of the permits");
    assert_eq!(
        create(&store, CreateLimit::UntilKnown).await.unwrap(),
        CreateOutcome::Created
    );
    assert!(
        store.list("new/", Purpose::Recovery).await.unwrap().is_empty(),
        "other reads go on too"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_no_permit() {
    let settings = crate::store::StoreSettings {
        concurrency: 1,
        ..Default::default()
    };
    let (store, control) = super::faulty_with(crate::store::StoreKind::Remote, settings);
    control.add(on_create(Fault::FailBefore(FaultError::Broken)).key("first"));
    let stuck = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .create("first", &[], None, CreateLimit::UntilKnown, Purpose::Wal)
                .await
        }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!stuck.is_finished());
    let limit = CreateLimit::Within(Duration::from_secs(1));
    assert_eq!(create(&store, limit).await.unwrap(), CreateOutcome::Created);
    stuck.abort();
}
