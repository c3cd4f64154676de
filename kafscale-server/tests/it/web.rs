//! `/metrics`, `/healthz` and `/readyz`, and the page that documents the metrics.

use std::net::SocketAddr;

use kafscale_server::metrics_page;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::start::{batch, broker_with_topic};

/// Status line and body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn metrics_tell_what_the_broker_and_its_store_do() {
    let (server, client) = broker_with_topic("t", 1).await;
    client.produce("t", 0, batch(&["a", "b", "c"]), -1).await.unwrap();
    let (status, text) = get(server.http_addr(), "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    for line in [
        "kafscale_produced_records_total 3",
        "kafscale_requests_total{api=\"Produce\"} 1",
        "kafscale_produce_latency_ms_count 1",
        "kafscale_connections 1",
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line} is not in\n{text}"
        );
    }
    for name in [
        "kafscale_s3_health_state",
        "kafscale_s3_latency_ms_avg",
        "kafscale_s3_error_rate",
        "kafscale_s3_state_duration_seconds",
        "kafscale_produce_rps",
        "kafscale_fetch_rps",
        "kafscale_broker_uptime_seconds",
        "kafscale_broker_mem_sys_bytes",
        "process_cpu_seconds_total",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{name} "))),
            "{name} is not in\n{text}"
        );
    }
}

#[tokio::test]
async fn the_page_about_metrics_is_what_they_say_themselves() {
    let (server, client) = broker_with_topic("t", 1).await;
    client.produce("t", 0, batch(&["a"]), -1).await.unwrap();
    let (_, text) = get(server.http_addr(), "/metrics").await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, metrics_page(&text)).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    let again = "run `UPDATE_DOCS=1 cargo test -p kafscale-server --test it web` and commit the page";
    assert_eq!(page, metrics_page(&text), "{again}");
}

#[tokio::test]
async fn a_broker_that_serves_is_alive_and_ready() {
    let (server, _client) = broker_with_topic("t", 1).await;
    assert_eq!(
        get(server.http_addr(), "/healthz").await,
        ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned())
    );
    assert_eq!(
        get(server.http_addr(), "/readyz").await,
        ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned())
    );
    let (status, _) = get(server.http_addr(), "/nothing").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
}
