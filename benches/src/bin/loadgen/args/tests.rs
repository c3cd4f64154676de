#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn parsed(args: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from([&["loadgen"], args].concat()).and_then(Args::checked)
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn rates_are_records_or_bytes_and_0_is_no_limit() {
    let rate = |text: &str| text.parse::<Rate>();
    assert_eq!(rate("20000"), Ok(Rate::Records(20_000.0)));
    assert_eq!(rate("50MB/s"), Ok(Rate::Bytes(5e7)));
    assert_eq!(rate("1.5MiB/s"), Ok(Rate::Bytes(1_572_864.0)));
    assert_eq!(rate("0"), Ok(Rate::Unlimited));
    assert_eq!(rate("0MB/s"), Ok(Rate::Unlimited));
    for wrong in ["", "fast", "-1", "NaN", "inf", "50MB", "50/s", "MB/s"] {
        assert!(rate(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Rate::Bytes(1e6).records(1000), Some(1000.0));
    assert_eq!(Rate::Unlimited.records(1000), None);
}

#[test]
fn sizes_and_times_have_units() {
    let args = parsed(&[
        "--record-size",
        "2KiB",
        "--batch-bytes",
        "32768",
        "--linger",
        "250ms",
        "--duration",
        "2m",
        "--warm-up",
        "0",
    ])
    .unwrap();
    assert_eq!((args.record_size, args.batch_bytes), (2048, 32_768));
    assert_eq!(args.linger, Duration::from_millis(250));
    assert_eq!(
        (args.duration, args.warm_up),
        (Duration::from_secs(120), Duration::ZERO)
    );
    assert_eq!(args.records_per_batch(), 16);
    for wrong in [
        ["--linger", "5"],
        ["--duration", "30 parsecs"],
        ["--record-size", "0"],
        ["--record-size", "2GiB"],
        ["--metrics-url", "https://localhost/metrics"],
        ["--acks", "2"],
    ] {
        assert!(parsed(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    assert!(parsed(&["--idempotent", "--acks", "1"]).is_err());
    assert!(parsed(&["--record-size", "15"]).is_err());
    assert!(parsed(&["--duration", "0"]).is_err());
    assert!(parsed(&["--idempotent"]).is_ok());
}

#[test]
fn a_record_larger_than_a_batch_is_a_batch() {
    assert_eq!(parsed(&["--record-size", "1MiB"]).unwrap().records_per_batch(), 1);
}
