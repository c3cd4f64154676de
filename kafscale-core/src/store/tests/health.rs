//! Health as the store's users see it.

use std::time::Duration;

use bytes::Bytes;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::faulty;
use crate::health::HealthState;
use crate::store::{Operation, Purpose};
use crate::testing::fault_store::{Fault, FaultError, FaultRule};

#[tokio::test(start_paused = true)]
async fn an_unavailable_store_is_asked_until_it_is_back() {
    let (store, control) = faulty();
    store.probe("default", 1).await.unwrap();
    let mut health = store.health();
    assert_eq!(health.borrow().state, HealthState::Healthy);
    let rule = control.add(FaultRule::new(Fault::FailBefore(FaultError::Internal)));
    while health.borrow().state != HealthState::Unavailable {
        let _ = store.get("k", Purpose::Tail).await;
    }
    control.forget_calls();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let asked = control.count(Operation::Put, "_kafscale/default/probe/1");
    assert!((5..=30).contains(&asked), "asked {asked} times");
    assert_eq!(health.borrow().state, HealthState::Unavailable);

    control.remove(rule);
    let back = health.wait_for(|health| health.state == HealthState::Healthy);
    tokio::time::timeout(Duration::from_secs(15), back)
        .await
        .unwrap()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    control.forget_calls();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(control.calls(), [], "a healthy store is left alone");
}

#[tokio::test(start_paused = true)]
async fn one_failed_call_on_a_quiet_broker_changes_nothing() {
    let (store, control) = faulty();
    control.add(
        FaultRule::new(Fault::FailBefore(FaultError::Broken))
            .on(Operation::Put)
            .times(1),
    );
    store
        .overwrite("k", Bytes::new(), Purpose::Metadata)
        .await
        .unwrap();
    assert_eq!(store.health().borrow().state, HealthState::Healthy);
    assert_eq!(store.health().borrow().error_rate, 0.5);
}

#[tokio::test(start_paused = true)]
async fn absent_and_existing_objects_are_no_errors() {
    let (store, _) = faulty();
    for _ in 0..20 {
        assert_eq!(store.get("absent", Purpose::Tail).await.unwrap(), None);
        let limit = crate::store::CreateLimit::UntilKnown;
        store
            .create("there", &[Bytes::new()], None, limit, Purpose::Segment)
            .await
            .unwrap();
    }
    assert_eq!(store.health().borrow().error_rate, 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_watch_ends_with_the_store() {
    let (store, control) = faulty();
    control.add(FaultRule::new(Fault::FailBefore(FaultError::Internal)));
    while store.health().borrow().state != HealthState::Unavailable {
        let _ = store.get("k", Purpose::Tail).await;
    }
    drop(store);
    tokio::time::sleep(Duration::from_secs(10)).await;
    control.forget_calls();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(control.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn the_metrics_have_the_names_of_the_guide() {
    let (store, control) = faulty();
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    store
        .overwrite("k", Bytes::from_static(b"12345"), Purpose::Segment)
        .await
        .unwrap();
    store.get("k", Purpose::CatchUp).await.unwrap();
    control.add(
        FaultRule::new(Fault::FailBefore(FaultError::Throttled))
            .on(Operation::Get)
            .times(1),
    );
    store.get("k", Purpose::CatchUp).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for line in [
        "kafscale_store_requests_total{operation=\"put\",purpose=\"segment\"} 1",
        "kafscale_store_requests_total{operation=\"get\",purpose=\"catch_up\"} 3",
        "kafscale_store_errors_total{operation=\"get\",purpose=\"catch_up\"} 1",
        "kafscale_store_throttled_total{operation=\"get\",purpose=\"catch_up\"} 1",
        "kafscale_store_retries_total{operation=\"get\",purpose=\"catch_up\"} 1",
        "kafscale_store_written_bytes_total{operation=\"put\",purpose=\"segment\"} 5",
        "kafscale_store_read_bytes_total{operation=\"get\",purpose=\"catch_up\"} 10",
        "kafscale_store_request_seconds_count{operation=\"put\",purpose=\"segment\"} 1",
        "kafscale_s3_health_state 0.0",
        "kafscale_s3_latency_ms_avg 0.0",
        "kafscale_s3_error_rate 0.25",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    let since = text
        .lines()
        .find_map(|line| line.strip_prefix("kafscale_s3_state_duration_seconds "));
    assert!(since.unwrap().parse::<f64>().unwrap() >= 7.0, "{text}");
}
