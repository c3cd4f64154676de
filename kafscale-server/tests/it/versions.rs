//! ApiVersions.

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use kafscale_wire::ErrorCode;
use kafscale_wire::versions::SERVED;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::start::{ask, broker, client, text};

fn request() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text("test"))
        .with_client_software_version(text("1.0"))
}

#[tokio::test]
async fn the_answer_names_what_is_served() {
    let server = broker().await;
    let client = client(&server).await;
    for version in 0..=4 {
        let request = if version < 3 {
            ApiVersionsRequest::default()
        } else {
            request()
        };
        let answer = ask(&client, version, &request).await;
        assert_eq!(answer.error_code, 0);
        assert_eq!(answer.api_keys.len(), SERVED.len());
        let produce = answer
            .api_keys
            .iter()
            .find(|api| api.api_key == ApiKey::Produce as i16)
            .unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
    }
}

#[tokio::test]
async fn a_version_from_the_future_is_answered_in_version_0_and_the_connection_stays() {
    let server = broker().await;
    let mut stream = TcpStream::connect(server.kafka_addr()).await.unwrap();
    for correlation in [7, 8] {
        // Version 5, a header and a body that this broker cannot know.
        let mut frame = vec![0, 18, 0, 5, 0, 0, 0, correlation];
        frame.extend_from_slice(&[0xff; 20]);
        stream
            .write_all(&(frame.len() as i32).to_be_bytes())
            .await
            .unwrap();
        stream.write_all(&frame).await.unwrap();
        let size = stream.read_i32().await.unwrap();
        let mut answer = vec![0; size as usize];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..4], [0, 0, 0, correlation]);
        assert_eq!(
            i16::from_be_bytes([answer[4], answer[5]]),
            ErrorCode::UnsupportedVersion.code()
        );
        let apis = i32::from_be_bytes(answer[6..10].try_into().unwrap());
        assert_eq!(apis as usize, SERVED.len());
        assert_eq!(answer.len(), 10 + 6 * SERVED.len());
    }
}

#[tokio::test]
async fn a_client_with_an_impossible_name_is_told_so() {
    let server = broker().await;
    let client = client(&server).await;
    for name in ["", "-x", "a b"] {
        let answer = ask(&client, 3, &request().with_client_software_name(text(name))).await;
        assert_eq!(answer.error_code, ErrorCode::InvalidRequest.code(), "{name}");
        assert!(answer.api_keys.is_empty());
    }
    assert_eq!(ask(&client, 3, &request()).await.error_code, 0);
}
