//! Clients that break the protocol: they lose their connection, everybody else keeps theirs.

use std::time::{Duration, Instant};

use kafscale_core::Random;
use kafscale_server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::start::{batch, broker, broker_with, client};

/// Sends bytes and waits until the broker closes or has nothing more to say.
async fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.kafka_addr()).await.unwrap();
    // The broker may close while we write.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the broker must close the connection");
    answer
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

async fn still_serves(server: &Server) {
    let client = client(server).await;
    client.create_topic("still-here", 1, -1).await.ok();
    client.produce("still-here", 0, batch(&["x"]), -1).await.unwrap();
}

#[tokio::test]
async fn frames_of_random_bytes_do_no_harm() {
    let server = broker().await;
    let random = Random::seeded(11);
    for _ in 0..300 {
        let length = 8 + random.u32() as usize % 200;
        let mut body: Vec<u8> = (0..length).map(|_| random.u32() as u8).collect();
        // A known API most of the time, so that more than the header is looked at.
        if !random.u32().is_multiple_of(4) {
            body[..4].copy_from_slice(&[0, (random.u32() % 61) as u8, 0, (random.u32() % 14) as u8]);
        }
        send(&server, &frame(&body)).await;
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn lengths_that_lie_end_the_connection_before_memory_is_taken() {
    let server = broker().await;
    // Metadata v0 with i32::MAX topics, and a frame of 2 GiB, of -1 bytes, and of 3.
    let array = frame(&[0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    for bytes in [
        array,
        vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 9],
        vec![0xff; 8],
        frame(&[0, 3, 0]),
    ] {
        assert_eq!(send(&server, &bytes).await, b"", "{bytes:?}");
    }
    // An API that does not exist, and one in a version that does not.
    assert_eq!(
        send(&server, &frame(&[0x03, 0xe7, 0, 0, 0, 0, 0, 1, 0xff, 0xff])).await,
        b""
    );
    assert_eq!(
        send(&server, &frame(&[0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff])).await,
        b""
    );
    still_serves(&server).await;
}

#[tokio::test]
async fn what_came_before_the_nonsense_is_answered() {
    let server = broker().await;
    let versions = frame(&[0, 18, 0, 0, 0, 0, 0, 42, 0xff, 0xff]);
    let answer = send(&server, &[versions, frame(&[0xff; 12])].concat()).await;
    assert_eq!(answer[4..8], [0, 0, 0, 42]);
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up() {
    let server = broker_with(|config| config.net.header_timeout = Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(server.kafka_addr()).await.unwrap();
    stream.write_all(&[0, 0, 0]).await.unwrap();
    let begun = Instant::now();
    let read = timeout(Duration::from_secs(20), stream.read(&mut [0; 8]))
        .await
        .unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    assert!(begun.elapsed() >= Duration::from_millis(90));
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_after_the_idle_time() {
    let server = broker_with(|config| config.net.idle_timeout = Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(server.kafka_addr()).await.unwrap();
    let read = timeout(Duration::from_secs(20), stream.read(&mut [0; 8]))
        .await
        .unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once_and_places_come_free() {
    let server = broker_with(|config| config.net.max_connections = 2).await;
    let (first, _second) = (client(&server).await, client(&server).await);
    let mut third = TcpStream::connect(server.kafka_addr()).await.unwrap();
    let read = timeout(Duration::from_secs(20), third.read(&mut [0; 8]))
        .await
        .unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    drop(first);
    let begun = Instant::now();
    while let Err(error) = kafscale_wire::client::Client::connect(
        server.kafka_addr(),
        kafscale_wire::client::ClientOptions::default(),
    )
    .await
    {
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_cut_off() {
    let server = broker_with(|config| {
        config.net.write_timeout = Duration::from_millis(200);
        config.topics.default_partitions = 1000;
    })
    .await;
    let admin = client(&server).await;
    admin.create_topic("wide", -1, -1).await.unwrap();
    let mut stream = TcpStream::connect(server.kafka_addr()).await.unwrap();
    // Metadata of all topics, again and again, and no answer read.
    let request = frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let flood = async {
        loop {
            if stream.write_all(&request).await.is_err() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(30), flood)
        .await
        .expect("the broker must close the connection");
    still_serves(&server).await;
}
