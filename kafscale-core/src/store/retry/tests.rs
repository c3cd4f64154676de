#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use object_store::Error as E;

use super::{Backoff, Class, TryError, classify};
use crate::random::Random;
use crate::store::Operation;

fn generic(text: &str) -> E {
    E::Generic {
        store: "S3",
        source: text.into(),
    }
}

fn status(text: &str) -> E {
    generic(&format!(
        "Error performing PUT http://x in 1ms - Server returned non-2xx status code: {text}"
    ))
}

fn not_found(text: &str) -> E {
    E::NotFound {
        path: "k".to_owned(),
        source: text.into(),
    }
}

#[test]
fn statuses_are_read_from_the_error_and_its_causes() {
    for (text, class) in [
        ("500 Internal Server Error: ", Class::Transient),
        ("503 Service Unavailable: ", Class::Throttled),
        ("429 Too Many Requests: ", Class::Throttled),
        ("408 Request Timeout: ", Class::Transient),
        ("400 Bad Request: <Code>RequestTimeout</Code>", Class::Transient),
        (
            "400 Bad Request: <Code>KMS.ThrottlingException</Code>",
            Class::Throttled,
        ),
        ("400 Bad Request: <Code>InvalidArgument</Code>", Class::Denied),
        ("501 Not Implemented: <Code>NotImplemented</Code>", Class::Denied),
        ("301 Moved Permanently: ", Class::Denied),
        ("200 OK: <Code>SlowDown</Code>", Class::Throttled),
    ] {
        assert_eq!(classify(Operation::Create, &status(text)), class, "{text}");
    }
    let nested = E::Generic {
        store: "S3",
        source: Box::new(status("503 Service Unavailable: ")),
    };
    assert_eq!(classify(Operation::Get, &nested), Class::Throttled);
}

#[test]
fn what_has_no_status_may_heal() {
    assert_eq!(
        classify(Operation::Create, &generic("connection reset by peer")),
        Class::Transient
    );
    let late = E::from(TryError::TimedOut(Duration::from_secs(5)));
    assert_eq!(classify(Operation::Create, &late), Class::Transient);
    let short = E::from(TryError::ShortBody { got: 1, want: 2 });
    assert_eq!(classify(Operation::Get, &short), Class::Transient);
}

#[test]
fn a_missing_bucket_is_never_a_missing_object() {
    assert_eq!(
        classify(Operation::Get, &not_found("404: <Code>NoSuchKey</Code>")),
        Class::NotFound
    );
    assert_eq!(
        classify(Operation::Get, &not_found("404: <Code>NoSuchBucket</Code>")),
        Class::Denied
    );
    assert_eq!(classify(Operation::Create, &not_found("404")), Class::Denied);
    assert_eq!(classify(Operation::List, &not_found("404")), Class::Denied);
    assert_eq!(classify(Operation::Delete, &not_found("404")), Class::NotFound);
}

#[test]
fn a_range_behind_the_end_is_an_answer_to_a_read_only() {
    let text = "416 Range Not Satisfiable: ";
    assert_eq!(classify(Operation::Get, &status(text)), Class::OutOfRange);
    assert_eq!(classify(Operation::Create, &status(text)), Class::Denied);
}

#[test]
fn only_failures_of_the_store_count_as_failures() {
    for (class, failure) in [
        (Class::Exists, false),
        (Class::NotFound, false),
        (Class::OutOfRange, false),
        (Class::Unsupported, false),
        (Class::Throttled, true),
        (Class::Transient, true),
        (Class::Denied, true),
    ] {
        assert_eq!(class.is_failure(), failure, "{class:?}");
    }
}

#[test]
fn pauses_grow_to_the_cap_and_no_further() {
    let random = Random::seeded(3);
    let (base, cap) = (Duration::from_millis(50), Duration::from_secs(5));
    let mut longest = [Duration::ZERO; 12];
    for _ in 0..500 {
        let mut backoff = Backoff::new(base, cap);
        for longest in &mut longest {
            *longest = (*longest).max(backoff.next(Class::Transient, &random));
        }
    }
    for (i, longest) in longest.iter().enumerate() {
        let limit = (base * (1 << i)).min(cap);
        assert!(
            *longest <= limit && *longest > limit.mul_f64(0.95),
            "try {i}: {longest:?} of {limit:?}"
        );
    }
}

#[test]
fn a_refusal_is_asked_again_rarely() {
    let random = Random::seeded(3);
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    let pause = backoff.next(Class::Denied, &random);
    assert!(pause >= Duration::from_millis(2500) && pause <= Duration::from_secs(5));
}
