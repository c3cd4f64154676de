#![allow(clippy::unwrap_used, clippy::expect_used)]

use tokio::net::TcpListener;

use super::*;

const BEFORE: &str = r#"# HELP kafscale_store_requests Requests to the store.
# TYPE kafscale_store_requests counter
kafscale_store_requests_total{operation="create",purpose="wal"} 10
kafscale_store_requests_total{purpose="catch_up",operation="get"} 3
kafscale_store_requests_failed_total{operation="create",purpose="wal"} 7
process_cpu_seconds_total 1.25
# EOF
"#;
const AFTER: &str = r#"kafscale_store_requests_total{operation="create",purpose="wal"} 30
kafscale_store_requests_total{operation="get",purpose="catch_up"} 3
kafscale_store_requests_total{operation="list",purpose="recovery"} 2
process_cpu_seconds_total 3.5
kafscale_broker_mem_sys_bytes 1048576
kafscale_broker_mem_peak_bytes 2097152
"#;

fn key(operation: &str, purpose: &str) -> (String, String) {
    (operation.to_owned(), purpose.to_owned())
}

#[test]
fn requests_are_counted_between_two_scrapes() {
    let difference = parse(AFTER).since(&parse(BEFORE));
    let expected = [
        (key("create", "wal"), 20.0),
        (key("get", "catch_up"), 0.0),
        (key("list", "recovery"), 2.0),
    ];
    assert_eq!(difference.store, BTreeMap::from(expected));
    assert_eq!(difference.cpu_seconds, Some(2.25));
    assert_eq!(difference.resident_bytes, Some(1_048_576.0));
    assert_eq!(difference.peak_bytes, Some(2_097_152.0));
}

async fn answering(answer: String) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let len = stream.read(&mut request).await.unwrap();
        assert!(request[..len].starts_with(b"GET /metrics HTTP/1.0\r\n"));
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    Url::parse(&format!("http://127.0.0.1:{port}/metrics")).unwrap()
}

#[tokio::test]
async fn metrics_come_over_http() {
    let url = answering(format!(
        "HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n{BEFORE}"
    ))
    .await;
    assert_eq!(scrape(&url).await.unwrap(), parse(BEFORE));
}

#[tokio::test]
async fn what_is_not_a_brokers_metrics_is_an_error() {
    for answer in [
        "HTTP/1.0 404 Not Found\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nup 1\n",
        "nonsense",
    ] {
        let url = answering(answer.to_owned()).await;
        assert!(
            matches!(scrape(&url).await, Err(ScrapeError::Answer(..))),
            "{answer}"
        );
    }
}
