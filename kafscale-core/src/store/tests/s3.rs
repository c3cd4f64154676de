//! The S3 client behind the door, against a server inside the process.

use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;

use super::conformance;
use crate::clock::SimClock;
use crate::error::ErrorKind;
use crate::metrics::StoreMetrics;
use crate::random::Random;
use crate::store::{
    CreateLimit, CreateOutcome, Operation, Purpose, S3Options, Store, StoreKind, StoreSettings, s3,
};
use crate::testing::s3_emulator::{HttpFault, S3Emulator};

const OURS: [u8; 16] = [1; 16];

fn emulated(prefix: &str) -> (Store, S3Emulator) {
    let clock = Arc::new(SimClock::new(1_700_000_000_000));
    let emulator = S3Emulator::new("test-bucket", 3, clock.clone());
    let settings = StoreSettings::default();
    let objects = emulator.objects(prefix, &settings).unwrap();
    let (random, metrics) = (Arc::new(Random::seeded(5)), Arc::new(StoreMetrics::new()));
    (
        Store::new(objects, StoreKind::Remote, settings, clock, random, metrics),
        emulator,
    )
}

fn slot(id: [u8; 16]) -> Vec<Bytes> {
    vec![
        Bytes::from_static(b"KWAL0001"),
        Bytes::copy_from_slice(&id),
        Bytes::from_static(b"body"),
    ]
}

async fn create(store: &Store) -> CreateOutcome {
    let limit = CreateLimit::UntilKnown;
    store
        .create("wal/0", &slot(OURS), Some(OURS), limit, Purpose::Wal)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn s3_behaves_with_and_without_a_key_prefix() {
    conformance::behaves(&emulated("").0).await;
    let (store, emulator) = emulated("some/prefix");
    conformance::behaves(&store).await;
    conformance::forgets_empty_directories(&store).await;
    let strays: Vec<_> = emulator
        .requests()
        .into_iter()
        .filter(|(_, key)| !key.is_empty() && !key.starts_with("some/prefix/"))
        .collect();
    assert_eq!(strays, []);
}

#[tokio::test(start_paused = true)]
async fn one_create_is_one_request() {
    let (store, emulator) = emulated("");
    assert_eq!(create(&store).await, CreateOutcome::Created);
    assert_eq!(emulator.requests(), [("PUT".to_owned(), "wal/0".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_stored_put_without_an_answer_is_ours() {
    for fault in [
        HttpFault::BreakAfter,
        HttpFault::RefuseAfter(503, "SlowDown"),
        HttpFault::RefuseAfter(500, "InternalError"),
        HttpFault::RefuseAfter(409, "ConditionalRequestConflict"),
        HttpFault::RefuseAfter(400, "RequestTimeout"),
    ] {
        let (store, emulator) = emulated("");
        emulator.fault(fault, "PUT", "wal/0", 0, 1);
        assert_eq!(create(&store).await, CreateOutcome::Created, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_was_not_stored_is_sent_again() {
    for fault in [
        HttpFault::Break,
        HttpFault::Hang,
        HttpFault::Refuse(503, "SlowDown"),
        HttpFault::Refuse(409, "ConditionalRequestConflict"),
        HttpFault::Refuse(400, "KMS.ThrottlingException"),
        HttpFault::Refuse(403, "AccessDenied"),
        HttpFault::Refuse(404, "NoSuchBucket"),
    ] {
        let (store, emulator) = emulated("");
        emulator.fault(fault, "PUT", "wal/0", 0, 2);
        assert_eq!(create(&store).await, CreateOutcome::Created, "{fault:?}");
        assert_eq!(emulator.count("PUT"), 3, "{fault:?}");
        assert_eq!(
            store.get("wal/0", Purpose::Recovery).await.unwrap().unwrap(),
            slot(OURS).concat()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rival_is_told_apart() {
    let (store, emulator) = emulated("");
    let theirs = [2; 16];
    store
        .create(
            "wal/0",
            &slot(theirs),
            Some(theirs),
            CreateLimit::UntilKnown,
            Purpose::Wal,
        )
        .await
        .unwrap();
    emulator.fault(
        HttpFault::Refuse(409, "ConditionalRequestConflict"),
        "PUT",
        "wal/0",
        0,
        1,
    );
    assert_eq!(
        create(&store).await,
        CreateOutcome::Exists {
            head: slot(theirs).concat().into()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_cut_short_is_read_again() {
    let (store, emulator) = emulated("");
    store
        .overwrite("k", Bytes::from_static(b"0123456789"), Purpose::Segment)
        .await
        .unwrap();
    emulator.fault(HttpFault::CutBody(4), "GET", "k", 0, 2);
    assert_eq!(
        store.get_range("k", 1..9, Purpose::Tail).await.unwrap().unwrap(),
        "12345678"
    );
    assert_eq!(store.metrics().errors(Operation::Get, Purpose::Tail), 2);
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_is_an_error_and_not_an_empty_one() {
    let clock = Arc::new(SimClock::new(1_700_000_000_000));
    let emulator = S3Emulator::new("test-bucket", 3, clock.clone());
    let mut settings = StoreSettings {
        retry_for_ms: 100,
        ..StoreSettings::default()
    };
    settings.retry_attempts = 2;
    emulator.fault(HttpFault::Refuse(404, "NoSuchBucket"), "GET", "", 0, 100);
    let objects = emulator.objects("", &settings).unwrap();
    let (random, metrics) = (Arc::new(Random::seeded(5)), Arc::new(StoreMetrics::new()));
    let store = Store::new(objects, StoreKind::Remote, settings, clock, random, metrics);
    assert_eq!(
        store.get("k", Purpose::Tail).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(
        store.list("k/", Purpose::Tail).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_slow_down_is_sat_out() {
    let (store, emulator) = emulated("");
    emulator.fault(HttpFault::Refuse(503, "SlowDown"), "PUT", "wal/0", 0, 40);
    assert_eq!(create(&store).await, CreateOutcome::Created);
    assert_eq!(emulator.count("PUT"), 41);
    assert_eq!(store.metrics().retries(Operation::Create, Purpose::Wal), 40);
}

#[test]
fn options_that_contradict_themselves_are_refused() {
    let some = |text: &str| Some(text.to_owned());
    let endpoint = |text: &str| S3Options {
        endpoint: some(text),
        ..S3Options::default()
    };
    for (options, why) in [
        (
            S3Options {
                access_key: some("a"),
                ..S3Options::default()
            },
            "without its secret key",
        ),
        (
            S3Options {
                secret_key: some("a"),
                ..S3Options::default()
            },
            "without its access key",
        ),
        (
            S3Options {
                session_token: some("a"),
                ..S3Options::default()
            },
            "without access key",
        ),
        (
            S3Options {
                access_key: some("a"),
                secret_key: some("b"),
                anonymous: true,
                ..S3Options::default()
            },
            "anonymous",
        ),
        (endpoint("127.0.0.1:8333"), "endpoint"),
        (endpoint("localhost:8333"), "neither http:// nor https://"),
        (endpoint("ftp://host"), "neither http:// nor https://"),
        (endpoint("http://key:secret@host"), "carries credentials"),
        (endpoint("http://host?x=y"), "more than a host"),
        (
            S3Options {
                path_style: Some(false),
                ..endpoint("http://127.0.0.1:8333")
            },
            "use path style",
        ),
    ] {
        let error = s3::configure(
            AmazonS3Builder::new(),
            "bucket",
            &options,
            &StoreSettings::default(),
        )
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition);
        assert!(error.to_string().contains(why), "{options:?}: {error}");
    }
    let host_style = S3Options {
        path_style: Some(false),
        ..endpoint("https://s3.example.com/")
    };
    s3::configure(
        AmazonS3Builder::new(),
        "bucket",
        &host_style,
        &StoreSettings::default(),
    )
    .unwrap();
}

/// `KAFSCALE_TEST_S3_ENDPOINT=http://127.0.0.1:8333 KAFSCALE_TEST_S3_BUCKET=… KAFSCALE_TEST_S3_ACCESS_KEY=…
/// KAFSCALE_TEST_S3_SECRET_KEY=… cargo test -p kafscale-core --lib real_s3 -- --ignored`
#[tokio::test]
#[ignore = "needs a running S3 server"]
async fn a_real_s3_server_behaves() {
    let var = |name: &str| std::env::var(format!("KAFSCALE_TEST_S3_{name}")).unwrap();
    let options = S3Options {
        endpoint: Some(var("ENDPOINT")),
        access_key: Some(var("ACCESS_KEY")),
        secret_key: Some(var("SECRET_KEY")),
        region: Some("us-east-1".to_owned()),
        ..S3Options::default()
    };
    let random = Random::from_system().unwrap();
    // A prefix of its own, so that it can run again on the same bucket.
    let url = format!("s3://{}/run-{:016x}", var("BUCKET"), random.u64());
    let store = crate::store::open(
        &crate::store::StoreLocation::parse(&url).unwrap(),
        &options,
        StoreSettings::default(),
        Arc::new(crate::clock::SystemClock::new()),
        Arc::new(random),
        Arc::new(StoreMetrics::new()),
    )
    .await
    .unwrap();
    conformance::behaves(&store).await;
}
