#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;

use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::frame::FrameReader;
use crate::limits::Limits;
use crate::request::{Request as Decoded, RequestBody, decode_request};
use crate::response::{Response, api_versions, encode, unsupported_api_versions, write_chunks};

/// A broker for one connection. It answers ApiVersions itself; for other requests, `answer` says what to write, or to
/// close the connection with `None`.
async fn broker(mut answer: impl FnMut(Decoded) -> Option<Vec<Response>> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (reader, mut writer) = listener.accept().await.unwrap().0.into_split();
        let mut reader = FrameReader::new(reader, Limits::default());
        while let Some(frame) = reader.read().await.unwrap() {
            let request = decode_request(frame, &Limits::default()).unwrap();
            let responses = match request.body {
                RequestBody::ApiVersions(_) => Some(vec![
                    encode(&request.header, &api_versions(ErrorCode::None)).unwrap(),
                ]),
                _ => answer(request),
            };
            let Some(responses) = responses else { return };
            for response in responses {
                write_chunks(&mut writer, &response).await.unwrap();
            }
        }
    });
    address
}

fn options() -> ClientOptions {
    ClientOptions {
        deadline: Duration::from_secs(10),
        ..ClientOptions::default()
    }
}

async fn connected(answer: impl FnMut(Decoded) -> Option<Vec<Response>> + Send + 'static) -> Client {
    Client::connect(broker(answer).await, options()).await.unwrap()
}

fn heartbeat(generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default().with_generation_id(generation)
}

#[tokio::test]
async fn several_requests_are_in_flight_and_answers_may_come_in_any_order() {
    let mut held = Vec::new();
    let client = connected(move |request| {
        let RequestBody::Heartbeat(beat) = &request.body else {
            panic!("{:?}", request.body)
        };
        let answer = HeartbeatResponse::default().with_throttle_time_ms(beat.generation_id);
        held.push(encode(&request.header, &answer).unwrap());
        // Nothing until all are here; then the last one first.
        Some(if held.len() == 50 {
            held.drain(..).rev().collect()
        } else {
            Vec::new()
        })
    })
    .await;
    let version = client.version_of::<HeartbeatRequest>(i16::MAX).unwrap();
    let mut pending = Vec::new();
    for generation in 0..50 {
        pending.push((
            generation,
            client.dispatch(version, &heartbeat(generation)).await.unwrap(),
        ));
    }
    for (generation, pending) in pending {
        assert_eq!(pending.answer().await.unwrap().throttle_time_ms, generation);
    }
}

#[tokio::test]
async fn versions_are_the_highest_in_common() {
    let client = connected(|_| None).await;
    assert_eq!(client.version_of::<ProduceRequest>(i16::MAX).unwrap(), 13);
    assert_eq!(client.version_of::<ProduceRequest>(9).unwrap(), 9);
    assert_eq!(client.version_of::<OffsetCommitRequest>(i16::MAX).unwrap(), 9);
    assert!(matches!(
        client.version_of::<ProduceRequest>(2),
        Err(ClientError::NoCommonVersion(ApiKey::Produce))
    ));
    assert!(matches!(
        client.version_of::<SaslHandshakeRequest>(i16::MAX),
        Err(ClientError::NoCommonVersion(ApiKey::SaslHandshake))
    ));
}

#[tokio::test]
async fn a_broker_that_does_not_know_our_api_versions_is_asked_in_version_0() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = tokio::spawn(async move {
        let (reader, mut writer) = listener.accept().await.unwrap().0.into_split();
        let mut reader = FrameReader::new(reader, Limits::default());
        let mut asked = Vec::new();
        for _ in 0..2 {
            let mut frame = reader.read().await.unwrap().unwrap();
            let header = crate::request::RequestHeader::parse(&mut frame).unwrap();
            asked.push(header.api_version);
            let response = match header.api_version {
                0 => encode(&header, &api_versions(ErrorCode::None)).unwrap(),
                _ => unsupported_api_versions(&header).unwrap(),
            };
            write_chunks(&mut writer, &response).await.unwrap();
        }
        asked
    });
    let client = Client::connect(address, options()).await.unwrap();
    assert_eq!(client.version_of::<FetchRequest>(i16::MAX).unwrap(), 18);
    assert_eq!(broker.await.unwrap(), [3, 0]);
}

#[tokio::test]
async fn a_broker_that_never_answers_costs_the_deadline() {
    let address = broker(|_| Some(Vec::new())).await;
    let mut options = options();
    let mut client = Client::connect(address, options.clone()).await.unwrap();
    options.deadline = Duration::from_millis(20);
    client.options = Arc::new(options);
    let error = client.send(&heartbeat(1)).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline(deadline) if deadline == Duration::from_millis(20)));
}

#[tokio::test]
async fn a_closed_connection_ends_every_wait_and_every_later_request() {
    let mut seen = 0;
    let client = connected(move |_| {
        seen += 1;
        (seen < 3).then(Vec::new)
    })
    .await;
    let mut pending = Vec::new();
    for generation in 0..3 {
        pending.push(client.dispatch(4, &heartbeat(generation)).await.unwrap());
    }
    for pending in pending {
        assert!(matches!(pending.answer().await, Err(ClientError::Closed(_))));
    }
    assert!(matches!(
        client.send(&heartbeat(9)).await,
        Err(ClientError::Closed(_))
    ));
}

#[tokio::test]
async fn a_response_beyond_the_limit_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[0x7f, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
        stream.readable().await.unwrap();
        std::future::pending::<()>().await;
    });
    let error = Client::connect(address, options()).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Closed(reason) if reason.contains("exceeds the limit")),
        "{error}"
    );
}

#[tokio::test]
async fn batches_go_out_and_come_back_as_they_are() {
    let batch = Bytes::from(vec![42; 100_000]);
    let expected = batch.clone();
    let client = connected(move |request| {
        let response = match request.body {
            RequestBody::Produce(produce) => {
                let data = &produce.topic_data[0];
                assert_eq!((data.name.as_str(), data.partition_data[0].index), ("orders", 3));
                assert_eq!(data.partition_data[0].records.as_ref(), Some(&expected));
                if produce.acks == 0 {
                    return Some(Vec::new());
                }
                let partition = PartitionProduceResponse::default()
                    .with_index(3)
                    .with_base_offset(17);
                let topic = TopicProduceResponse::default().with_partition_responses(vec![partition]);
                encode(
                    &request.header,
                    &ProduceResponse::default().with_responses(vec![topic]),
                )
            }
            RequestBody::Fetch(fetch) => {
                assert_eq!(fetch.topics[0].partitions[0].fetch_offset, 17);
                let partition = PartitionData::default()
                    .with_high_watermark(18)
                    .with_records(Some(expected.clone()));
                let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
                encode(
                    &request.header,
                    &FetchResponse::default().with_responses(vec![topic]),
                )
            }
            other => panic!("{other:?}"),
        };
        Some(vec![response.unwrap()])
    })
    .await;
    assert_eq!(client.produce("orders", 3, batch.clone(), 0).await.unwrap(), -1);
    assert_eq!(client.produce("orders", 3, batch.clone(), -1).await.unwrap(), 17);
    let from = FetchFrom {
        topic: "orders",
        partition: 3,
        offset: 17,
        max_wait: Duration::ZERO,
        min_bytes: 1,
        max_bytes: 1 << 20,
    };
    let fetched = client.fetch(&from).await.unwrap();
    assert_eq!((fetched.high_watermark, fetched.records), (18, batch));
}

#[tokio::test]
async fn an_error_of_the_broker_says_what_was_refused() {
    let client = connected(|request| {
        let topic = CreatableTopicResult::default().with_error_code(ErrorCode::TopicAlreadyExists.code());
        let response = CreateTopicsResponse::default().with_topics(vec![topic]);
        Some(vec![encode(&request.header, &response).unwrap()])
    })
    .await;
    let error = client.create_topic("orders", 6, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "creating topic orders: TOPIC_ALREADY_EXISTS");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_an_error() {
    let client = connected(|request| {
        let id = request.header.correlation_id.to_be_bytes();
        Some(vec![vec![Bytes::from(
            [&[0, 0, 0, 7], &id[..], &[0xff, 0xff, 0xff]].concat(),
        )]])
    })
    .await;
    assert!(matches!(
        client.send(&heartbeat(1)).await,
        Err(ClientError::Answer(_))
    ));
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(matches!(
        Client::connect(address, options()).await,
        Err(ClientError::Connect(_))
    ));
}
