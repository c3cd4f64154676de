//! Start and stop: what is checked, what is kept, what is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafscale_core::Random;
use kafscale_core::clock::SystemClock;
use kafscale_core::metrics::StoreMetrics;
use kafscale_core::store::{S3Options, Store, StoreKind, StoreLocation, StoreSettings};
use kafscale_server::config::ServerConfig;
use kafscale_server::{Server, StartError};
use kafscale_wire::ErrorCode;
use kafscale_wire::client::{ClientError, FetchFrom};
use object_store::memory::InMemory;

use crate::start::{batch, broker, client, records};
use crate::web;

fn on_directory(dir: &std::path::Path) -> ServerConfig {
    let mut config = ServerConfig::in_memory().unwrap();
    config.store.location = StoreLocation::File {
        dir: dir.to_owned(),
        fsync: true,
    };
    config
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_stop_and_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = None;
    for (round, crash) in [(0, false), (1, true), (2, true), (3, false)] {
        let server = Server::start(on_directory(dir.path())).await.unwrap();
        let client = client(&server).await;
        if round == 0 {
            client.create_topic("t", 1, -1).await.unwrap();
        }
        let same = *cluster.get_or_insert(client.metadata(None).await.unwrap().cluster_id.unwrap())
            == *client.metadata(None).await.unwrap().cluster_id.unwrap();
        assert!(same);
        let value = format!("round {round}");
        assert_eq!(client.produce("t", 0, batch(&[&value]), -1).await.unwrap(), round);
        let from = FetchFrom {
            topic: "t",
            partition: 0,
            offset: 0,
            max_wait: Duration::from_secs(5),
            min_bytes: 1,
            max_bytes: 1 << 20,
        };
        let found = records(&client.fetch(&from).await.unwrap().records);
        assert_eq!(found.last(), Some(&(round, value)));
        if crash {
            drop(client);
            drop(server);
            wait_until_free(dir.path()).await;
        } else {
            server.shutdown().await.unwrap();
        }
    }
}

/// A dropped broker's tasks end a moment later; until then its directory is locked.
async fn wait_until_free(dir: &std::path::Path) {
    let begun = Instant::now();
    loop {
        match Server::start(on_directory(dir)).await {
            Ok(server) => return server.shutdown().await.unwrap(),
            Err(StartError::Store { .. }) if begun.elapsed() < Duration::from_secs(20) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_stop_answers_what_was_accepted_and_ends_long_polls() {
    let server = broker().await;
    let client = client(&server).await;
    client.create_topic("t", 1, -1).await.unwrap();
    let from = FetchFrom {
        topic: "t",
        partition: 0,
        offset: 0,
        max_wait: Duration::from_secs(20),
        min_bytes: 1,
        max_bytes: 1 << 20,
    };
    let poll = client.fetch(&from);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.shutdown().await.unwrap();
    };
    let begun = Instant::now();
    let (polled, ()) = tokio::join!(poll, stop);
    assert!(polled.unwrap().records.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(10));
    let after = client.produce("t", 0, batch(&["late"]), -1).await;
    assert!(matches!(after, Err(ClientError::Closed(_))), "{after:?}");
}

#[tokio::test]
async fn a_second_broker_on_the_same_directory_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = Server::start(on_directory(dir.path())).await.unwrap();
    let refused = Server::start(on_directory(dir.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&dir.path().display().to_string()) && refused.contains("another process"),
        "{refused}"
    );
    let client = client(&first).await;
    client.create_topic("t", 1, -1).await.unwrap();
    assert_eq!(client.produce("t", 0, batch(&["unharmed"]), -1).await.unwrap(), 0);
}

#[tokio::test]
async fn a_port_in_use_is_named_before_the_store_is_touched() {
    let first = broker().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = on_directory(dir.path());
    config.kafka_addr = first.kafka_addr().to_string();
    let refused = Server::start(config).await.unwrap_err().to_string();
    let expected = format!("cannot listen on {} (KAFSCALE_BROKER_ADDR)", first.kafka_addr());
    assert!(refused.starts_with(&expected), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_store_that_does_not_answer_ends_the_start_with_a_message() {
    // A port that is bound and never accepts.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = ServerConfig::in_memory().unwrap();
    config.startup_timeout = Duration::from_millis(300);
    config.store.location = StoreLocation::S3 {
        bucket: "bucket".to_owned(),
        prefix: String::new(),
    };
    config.store.s3 = S3Options {
        endpoint: Some(format!("http://{}", silent.local_addr().unwrap())),
        region: Some("us-east-1".to_owned()),
        anonymous: true,
        ..S3Options::default()
    };
    let begun = Instant::now();
    let refused = Server::start(config).await.unwrap_err();
    assert!(matches!(refused, StartError::Timeout { .. }), "{refused}");
    assert!(
        refused.to_string().contains("s3://bucket did not answer"),
        "{refused}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_ends_the_start_with_a_message() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Server::start(on_directory(&file.path().join("below-a-file")))
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::Store { .. }), "{refused}");
}

#[tokio::test]
async fn several_brokers_live_in_one_process() {
    let (left, right) = (broker().await, broker().await);
    client(&left)
        .await
        .create_topic("only-left", 1, -1)
        .await
        .unwrap();
    assert!(right.engine().topics().is_empty());
    let (status, _) = web::get(right.http_addr(), "/readyz").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_broker_that_is_taken_over_says_so_and_acknowledges_nothing_more() {
    let store = Store::new(
        Arc::new(InMemory::new()),
        StoreKind::Memory,
        StoreSettings::default(),
        Arc::new(SystemClock::new()),
        Arc::new(Random::seeded(3)),
        Arc::new(StoreMetrics::new()),
    );
    let start = async || {
        Server::start_with_store(ServerConfig::in_memory().unwrap(), store.clone())
            .await
            .unwrap()
    };
    let old = start().await;
    let to_old = client(&old).await;
    to_old.create_topic("t", 1, -1).await.unwrap();
    to_old.produce("t", 0, batch(&["old"]), -1).await.unwrap();
    let new = start().await;
    let refused = to_old.produce("t", 0, batch(&["lost"]), -1).await;
    let error = match refused {
        Err(ClientError::Refused { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error, ErrorCode::NotLeaderOrFollower);
    let reason = tokio::time::timeout(Duration::from_secs(20), old.fenced())
        .await
        .unwrap();
    assert!(!reason.is_empty());
    let (status, why) = web::get(old.http_addr(), "/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable", "{why}");
    let to_new = client(&new).await;
    assert_eq!(to_new.produce("t", 0, batch(&["new"]), -1).await.unwrap(), 1);
}
