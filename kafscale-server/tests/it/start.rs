//! Brokers, clients and batches for the tests.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::{Request, StrBytes};
use kafscale_core::format::batch::Batches;
use kafscale_core::format::records::{BatchBuilder, Records};
use kafscale_server::Server;
use kafscale_server::config::ServerConfig;
use kafscale_wire::client::{Client, ClientError, ClientOptions};

/// A broker in memory.
pub(crate) async fn broker() -> Server {
    broker_with(|_| {}).await
}

/// A broker in memory whose configuration was changed.
pub(crate) async fn broker_with(change: impl FnOnce(&mut ServerConfig)) -> Server {
    let mut config = ServerConfig::in_memory().unwrap();
    change(&mut config);
    Server::start(config).await.unwrap()
}

/// A client of the broker.
pub(crate) async fn client(server: &Server) -> Client {
    let options = ClientOptions {
        deadline: Duration::from_secs(20),
        ..ClientOptions::default()
    };
    Client::connect(server.kafka_addr(), options).await.unwrap()
}

/// A broker, a client, and a topic.
pub(crate) async fn broker_with_topic(name: &str, partitions: i32) -> (Server, Client) {
    let server = broker().await;
    let client = client(&server).await;
    client.create_topic(name, partitions, -1).await.unwrap();
    (server, client)
}

/// Text for the codec.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic's name for the codec.
pub(crate) fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// One batch with a record for each value.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    build(BatchBuilder::new(), values)
}

/// One batch of an idempotent producer.
pub(crate) fn idempotent(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Bytes {
    build(BatchBuilder::new().producer(id, epoch, sequence), values)
}

/// Fills a batch with records; the first has timestamp 1000, each further one is a millisecond later.
pub(crate) fn build(mut builder: BatchBuilder, values: &[&str]) -> Bytes {
    for (timestamp, value) in (1000..).zip(values) {
        builder
            .append(timestamp, None, Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder.build().unwrap()
}

/// Offset and value of every record.
pub(crate) fn records(batches: &Bytes) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for batch in Batches::strict(batches) {
        let (_, place) = batch.unwrap();
        for record in Records::open(&batches.slice(place), 1 << 20).unwrap() {
            let record = record.unwrap();
            found.push((
                record.offset,
                String::from_utf8(record.value.unwrap().to_vec()).unwrap(),
            ));
        }
    }
    found
}

/// Sends a request in one version.
pub(crate) async fn ask<R: Request>(client: &Client, version: i16, request: &R) -> R::Response {
    try_ask(client, version, request)
        .await
        .unwrap_or_else(|error| panic!("version {version}: {error}"))
}

/// Sends a request in one version.
pub(crate) async fn try_ask<R: Request>(
    client: &Client,
    version: i16,
    request: &R,
) -> Result<R::Response, ClientError> {
    client.dispatch(version, request).await?.answer().await
}

/// Metadata of one topic.
pub(crate) async fn describe(client: &Client, name: &str, create: bool) -> MetadataResponse {
    let request = MetadataRequest::default()
        .with_topics(Some(vec![
            MetadataRequestTopic::default().with_name(Some(topic(name))),
        ]))
        .with_allow_auto_topic_creation(create);
    client.send(&request).await.unwrap()
}

/// The id of a topic.
pub(crate) async fn topic_id(client: &Client, name: &str) -> uuid::Uuid {
    let id = describe(client, name, false).await.topics[0].topic_id;
    assert!(!id.is_nil());
    id
}
