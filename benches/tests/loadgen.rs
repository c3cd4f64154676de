//! The load generator against a broker in this process.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kafscale_server::Server;
use kafscale_server::config::ServerConfig;
use serde_json::Value;

/// Runs loadgen with these options against the broker, and gives what it printed.
async fn loadgen(server: &Server, options: &str) -> Output {
    let mut command = command(&server.kafka_addr().to_string(), options);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn command(bootstrap: &str, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command
        .args(["--bootstrap", bootstrap, "--json", "--quiet"])
        .args(options.split_whitespace());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn report(output: &Output) -> Value {
    let complaints = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaints}"))
}

async fn broker() -> Server {
    Server::start(ServerConfig::in_memory().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_of_the_schedule_is_measured_and_consumed() {
    let server = broker().await;
    for options in [
        "--rate 1000 --partitions 4 --producers 2 --consumers 2 --idempotent",
        "--rate 1000 --compression zstd --payload words --acks 1",
    ] {
        let metrics = format!(" --metrics-url http://{}/metrics", server.http_addr());
        let options = format!("{options} --warm-up 300ms --duration 1500ms {metrics}");
        let output = loadgen(&server, &options).await;
        let report = report(&output);
        assert!(output.status.success(), "{report:#}");
        let count = |pointer: &str| {
            report
                .pointer(pointer)
                .and_then(Value::as_u64)
                .unwrap_or_default()
        };
        // Due between the end of the warm-up and the end; two producers may differ by a record each.
        let due = count("/ack_ms/records") + count("/never_sent");
        assert!((1498..=1502).contains(&due), "{report:#}");
        assert_eq!(
            count("/end_to_end_ms/records"),
            count("/ack_ms/records"),
            "{report:#}"
        );
        assert_eq!(
            (count("/not_consumed"), count("/failed_records")),
            (0, 0),
            "{report:#}"
        );
        assert_eq!(count("/load/partitions"), 4);
        let puts = report
            .pointer("/store/put/total")
            .and_then(Value::as_f64)
            .unwrap();
        assert!(puts >= 1.0, "{report:#}");
        let compressed = report.pointer("/wire_ratio").and_then(Value::as_f64).unwrap() < 0.8;
        assert_eq!(compressed, options.contains("zstd"), "{report:#}");
    }
    server.shutdown().await.unwrap();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_run_with_a_report_so_far() {
    let server = broker().await;
    let mut command = command(
        &server.kafka_addr().to_string(),
        "--rate 0 --batch-bytes 4KiB --in-flight 2 --warm-up 0 --duration 10m",
    );
    let child = command.spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    let report = report(&output);
    assert!(output.status.success(), "{report:#}");
    assert!(report["seconds"].as_f64().unwrap() < 300.0, "{report:#}");
    assert!(
        report["acknowledged"]["records"].as_u64().unwrap() > 0,
        "{report:#}"
    );
    assert_eq!(report["not_consumed"], 0);
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_named() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = command(&closed.to_string(), "").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot connect"));

    let server = broker().await;
    let output = loadgen(&server, "--metrics-url http://127.0.0.1:1/metrics").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:1"));
    server.shutdown().await.unwrap();
}
