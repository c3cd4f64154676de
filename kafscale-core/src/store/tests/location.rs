//! Addresses of stores.

use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::store::{S3Options, StoreLocation};

fn file(dir: &str, fsync: bool) -> StoreLocation {
    StoreLocation::File {
        dir: PathBuf::from(dir),
        fsync,
    }
}

fn s3(bucket: &str, prefix: &str) -> StoreLocation {
    StoreLocation::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    }
}

#[test]
fn addresses_that_can_be_read() {
    for (text, location) in [
        ("file:///var/lib/kafscale", file("/var/lib/kafscale", true)),
        ("file:/var/lib/kafscale", file("/var/lib/kafscale", true)),
        (
            "file:///var/lib/kaf%20scale?fsync=false",
            file("/var/lib/kaf scale", false),
        ),
        ("file:data?fsync=true", file("data", true)),
        ("file:./data/bucket", file("./data/bucket", true)),
        ("memory:", StoreLocation::Memory),
        ("memory://", StoreLocation::Memory),
        ("s3://my-bucket", s3("my-bucket", "")),
        ("s3://my-bucket/", s3("my-bucket", "")),
        ("s3://my-bucket/a/b/", s3("my-bucket", "a/b")),
    ] {
        let read = StoreLocation::parse(text).unwrap();
        assert_eq!(read, location, "{text}");
        if !text.contains('%') {
            assert_eq!(StoreLocation::parse(&read.to_string()).unwrap(), read, "{text}");
        }
    }
}

#[test]
fn addresses_that_cannot_be_read_say_why() {
    for (text, why) in [
        ("/var/lib/kafscale", "scheme"),
        ("", "scheme"),
        ("http://bucket", "not known"),
        ("file:", "no directory"),
        ("file:///", "no directory"),
        ("file://data/dir", "third slash"),
        ("file:~/data", "not expanded"),
        ("file:///data?fsync=no", "true or false"),
        ("file:///data?sync=true", "not known"),
        ("file:///data#1", "%23"),
        ("memory:x", "nothing after it"),
        ("s3:bucket", "two slashes"),
        ("s3://", "name of a bucket"),
        ("s3://My_Bucket", "name of a bucket"),
        ("s3://bucket?region=x", "set apart"),
        ("s3://key:secret@bucket", "set apart"),
        ("s3://bucket/a//b", "prefix"),
        ("s3://bucket/../b", "prefix"),
    ] {
        let error = StoreLocation::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "{text}");
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let options = S3Options {
        access_key: Some("AKIAEXAMPLE".to_owned()),
        secret_key: Some("hunter2".to_owned()),
        session_token: Some("token123".to_owned()),
        ..S3Options::default()
    };
    let text = format!("{options:?}");
    for secret in ["AKIAEXAMPLE", "hunter2", "token123"] {
        assert!(!text.contains(secret), "{text}");
    }
}
