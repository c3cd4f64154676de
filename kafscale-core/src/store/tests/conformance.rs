//! What every store must do, run on each of them.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::SystemClock;
use crate::error::ErrorKind;
use crate::metrics::StoreMetrics;
use crate::random::Random;
use crate::store::{
    CreateLimit, CreateOutcome, Purpose, S3Options, Store, StoreLocation, StoreSettings, open,
};

const UNTIL_KNOWN: CreateLimit = CreateLimit::UntilKnown;

pub(super) async fn open_at(text: &str) -> crate::Result<Store> {
    open(
        &StoreLocation::parse(text)?,
        &S3Options::default(),
        StoreSettings::default(),
        Arc::new(SystemClock::new()),
        Arc::new(Random::seeded(7)),
        Arc::new(StoreMetrics::new()),
    )
    .await
}

fn object(id: u8, rest: &str) -> (Option<[u8; 16]>, Vec<Bytes>) {
    let id = [id; 16];
    // Split in the middle of the attempt id.
    let chunks = vec![
        Bytes::from_static(b"HEADER00"),
        Bytes::copy_from_slice(&id[..5]),
        Bytes::copy_from_slice(&id[5..]),
        Bytes::copy_from_slice(rest.as_bytes()),
    ];
    (Some(id), chunks)
}

/// The suite.
pub(super) async fn behaves(store: &Store) {
    creates_only_what_is_absent(store).await;
    reads_what_was_written(store).await;
    lists_in_order(store).await;
    deletes_what_is_there(store).await;
    store.probe("suite", 3).await.unwrap();
    let probes = store
        .list("_kafscale/suite/probe/", Purpose::Probe)
        .await
        .unwrap();
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].key, "_kafscale/suite/probe/3");
    store.probe("suite", 3).await.unwrap();
}

async fn creates_only_what_is_absent(store: &Store) {
    let (ours, chunks) = object(1, "ours");
    let (theirs, other) = object(2, "theirs");
    let key = "create/0-1-ab/00000000000000000000.kfw";
    let create = async |id, chunks: &[Bytes]| {
        store
            .create(key, chunks, id, UNTIL_KNOWN, Purpose::Wal)
            .await
            .unwrap()
    };
    assert_eq!(create(ours, &chunks).await, CreateOutcome::Created);
    assert_eq!(
        create(ours, &chunks).await,
        CreateOutcome::Created,
        "the echo of our own create is ours"
    );
    let head = Bytes::from(chunks.concat());
    assert_eq!(
        create(theirs, &other).await,
        CreateOutcome::Exists { head: head.clone() }
    );
    assert_eq!(
        create(None, &chunks).await,
        CreateOutcome::Exists { head: head.clone() }
    );
    assert_eq!(store.get(key, Purpose::Recovery).await.unwrap().unwrap(), head);

    let long = Bytes::from(vec![7; 2000]);
    store
        .create("create/long", &[long], None, UNTIL_KNOWN, Purpose::Segment)
        .await
        .unwrap();
    let again = store
        .create(
            "create/long",
            &[Bytes::new()],
            None,
            UNTIL_KNOWN,
            Purpose::Segment,
        )
        .await
        .unwrap();
    assert_eq!(
        again,
        CreateOutcome::Exists {
            head: Bytes::from(vec![7; 512])
        }
    );

    store
        .create("create/empty", &[], None, UNTIL_KNOWN, Purpose::Segment)
        .await
        .unwrap();
    let again = store
        .create("create/empty", &chunks, ours, UNTIL_KNOWN, Purpose::Segment)
        .await
        .unwrap();
    assert_eq!(again, CreateOutcome::Exists { head: Bytes::new() });

    let lost = store
        .create("create/x", &other, ours, UNTIL_KNOWN, Purpose::Wal)
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Invalid);
    for key in ["", "/a", "a/", "a//b", "a/../b", "a/./b"] {
        let error = store
            .create(key, &chunks, ours, UNTIL_KNOWN, Purpose::Wal)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{key}");
    }
}

async fn reads_what_was_written(store: &Store) {
    let key = "read/orders!2/5/segment-00000000000000000000.kfs";
    let get = async |range| store.get_range(key, range, Purpose::Tail).await.unwrap();
    assert_eq!(store.get(key, Purpose::Tail).await.unwrap(), None);
    assert_eq!(get(0..4).await, None);
    assert_eq!(get(4..4).await, None);
    store
        .overwrite(key, Bytes::from_static(b"first"), Purpose::Metadata)
        .await
        .unwrap();
    store
        .overwrite(key, Bytes::from_static(b"0123456789"), Purpose::Metadata)
        .await
        .unwrap();
    assert_eq!(
        store.get(key, Purpose::Tail).await.unwrap().unwrap(),
        "0123456789"
    );
    assert_eq!(get(2..5).await.unwrap(), "234");
    assert_eq!(get(8..50).await.unwrap(), "89");
    assert_eq!(get(3..3).await.unwrap(), "");
    assert_eq!(get(10..11).await.unwrap(), "");
    assert_eq!(get(500..600).await.unwrap(), "");
    assert_eq!(
        store
            .get_tail(key, 10, 4, Purpose::Recovery)
            .await
            .unwrap()
            .unwrap(),
        "6789"
    );
    assert_eq!(
        store
            .get_tail(key, 10, 40, Purpose::Recovery)
            .await
            .unwrap()
            .unwrap(),
        "0123456789"
    );
    let backwards = std::ops::Range { start: 3, end: 2 };
    assert_eq!(
        store
            .get_range(key, backwards, Purpose::Tail)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Invalid
    );
}

async fn lists_in_order(store: &Store) {
    let keys = [
        "list/a/0",
        "list/a/1",
        "list/a!2/0",
        "list/b/c/d",
        "list/z",
        "listing/no",
    ];
    for key in keys.iter().rev() {
        store
            .overwrite(key, Bytes::copy_from_slice(key.as_bytes()), Purpose::Metadata)
            .await
            .unwrap();
    }
    let listed = store.list("list/", Purpose::Recovery).await.unwrap();
    let found: Vec<&str> = listed.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(
        found,
        ["list/a!2/0", "list/a/0", "list/a/1", "list/b/c/d", "list/z"]
    );
    assert!(
        listed
            .iter()
            .all(|object| object.size == object.key.len() as u64 && object.modified_ms > 0)
    );
    let after = store
        .list_after("list/", "list/a/0", Purpose::Recovery)
        .await
        .unwrap();
    assert_eq!(after, listed[2..]);
    assert_eq!(
        store.list_dirs("list/", Purpose::Recovery).await.unwrap(),
        ["a", "a!2", "b"]
    );
    assert_eq!(
        store.list_dirs("list/b/c/", Purpose::Recovery).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(store.list("nothing/here/", Purpose::Recovery).await.unwrap(), []);
    assert_eq!(
        store.list_dirs("nothing/here/", Purpose::Recovery).await.unwrap(),
        Vec::<String>::new()
    );
    assert!(store.list("", Purpose::Recovery).await.unwrap().len() > listed.len());
    assert!(
        store
            .list_dirs("", Purpose::Recovery)
            .await
            .unwrap()
            .contains(&"listing".to_owned())
    );
    assert_eq!(
        store.list("list", Purpose::Recovery).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

async fn deletes_what_is_there(store: &Store) {
    let keys: Vec<String> = (0..1203).map(|i| format!("delete/{i:04}")).collect();
    for key in &keys[..5] {
        store
            .overwrite(key, Bytes::from_static(b"x"), Purpose::Metadata)
            .await
            .unwrap();
    }
    store
        .overwrite("delete/kept", Bytes::from_static(b"x"), Purpose::Metadata)
        .await
        .unwrap();
    store.delete(keys, Purpose::Delete).await.unwrap();
    let left = store.list("delete/", Purpose::Delete).await.unwrap();
    assert_eq!(
        left.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(),
        ["delete/kept"]
    );
    store
        .delete(vec!["delete/kept".to_owned()], Purpose::Delete)
        .await
        .unwrap();
    store.delete(vec![], Purpose::Delete).await.unwrap();
}

/// For stores in which a directory is nothing but a part of keys; SeaweedFS still names one for a while when its last object is
/// gone.
pub(super) async fn forgets_empty_directories(store: &Store) {
    store
        .overwrite("gone/a/b", Bytes::from_static(b"x"), Purpose::Metadata)
        .await
        .unwrap();
    store
        .delete(vec!["gone/a/b".to_owned()], Purpose::Delete)
        .await
        .unwrap();
    assert!(
        !store
            .list_dirs("", Purpose::Delete)
            .await
            .unwrap()
            .contains(&"gone".to_owned())
    );
}

#[tokio::test]
async fn memory_behaves() {
    let store = open_at("memory:").await.unwrap();
    behaves(&store).await;
    forgets_empty_directories(&store).await;
}

#[tokio::test]
async fn a_local_directory_behaves() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(&format!("file://{}/new/bucket", dir.path().display()))
        .await
        .unwrap();
    behaves(&store).await;
    forgets_empty_directories(&store).await;
}

#[tokio::test]
async fn calls_can_run_on_any_thread() {
    let store = open_at("memory:").await.unwrap();
    let (ours, chunks) = object(1, "ours");
    tokio::spawn(async move {
        store
            .create("a/b", &chunks, ours, UNTIL_KNOWN, Purpose::Wal)
            .await
            .unwrap();
        store.get("a/b", Purpose::Tail).await.unwrap();
        store.get_range("a/b", 0..1, Purpose::Tail).await.unwrap();
        store.list("a/", Purpose::Tail).await.unwrap();
        store.list_dirs("a/", Purpose::Tail).await.unwrap();
        store.overwrite("a/c", Bytes::new(), Purpose::Tail).await.unwrap();
        store.delete(vec!["a/b".to_owned()], Purpose::Tail).await.unwrap();
        store.probe("a", 1).await.unwrap();
    })
    .await
    .unwrap();
}
