//! Requests of one connection: taken in order, answered in order, none waiting for another's long wait.

use std::time::{Duration, Instant};

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, MetadataRequest};
use kafscale_wire::client::produced;

use crate::start::{batch, broker_with_topic, topic};

#[tokio::test]
async fn pipelined_batches_get_their_offsets_in_the_order_of_the_requests() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let mut pending = Vec::new();
    for n in 0..200 {
        let value = n.to_string();
        pending.push(client.begin_produce("t", 0, batch(&[&value]), -1).await.unwrap());
    }
    for (expected, pending) in (0..).zip(pending) {
        assert_eq!(produced(&pending.answer().await.unwrap()).unwrap(), expected);
    }
}

#[tokio::test]
async fn what_follows_a_long_poll_is_done_at_once_and_answered_after_it() {
    let (server, client) = broker_with_topic("t", 1).await;
    let asked = FetchPartition::default().with_partition_max_bytes(1 << 20);
    let asked = FetchTopic::default()
        .with_topic(topic("t"))
        .with_partitions(vec![asked]);
    let request = FetchRequest::default()
        .with_max_wait_ms(15_000)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![asked]);
    let begun = Instant::now();
    let poll = client.dispatch(12, &request).await.unwrap();
    let metadata = client
        .dispatch(9, &MetadataRequest::default().with_topics(None))
        .await
        .unwrap();
    // The produce behind the poll is what ends it: it was not held back.
    let produce = client.begin_produce("t", 0, batch(&["news"]), -1).await.unwrap();
    let polled = poll.answer().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(
        !polled.responses[0].partitions[0]
            .records
            .as_ref()
            .unwrap()
            .is_empty()
    );
    assert_eq!(metadata.answer().await.unwrap().topics.len(), 1);
    assert_eq!(produced(&produce.answer().await.unwrap()).unwrap(), 0);
    drop(server);
}
