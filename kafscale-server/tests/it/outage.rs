//! A store that goes away and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::CreateTopicsRequest;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafscale_core::Random;
use kafscale_core::clock::SystemClock;
use kafscale_core::metrics::StoreMetrics;
use kafscale_core::store::{Store, StoreKind, StoreSettings};
use kafscale_core::testing::fault_store::{Fault, FaultControl, FaultError, FaultRule, FaultStore};
use kafscale_server::Server;
use kafscale_server::config::ServerConfig;
use kafscale_wire::ErrorCode;
use kafscale_wire::client::{Client, ClientError, FetchFrom};
use object_store::memory::InMemory;

use crate::start::{batch, client, records, topic};
use crate::web;

async fn broker_on_faults() -> (Server, FaultControl) {
    let clock = Arc::new(SystemClock::new());
    let objects = FaultStore::new(Arc::new(InMemory::new()), clock.clone(), 5);
    let control = objects.control();
    let mut settings = StoreSettings {
        retry_for_ms: 300,
        backoff_cap_ms: 100,
        probe_interval_ms: 50,
        ..Default::default()
    };
    settings.health.min_samples = 3;
    let random = Arc::new(Random::seeded(5));
    let metrics = Arc::new(StoreMetrics::new());
    let store = Store::new(
        Arc::new(objects),
        StoreKind::Memory,
        settings,
        clock,
        random,
        metrics,
    );
    let server = Server::start_with_store(ServerConfig::in_memory().unwrap(), store)
        .await
        .unwrap();
    (server, control)
}

async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_ready(server: &Server) -> bool {
    web::get(server.http_addr(), "/readyz").await.0 == "HTTP/1.1 200 OK"
}

async fn fetch(client: &Client) -> Vec<(i64, String)> {
    let from = FetchFrom {
        topic: "t",
        partition: 0,
        offset: 0,
        max_wait: Duration::from_millis(10),
        min_bytes: 0,
        max_bytes: 1 << 20,
    };
    records(&client.fetch(&from).await.unwrap().records)
}

#[tokio::test]
async fn without_its_store_the_broker_refuses_writes_serves_the_tail_and_recovers_by_itself() {
    let (server, faults) = broker_on_faults().await;
    let producer = client(&server).await;
    producer.create_topic("t", 1, -1).await.unwrap();
    producer.produce("t", 0, batch(&["before"]), -1).await.unwrap();
    assert!(is_ready(&server).await);

    faults.add(FaultRule::new(Fault::FailBefore(FaultError::Broken)));
    // What is under way when the store goes away is neither acknowledged nor refused: it waits.
    let under_way = producer
        .begin_produce("t", 0, batch(&["under way"]), -1)
        .await
        .unwrap();
    until("the broker notices", async || {
        (!is_ready(&server).await).then_some(())
    })
    .await;
    let (_, why) = web::get(server.http_addr(), "/readyz").await;
    assert_eq!(why, "the store is unavailable\n");
    let (_, metrics) = web::get(server.http_addr(), "/metrics").await;
    assert!(
        metrics.lines().any(|line| line == "kafscale_s3_health_state 2.0"),
        "{metrics}"
    );

    let other = client(&server).await;
    let refused = other.produce("t", 0, batch(&["during"]), -1).await;
    assert!(
        matches!(
            refused,
            Err(ClientError::Refused {
                error: ErrorCode::KafkaStorageError,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(fetch(&other).await, [(0, "before".to_owned())]);
    let new = CreatableTopic::default()
        .with_name(topic("u"))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(500)
        .with_topics(vec![new]);
    let created = other.send(&request).await.unwrap();
    assert_eq!(created.topics[0].error_code, ErrorCode::RequestTimedOut.code());

    faults.clear();
    until("the broker recovers", async || {
        is_ready(&server).await.then_some(())
    })
    .await;
    let written = kafscale_wire::client::produced(&under_way.answer().await.unwrap()).unwrap();
    assert_eq!(written, 1);
    other.produce("t", 0, batch(&["after"]), -1).await.unwrap();
    let values: Vec<String> = fetch(&other).await.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["before", "under way", "after"]);
    server.shutdown().await.unwrap();
}
