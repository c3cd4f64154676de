//! Produce and Fetch beyond the round trip: errors, duplicates, sessions, epochs, long polls.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, InitProducerIdRequest, ProduceRequest, TransactionalId,
};
use kafscale_core::format::codec::Compression;
use kafscale_core::format::records::BatchBuilder;
use kafscale_wire::ErrorCode;
use kafscale_wire::client::{Client, ClientError, FetchFrom};

use crate::start::{
    ask, batch, broker, broker_with, broker_with_topic, build, client, describe, idempotent, records, text,
    topic, try_ask,
};

fn produce_request(batches: Option<Bytes>) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(batches);
    let data = TopicProduceData::default()
        .with_name(topic("t"))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![data])
}

async fn produce(client: &Client, request: &ProduceRequest) -> PartitionProduceResponse {
    ask(client, 12, request)
        .await
        .responses
        .remove(0)
        .partition_responses
        .remove(0)
}

fn fetch_request(partition: FetchPartition, wait_ms: i32) -> FetchRequest {
    let asked = FetchTopic::default()
        .with_topic(topic("t"))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![asked])
}

fn from(offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
}

fn partition(answer: FetchResponse) -> PartitionData {
    answer.responses.into_iter().next().unwrap().partitions.remove(0)
}

#[tokio::test]
async fn every_codec_and_several_batches_come_back_as_they_were_sent() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let mut expected = Vec::new();
    for codec in codecs {
        let one = || build(BatchBuilder::new().compression(codec, None), &["first", "second"]);
        let two = [one(), one()].concat();
        let base = client.produce("t", 0, two.into(), -1).await.unwrap();
        let values = ["first", "second", "first", "second"];
        expected.extend(
            (base..)
                .zip(values)
                .map(|(offset, value)| (offset, value.to_owned())),
        );
    }
    let answer = ask(&client, 12, &fetch_request(from(0), 100)).await;
    assert_eq!(records(&partition(answer).records.unwrap()), expected);
    assert_eq!(expected.last().unwrap().0, 19);
}

#[tokio::test]
async fn impossible_requests_are_refused_partition_by_partition() {
    let (server, client) = broker_with_topic("t", 1).await;
    let code = async |request: ProduceRequest| {
        let answer = produce(&client, &request).await;
        assert_eq!(
            (
                answer.base_offset,
                answer.log_append_time_ms,
                answer.log_start_offset
            ),
            (-1, -1, -1)
        );
        ErrorCode::from_code(answer.error_code).unwrap()
    };
    let good = || produce_request(Some(batch(&["x"])));
    assert_eq!(code(good().with_acks(2)).await, ErrorCode::InvalidRequiredAcks);
    let transactional = good().with_transactional_id(Some(TransactionalId(text("tx"))));
    assert_eq!(code(transactional).await, ErrorCode::UnsupportedVersion);
    assert_eq!(code(produce_request(None)).await, ErrorCode::InvalidRecord);
    assert_eq!(
        code(produce_request(Some(Bytes::new()))).await,
        ErrorCode::InvalidRecord
    );
    let mut damaged = batch(&["x"]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(
        code(produce_request(Some(damaged.into()))).await,
        ErrorCode::CorruptMessage
    );
    let mut old = batch(&["x"]).to_vec();
    old[16] = 1;
    assert_eq!(
        code(produce_request(Some(old.into()))).await,
        ErrorCode::UnsupportedForMessageFormat
    );
    let large = "x".repeat(2 << 20);
    assert_eq!(
        code(produce_request(Some(batch(&[&large])))).await,
        ErrorCode::MessageTooLarge
    );
    let control = build(BatchBuilder::new().producer(1, 0, 0).control(), &["x"]);
    assert_eq!(
        code(produce_request(Some(control))).await,
        ErrorCode::InvalidRecord
    );
    let t = server.engine().topic("t").unwrap().id;
    assert_eq!(server.engine().partition_info(t, 0).unwrap().next_offset, 0);
}

#[tokio::test]
async fn acks_0_has_no_answer_and_a_failure_closes_the_connection() {
    let (_server, client) = broker_with_topic("t", 1).await;
    client.produce("t", 0, batch(&["a"]), 0).await.unwrap();
    // The next answer on the connection is that of the next request.
    assert_eq!(client.produce("t", 0, batch(&["b"]), -1).await.unwrap(), 1);
    client.produce("missing", 0, batch(&["c"]), 0).await.unwrap();
    let after = client.produce("t", 0, batch(&["d"]), -1).await;
    assert!(matches!(after, Err(ClientError::Closed(_))), "{after:?}");
}

#[tokio::test]
async fn a_repeated_batch_gets_its_first_answer_and_a_gap_is_refused() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let id = client.send(&request).await.unwrap().producer_id.0;
    let send = async |sequence, epoch, values: &[&str]| {
        let answer = produce(
            &client,
            &produce_request(Some(idempotent(id, epoch, sequence, values))),
        )
        .await;
        (
            ErrorCode::from_code(answer.error_code).unwrap(),
            answer.base_offset,
        )
    };
    assert_eq!(send(0, 0, &["a", "b"]).await, (ErrorCode::None, 0));
    assert_eq!(send(2, 0, &["c"]).await, (ErrorCode::None, 2));
    assert_eq!(send(0, 0, &["a", "b"]).await, (ErrorCode::None, 0));
    assert_eq!(send(2, 0, &["c"]).await, (ErrorCode::None, 2));
    assert_eq!(send(5, 0, &["e"]).await.0, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(send(0, 1, &["d"]).await, (ErrorCode::None, 3));
    assert_eq!(send(3, 0, &["x"]).await.0, ErrorCode::InvalidProducerEpoch);
    let answer = ask(&client, 12, &fetch_request(from(0), 100)).await;
    let values: Vec<String> = records(&partition(answer).records.unwrap())
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_session_is_never_given_and_never_known() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let answer = ask(&client, 12, &fetch_request(from(0), 0).with_session_epoch(0)).await;
    assert_eq!((answer.error_code, answer.session_id), (0, 0));
    let unknown = fetch_request(from(0), 0).with_session_id(5).with_session_epoch(1);
    let answer = ask(&client, 12, &unknown).await;
    assert_eq!(answer.error_code, ErrorCode::FetchSessionIdNotFound.code());
    assert!(answer.responses.is_empty());
    let answer = ask(&client, 12, &fetch_request(from(0), 0).with_session_epoch(3)).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
}

#[tokio::test]
async fn leader_epochs_are_compared() {
    let (server, client) = broker_with_topic("t", 1).await;
    client.produce("t", 0, batch(&["a", "b"]), -1).await.unwrap();
    let epoch = server
        .engine()
        .partition_info(server.engine().topic("t").unwrap().id, 0)
        .unwrap()
        .leader_epoch;
    let fetch =
        async |asked: FetchPartition| partition(ask(&client, 12, &fetch_request(asked, 10_000)).await);
    assert_eq!(
        fetch(from(0).with_current_leader_epoch(epoch)).await.error_code,
        0
    );
    let newer = fetch(from(0).with_current_leader_epoch(epoch + 1)).await;
    assert_eq!(newer.error_code, ErrorCode::UnknownLeaderEpoch.code());
    let older = fetch(from(0).with_current_leader_epoch(epoch - 1)).await;
    assert_eq!(older.error_code, ErrorCode::FencedLeaderEpoch.code());
    assert_eq!(fetch(from(1).with_last_fetched_epoch(epoch)).await.error_code, 0);
    let diverging = fetch(from(9).with_last_fetched_epoch(epoch)).await;
    assert_eq!(
        (
            diverging.diverging_epoch.epoch,
            diverging.diverging_epoch.end_offset
        ),
        (epoch, 2)
    );
    assert_eq!(diverging.records.map(|records| records.len()), Some(0));
}

#[tokio::test]
async fn a_long_poll_ends_when_records_arrive_and_not_before() {
    let (server, consumer) = broker_with_topic("t", 1).await;
    let producer = client(&server).await;
    let begun = Instant::now();
    let waiting = consumer
        .dispatch(12, &fetch_request(from(0), 15_000))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    producer.produce("t", 0, batch(&["news"]), -1).await.unwrap();
    let found = partition(waiting.answer().await.unwrap());
    assert_eq!(records(&found.records.unwrap()), [(0, "news".to_owned())]);
    assert!(begun.elapsed() >= Duration::from_millis(50) && begun.elapsed() < Duration::from_secs(10));
    // Without news it ends when the client's patience does.
    let begun = Instant::now();
    let nothing = partition(ask(&consumer, 12, &fetch_request(from(1), 100)).await);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(nothing.records.map(|records| records.len()), Some(0));
}

#[tokio::test]
async fn an_error_in_one_partition_does_not_wait_for_records_in_another() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let asked = FetchTopic::default()
        .with_topic(topic("t"))
        .with_partitions(vec![from(0), from(0).with_partition(7)]);
    let request = fetch_request(from(0), 20_000).with_topics(vec![asked]);
    let begun = Instant::now();
    let answer = ask(&client, 12, &request).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(
        answer.responses[0].partitions[1].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
}

#[tokio::test]
async fn the_first_batch_comes_however_small_the_limits_are() {
    let server = broker_with(|config| config.net.fetch_max_bytes = 1024).await;
    let client = client(&server).await;
    client.create_topic("t", 1, -1).await.unwrap();
    let large = "x".repeat(100_000);
    for _ in 0..3 {
        client.produce("t", 0, batch(&[&large]), -1).await.unwrap();
    }
    for max_bytes in [0, 1, 1 << 20] {
        let from = FetchFrom {
            topic: "t",
            partition: 0,
            offset: 1,
            max_wait: Duration::from_millis(100),
            min_bytes: 1,
            max_bytes,
        };
        let fetched = client.fetch(&from).await.unwrap();
        let found = records(&fetched.records);
        assert_eq!(
            found.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
            [1],
            "{max_bytes}"
        );
    }
}

#[tokio::test]
async fn the_brokers_time_replaces_the_producers_where_the_topic_says_so() {
    let (server, client) = broker_with_topic("t", 1).await;
    let change = kafscale_core::ConfigChange::Set("message.timestamp.type".into(), "LogAppendTime".into());
    server
        .engine()
        .alter_topic_configs("t", vec![change])
        .await
        .unwrap();
    let answer = produce(&client, &produce_request(Some(batch(&["a"])))).await;
    assert_eq!(answer.error_code, 0);
    assert!(answer.log_append_time_ms > 1_600_000_000_000);
}

#[tokio::test]
async fn records_need_a_topic_that_exists_and_metadata_makes_it() {
    let server = broker_with(|config| config.topics.default_partitions = 4).await;
    let client = client(&server).await;
    let refused = client.produce("t", 0, batch(&["a"]), -1).await;
    assert!(matches!(
        refused,
        Err(ClientError::Refused {
            error: ErrorCode::UnknownTopicOrPartition,
            ..
        })
    ));
    assert_eq!(describe(&client, "t", false).await.topics[0].error_code, 3);
    let created = describe(&client, "t", true).await;
    assert_eq!(
        (created.topics[0].error_code, created.topics[0].partitions.len()),
        (0, 4)
    );
    client.produce("t", 3, batch(&["a"]), -1).await.unwrap();
}

#[tokio::test]
async fn nothing_is_created_where_the_configuration_forbids_it() {
    let server = broker_with(|config| config.topics.auto_create = false).await;
    let client = client(&server).await;
    let missing = describe(&client, "t", true).await;
    assert_eq!(
        missing.topics[0].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    assert!(server.engine().topics().is_empty());
}

#[tokio::test]
async fn a_fetch_of_nothing_is_answered_at_once() {
    let server = broker().await;
    let client = client(&server).await;
    let request = FetchRequest::default()
        .with_max_wait_ms(20_000)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20);
    let begun = Instant::now();
    assert!(try_ask(&client, 12, &request).await.unwrap().responses.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(10));
}
