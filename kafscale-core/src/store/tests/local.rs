//! A bucket in a local directory.

use bytes::Bytes;

use super::conformance::open_at;
use crate::error::ErrorKind;
use crate::store::Purpose;

#[tokio::test]
async fn a_directory_in_use_is_refused_until_the_first_store_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let first = open_at(&url).await.unwrap();
    let clone = first.clone();
    drop(first);
    let error = open_at(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert!(
        error.to_string().contains(&dir.path().display().to_string()),
        "{error}"
    );
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(clone);
    open_at(&url).await.unwrap();
}

#[tokio::test]
async fn what_an_interrupted_write_left_behind_is_removed_and_objects_stay() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let store = open_at(&url).await.unwrap();
    store
        .overwrite("a/b/object", Bytes::from_static(b"x"), Purpose::Segment)
        .await
        .unwrap();
    store
        .overwrite("a/b/odd#name", Bytes::from_static(b"x"), Purpose::Segment)
        .await
        .unwrap();
    drop(store);
    std::fs::write(dir.path().join("a/b/object#1"), b"half").unwrap();
    std::fs::write(dir.path().join("stray#23"), b"half").unwrap();
    let store = open_at(&url).await.unwrap();
    assert!(!dir.path().join("a/b/object#1").exists());
    assert!(!dir.path().join("stray#23").exists());
    let listed = store.list("", Purpose::Recovery).await.unwrap();
    assert_eq!(
        listed.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(),
        ["a/b/object", "a/b/odd#name"]
    );
}

#[tokio::test]
async fn a_file_where_the_directory_should_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let error = open_at(&format!("file://{}/file", dir.path().display()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert!(error.to_string().contains("cannot be created"), "{error}");
}
