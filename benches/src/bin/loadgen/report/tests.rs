#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use clap::Parser;

use super::*;

fn report(acked: u64, consumed: u64, difference: Option<Difference>) -> Report {
    let args = Args::try_parse_from(["loadgen", "--record-size", "1MiB", "--duration", "2s"]).unwrap();
    let run = Run::start(Duration::ZERO, args.duration);
    let mut stats = Stats {
        acked,
        all_acked: acked,
        consumed,
        all_consumed: consumed,
        ..Stats::default()
    };
    for ms in 1..=100 {
        stats.ack.record(ms * 1_000_000);
    }
    Report::new(&args, 16, &run, &stats, difference)
}

#[test]
fn requests_are_given_by_the_second_and_by_the_gib() {
    let store = [
        ("create", "wal", 30.0),
        ("put", "probe", 10.0),
        ("get", "tail", 8.0),
    ];
    let store = store
        .into_iter()
        .map(|(o, p, count)| ((o.to_owned(), p.to_owned()), count))
        .collect();
    let difference = Difference {
        store,
        cpu_seconds: Some(1.0),
        resident_bytes: Some(MIB),
        peak_bytes: Some(2.0 * MIB),
    };
    // 2,048 records of 1 MiB are 2 GiB.
    let report = report(2048, 2048, Some(difference));
    let store = report.store.as_ref().unwrap();
    assert_eq!(
        (store.put.total, store.put.per_second, store.put.per_gib),
        (40.0, 20.0, Some(20.0))
    );
    assert_eq!(store.get.per_gib, Some(4.0));
    assert_eq!(store.list.total, 0.0);
    assert_eq!(report.broker.unwrap().cpu_seconds_per_gib, Some(0.5));
    assert_eq!(report.acknowledged.mib_per_second, 1024.0);
    assert!(!report.failed());
    let table = report.table();
    for expected in [
        "acknowledged",
        "to the ack",
        "PUT",
        "create wal",
        "CPU seconds",
        "2 MiB at its peak",
    ] {
        assert!(table.contains(expected), "{expected} in\n{table}");
    }
}

#[test]
fn latencies_are_quantiles_in_milliseconds() {
    let latency = report(1, 1, None).ack_ms.unwrap();
    for (found, exact) in [
        (latency.p50, 50.0),
        (latency.p90, 90.0),
        (latency.p99, 99.0),
        (latency.max, 100.0),
    ] {
        assert!((exact..=exact * 1.01).contains(&found), "{found} for {exact}");
    }
}

#[test]
fn json_has_the_same_figures() {
    let json: serde_json::Value = serde_json::from_str(&report(10, 9, None).json().unwrap()).unwrap();
    assert_eq!(json["acknowledged"]["records"], 10);
    assert_eq!(json["acknowledged"]["mib_per_second"], 5.0);
    assert_eq!(json["not_consumed"], 1);
    assert!(json["store"].is_null());
}

#[test]
fn acknowledged_records_that_nobody_saw_are_a_failure() {
    assert!(report(10, 9, None).failed());
    assert!(report(0, 0, None).failed());
    assert!(!report(10, 10, None).failed());
}
