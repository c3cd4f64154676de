//! The start-up probe on stores that cannot be used.

use super::faulty;
use crate::error::ErrorKind;
use crate::store::{Operation, Purpose};
use crate::testing::fault_store::{Fault, FaultError, FaultRule};

async fn refusal(rules: &[FaultRule]) -> String {
    let (store, control) = faulty();
    for rule in rules {
        control.add(rule.clone());
    }
    let error = store.probe("default", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_ignores_the_condition_is_refused() {
    let ignore = FaultRule::new(Fault::IgnoreCondition).on(Operation::Create);
    let why = refusal(std::slice::from_ref(&ignore)).await;
    assert!(
        why.contains("does not honour conditional writes") && why.contains("If-None-Match"),
        "{why}"
    );
    // Only creates at the same time slip through, as when a store looks first and then writes.
    let why = refusal(&[ignore.skip(2)]).await;
    assert!(why.contains("4 of 4 creates"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_says_exists_and_writes_all_the_same_is_refused() {
    let liar = FaultRule::new(Fault::IgnoreCondition)
        .on(Operation::Create)
        .skip(1)
        .times(1);
    let says = FaultRule::new(Fault::FailAfter(FaultError::Conflict))
        .on(Operation::Create)
        .skip(1)
        .times(1);
    let why = refusal(&[liar, says]).await;
    assert!(why.contains("does not honour conditional writes"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_listings_are_late_is_refused() {
    let why = refusal(&[FaultRule::new(Fault::HideLast(1)).on(Operation::List)]).await;
    assert!(why.contains("consistent listings"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_may_not_be_written_or_cannot_be_reached_is_refused() {
    let why = refusal(&[FaultRule::new(Fault::FailBefore(FaultError::Denied))]).await;
    assert!(
        why.contains("credentials") && why.contains("AccessDenied"),
        "{why}"
    );
    let why = refusal(&[FaultRule::new(Fault::Hang)]).await;
    assert!(why.contains("did not answer in time"), "{why}");
    let why = refusal(&[FaultRule::new(Fault::FailBefore(FaultError::Denied)).on(Operation::Delete)]).await;
    assert!(why.contains("did not delete"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_store_with_hiccups_passes() {
    let (store, control) = faulty();
    control.add(FaultRule::new(Fault::FailAfter(FaultError::Broken)).chance(0.2));
    store.probe("default", 1).await.unwrap();
    control.clear();
    assert_eq!(store.list("", Purpose::Probe).await.unwrap().len(), 1);
}
