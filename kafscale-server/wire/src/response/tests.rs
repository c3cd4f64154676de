#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::pin::Pin;
use std::task::{Context, Poll};

use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchResponse, HeartbeatResponse, ResponseHeader,
};
use kafka_protocol::protocol::Decodable;

use super::*;

fn header(key: ApiKey, api_version: i16) -> RequestHeader {
    RequestHeader {
        api_key: key as i16,
        api_version,
        correlation_id: 4711,
        client_id: None,
    }
}

/// Splits a response into its header and its body, after checking the length prefix.
fn opened(response: &Response, header_version: i16) -> (ResponseHeader, Bytes) {
    let mut bytes = Bytes::from(response.concat());
    let size = i32::from_be_bytes(bytes.split_to(4)[..].try_into().unwrap());
    assert_eq!(size as usize, bytes.len());
    (ResponseHeader::decode(&mut bytes, header_version).unwrap(), bytes)
}

#[test]
fn the_header_is_flexible_with_the_version_and_never_for_api_versions() {
    let heartbeat = HeartbeatResponse::default().with_error_code(27);
    for (version, header_version) in [(0, 0), (3, 0), (4, 1)] {
        let response = encode(&header(ApiKey::Heartbeat, version), &heartbeat).unwrap();
        let (head, mut body) = opened(&response, header_version);
        assert_eq!(head.correlation_id, 4711);
        assert_eq!(HeartbeatResponse::decode(&mut body, version).unwrap(), heartbeat);
        assert!(body.is_empty());
    }
    for version in 0..=4 {
        let table = api_versions(ErrorCode::None);
        let response = encode(&header(ApiKey::ApiVersions, version), &table).unwrap();
        let (_, mut body) = opened(&response, 0);
        assert_eq!(ApiVersionsResponse::decode(&mut body, version).unwrap(), table);
        assert!(body.is_empty());
    }
}

#[test]
fn the_answer_to_an_unknown_api_versions_is_version_0_with_our_table() {
    let response = unsupported_api_versions(&header(ApiKey::ApiVersions, 99)).unwrap();
    let (_, mut body) = opened(&response, 0);
    let answer = ApiVersionsResponse::decode(&mut body, 0).unwrap();
    assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
    let versions: Vec<_> = answer
        .api_keys
        .iter()
        .map(|a| (a.api_key, a.min_version, a.max_version))
        .collect();
    assert_eq!(versions.len(), SERVED.len());
    assert!(versions.contains(&(18, 0, 4)));
    assert!(
        versions.contains(&(0, 0, 13)),
        "old librdkafka compresses only if Produce 0 is named"
    );
}

#[test]
fn a_field_that_the_version_does_not_have_is_an_error_not_a_guess() {
    let response = FetchResponse::default().with_session_id(1);
    let error = encode(&header(ApiKey::Fetch, 6), &response).unwrap_err();
    assert!(matches!(error, EncodeError::Codec { version: 6, .. }), "{error}");
    assert!(encode(&header(ApiKey::Fetch, 7), &response).is_ok());
}

/// Takes at most `at_once` bytes with each write.
struct Slow {
    at_once: usize,
    written: Vec<u8>,
    writes: usize,
}

impl AsyncWrite for Slow {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let taken = buf.len().min(self.at_once);
        self.written.extend_from_slice(&buf[..taken]);
        self.writes += 1;
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = all.len().min(self.at_once);
        self.written.extend_from_slice(&all[..taken]);
        self.writes += 1;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn chunks_arrive_whole_whatever_the_writer_takes_at_once() {
    let chunks: Vec<Bytes> = (0..200usize).map(|n| Bytes::from(vec![n as u8; n % 7])).collect();
    for at_once in [1, 3, 10, 10_000] {
        let mut writer = Slow {
            at_once,
            written: Vec::new(),
            writes: 0,
        };
        write_chunks(&mut writer, &chunks).await.unwrap();
        assert_eq!(writer.written, chunks.concat());
        if at_once == 10_000 {
            assert_eq!(writer.writes, chunks.len().div_ceil(SLICES_PER_WRITE));
        }
    }
}

#[tokio::test]
async fn a_writer_that_takes_nothing_is_an_error() {
    let mut writer = Slow {
        at_once: 0,
        written: Vec::new(),
        writes: 0,
    };
    let error = write_chunks(&mut writer, &[Bytes::from_static(b"x")])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    write_chunks(&mut writer, &[Bytes::new()]).await.unwrap();
}
