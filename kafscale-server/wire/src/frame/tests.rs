#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::*;

/// A frame of `size` bytes that starts with this API number.
fn frame(api_key: i16, size: usize) -> Vec<u8> {
    let mut body = vec![api_key.to_be_bytes()[0], api_key.to_be_bytes()[1]];
    body.extend((2..size).map(|n| n as u8));
    [&(size as i32).to_be_bytes()[..], &body].concat()
}

fn limits() -> Limits {
    Limits {
        max_produce_frame: 4 << 20,
        max_other_frame: 1000,
        ..Limits::default()
    }
}

fn pair() -> (DuplexStream, FrameReader<DuplexStream>) {
    let (client, server) = duplex(64 * 1024);
    (client, FrameReader::new(server, limits()))
}

#[tokio::test]
async fn several_frames_in_one_read_come_out_one_by_one() {
    let frames = [frame(3, 8), frame(3, 1000), frame(18, 9)];
    let bytes = frames.concat();
    let mut reader = FrameReader::new(&bytes[..], limits());
    for expected in &frames {
        assert!(reader.wait().await.unwrap());
        assert_eq!(reader.read().await.unwrap().unwrap(), expected[4..]);
    }
    assert!(!reader.wait().await.unwrap());
    assert!(reader.read().await.unwrap().is_none());
}

#[tokio::test]
async fn a_large_frame_arrives_whole_and_the_next_one_is_untouched() {
    let frames = [frame(0, 3 << 20), frame(0, 20_000), frame(3, 8)];
    let bytes = frames.concat();
    let mut reader = FrameReader::new(&bytes[..], limits());
    for expected in &frames {
        assert_eq!(reader.read().await.unwrap().unwrap(), expected[4..]);
    }
}

#[tokio::test]
async fn a_frame_that_arrives_byte_by_byte_survives_cancelled_reads() {
    let (mut client, mut reader) = pair();
    let bytes = frame(3, 30);
    for byte in &bytes[..bytes.len() - 1] {
        client.write_all(&[*byte]).await.unwrap();
        assert!(timeout(Duration::from_millis(1), reader.read()).await.is_err());
        assert!(reader.wait().await.unwrap());
    }
    client.write_all(&bytes[bytes.len() - 1..]).await.unwrap();
    assert_eq!(reader.read().await.unwrap().unwrap(), bytes[4..]);
}

#[tokio::test]
async fn the_limit_depends_on_the_api() {
    let (mut client, mut reader) = pair();
    client.write_all(&frame(3, 1001)[..6]).await.unwrap();
    let error = reader.read().await.unwrap_err();
    assert!(
        matches!(
            error,
            FrameError::TooLarge {
                size: 1001,
                limit: 1000
            }
        ),
        "{error}"
    );

    let (mut client, mut reader) = pair();
    client.write_all(&frame(0, 1001)).await.unwrap();
    assert_eq!(reader.read().await.unwrap().unwrap().len(), 1001);
}

#[tokio::test]
async fn a_length_beyond_every_limit_is_refused_before_the_api_is_known() {
    let (mut client, mut reader) = pair();
    client.write_all(&i32::MAX.to_be_bytes()).await.unwrap();
    assert!(
        matches!(reader.read().await.unwrap_err(), FrameError::TooLarge { limit, .. } if limit == 4 << 20)
    );
}

#[tokio::test]
async fn lengths_without_room_for_a_header_are_refused() {
    for length in [i32::MIN, -1, 0, 7] {
        let (mut client, mut reader) = pair();
        client.write_all(&length.to_be_bytes()).await.unwrap();
        assert!(matches!(reader.read().await.unwrap_err(), FrameError::TooSmall(n) if n == length));
    }
}

#[tokio::test]
async fn an_end_within_a_frame_is_an_error() {
    for length in [1, 4, 5, 6, 20, 33] {
        let bytes = frame(3, 30);
        let mut reader = FrameReader::new(&bytes[..length], limits());
        let FrameError::Io(error) = reader.read().await.unwrap_err() else {
            panic!("not an I/O error")
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_claim_alone_takes_no_more_than_the_first_allocation() {
    let (mut client, mut reader) = pair();
    client.write_all(&frame(0, 4 << 20)[..6]).await.unwrap();
    assert!(timeout(Duration::from_millis(5), reader.read()).await.is_err());
    assert!(reader.frame.unwrap().bytes.capacity() <= FIRST_ALLOCATION);
}

#[tokio::test]
async fn size_and_api_are_known_before_the_frame_is_read() {
    let bytes = [frame(3, 8), frame(0, 3 << 20)].concat();
    let mut reader = FrameReader::new(&bytes[..], limits());
    let expected = [(3, 8), (0, 3 << 20)].map(|(api_key, size)| Announced { size, api_key });
    for expected in expected {
        assert_eq!(reader.announced().await.unwrap(), Some(expected));
        assert_eq!(reader.announced().await.unwrap(), Some(expected));
        assert_eq!(reader.read().await.unwrap().unwrap().len(), expected.size);
    }
    assert_eq!(reader.announced().await.unwrap(), None);
    let mut reader = FrameReader::new(&bytes[..5], limits());
    assert!(matches!(reader.announced().await, Err(FrameError::Io(_))));
}

#[tokio::test]
async fn a_frame_that_has_begun_is_still_announced() {
    let (mut client, mut reader) = pair();
    client.write_all(&frame(3, 30)[..20]).await.unwrap();
    assert!(timeout(Duration::from_millis(1), reader.read()).await.is_err());
    let expected = Announced { size: 30, api_key: 3 };
    assert_eq!(reader.announced().await.unwrap(), Some(expected));
}

#[tokio::test]
async fn a_frame_is_read_no_further_than_asked() {
    let (mut client, mut reader) = pair();
    let bytes = [frame(0, 50_000), frame(0, 100)].concat();
    client.write_all(&bytes).await.unwrap();
    drop(client);
    for (asked, here) in [
        (20_000, 20_000),
        (10_000, 20_000),
        (30_000, 30_000),
        (60_000, 50_000),
    ] {
        assert_eq!(reader.read_up_to(asked).await.unwrap(), Some(here));
    }
    assert_eq!(reader.read().await.unwrap().unwrap(), bytes[4..50_004]);
    assert_eq!(reader.read().await.unwrap().unwrap().len(), 100);
    assert_eq!(reader.read_up_to(1).await.unwrap(), None);
}
