//! Reads, lists, deletes and overwrites on a store that fails.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::faulty;
use crate::error::ErrorKind;
use crate::store::{Operation, Purpose};
use crate::testing::fault_store::{Fault, FaultError, FaultRule};

const BODY: &[u8] = b"0123456789";

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_early_is_read_again() {
    let (store, control) = faulty();
    store
        .overwrite("k", Bytes::from_static(BODY), Purpose::Segment)
        .await
        .unwrap();
    control.add(FaultRule::new(Fault::Truncate(4)).on(Operation::Get).times(2));
    assert_eq!(store.get("k", Purpose::Tail).await.unwrap().unwrap(), BODY);
    assert_eq!(control.count(Operation::Get, "k"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_always_ends_early_is_an_error_and_never_a_short_answer() {
    let (store, control) = faulty();
    store
        .overwrite("k", Bytes::from_static(BODY), Purpose::Segment)
        .await
        .unwrap();
    control.add(FaultRule::new(Fault::Truncate(4)).on(Operation::Get));
    let error = store.get_range("k", 1..8, Purpose::Tail).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("after 4 of 7 bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn reads_are_tried_for_a_bounded_time() {
    let (store, control) = faulty();
    control.add(FaultRule::new(Fault::Hang).on(Operation::Get));
    let start = Instant::now();
    let error = store.get("wanted", Purpose::Tail).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        start.elapsed() <= Duration::from_secs(25),
        "{:?}",
        start.elapsed()
    );
    control.clear();
    control.add(FaultRule::new(Fault::FailBefore(FaultError::Internal)).on(Operation::Get));
    control.forget_calls();
    assert!(store.get("wanted", Purpose::Tail).await.is_err());
    assert!((2..=8).contains(&control.count(Operation::Get, "wanted")));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_taken_for_an_absent_object() {
    let (store, control) = faulty();
    control.add(FaultRule::new(Fault::FailBefore(FaultError::Denied)));
    let kind = |error: crate::Error| error.kind();
    assert_eq!(
        store.get("k", Purpose::Tail).await.map_err(kind),
        Err(ErrorKind::Unavailable)
    );
    assert_eq!(
        store.list("k/", Purpose::Tail).await.map_err(kind),
        Err(ErrorKind::Unavailable)
    );
    assert_eq!(
        store.list_dirs("k/", Purpose::Tail).await.map_err(kind),
        Err(ErrorKind::Unavailable)
    );
    let keys = vec!["k".to_owned()];
    assert_eq!(
        store.delete(keys, Purpose::Tail).await.map_err(kind),
        Err(ErrorKind::Unavailable)
    );
    let put = store.overwrite("k", Bytes::new(), Purpose::Tail).await;
    assert_eq!(put.map_err(kind), Err(ErrorKind::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn an_overwrite_that_may_have_happened_says_so() {
    let (store, control) = faulty();
    control.add(FaultRule::new(Fault::FailAfter(FaultError::Broken)).on(Operation::Put));
    let error = store
        .overwrite("k", Bytes::from_static(BODY), Purpose::Metadata)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(store.get("k", Purpose::Metadata).await.unwrap().unwrap(), BODY);
}

#[tokio::test(start_paused = true)]
async fn listings_and_deletes_survive_a_burst_of_throttling() {
    let (store, control) = faulty();
    let keys: Vec<String> = (0..30).map(|i| format!("many/{i:02}")).collect();
    for key in &keys {
        store
            .overwrite(key, Bytes::new(), Purpose::Metadata)
            .await
            .unwrap();
    }
    control.add(
        FaultRule::new(Fault::FailBefore(FaultError::Throttled))
            .on(Operation::List)
            .times(3),
    );
    control.add(
        FaultRule::new(Fault::FailBefore(FaultError::Throttled))
            .on(Operation::Delete)
            .skip(7)
            .times(5),
    );
    control.add(
        FaultRule::new(Fault::FailAfter(FaultError::Broken))
            .on(Operation::Delete)
            .skip(20)
            .times(3),
    );
    assert_eq!(store.list("many/", Purpose::Recovery).await.unwrap().len(), 30);
    store.delete(keys, Purpose::Delete).await.unwrap();
    assert_eq!(store.list("many/", Purpose::Recovery).await.unwrap(), []);
}
