#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

const SESSION: SessionId = SessionId {
    broker: 3,
    epoch: 17,
    nonce: 0x00ab_cdef,
};
const META: MetaSessionId = MetaSessionId {
    epoch: 17,
    nonce: 0xfeed_0001,
};

#[test]
fn keys_have_the_layout_of_the_bucket() {
    assert_eq!(
        segment_key("default", "orders", 7, 1234),
        "default/orders/7/segment-00000000000000001234.kfs"
    );
    assert_eq!(
        index_key("default", "orders!2", 0, 0),
        "default/orders!2/0/segment-00000000000000000000.index"
    );
    assert_eq!(partition_prefix("default", "orders", 7), "default/orders/7/");
    assert_eq!(topic_prefix("default", "orders"), "default/orders/");
    assert_eq!(namespace_prefix("default"), "default/");
    assert_eq!(wal_root("default"), "_kafscale/default/wal/");
    assert_eq!(
        wal_prefix("default", SESSION),
        "_kafscale/default/wal/3-17-00abcdef/"
    );
    assert_eq!(
        wal_slot_key("default", SESSION, u64::MAX),
        "_kafscale/default/wal/3-17-00abcdef/18446744073709551615.kfw"
    );
    assert_eq!(
        state_key("default", SESSION, 5),
        "_kafscale/default/wal/3-17-00abcdef/state-00000000000000000005.kfp"
    );
    assert_eq!(meta_root("default"), "_kafscale/default/meta/");
    assert_eq!(
        meta_prefix("default", META),
        "_kafscale/default/meta/00000000000000000017-feed0001/"
    );
    assert_eq!(
        meta_slot_key("default", META, 9),
        "_kafscale/default/meta/00000000000000000017-feed0001/00000000000000000009.kfm"
    );
    assert_eq!(topics_prefix("default"), "_kafscale/default/topics/");
    assert_eq!(
        descriptor_key("default", "orders!2"),
        "_kafscale/default/topics/orders!2.kft"
    );
    assert_eq!(probe_key("default", 3), "_kafscale/default/probe/3");
}

#[test]
fn every_key_is_parsed_back() {
    let directory = || "a.b_c-D!12".to_owned();
    for key in [
        ObjectKey::Segment {
            directory: directory(),
            partition: i32::MAX,
            base: i64::MAX,
        },
        ObjectKey::Index {
            directory: "index".to_owned(),
            partition: 0,
            base: 0,
        },
        ObjectKey::WalSlot {
            session: SESSION,
            slot: u64::MAX,
        },
        ObjectKey::State {
            session: SESSION,
            slot: 0,
        },
        ObjectKey::MetaSlot {
            session: META,
            slot: 1,
        },
        ObjectKey::Descriptor {
            directory: directory(),
        },
        ObjectKey::Descriptor {
            directory: "name.kft".to_owned(),
        },
        ObjectKey::Probe { broker: 0 },
    ] {
        assert_eq!(
            ObjectKey::parse("ns", &key.to_key("ns")),
            Some(key.clone()),
            "{key:?}"
        );
        assert_eq!(ObjectKey::parse("other", &key.to_key("ns")), None, "{key:?}");
    }
}

#[test]
fn foreign_keys_are_not_ours() {
    for key in [
        "",
        "ns",
        "ns/",
        "ns/orders/0",
        "ns/orders/0/",
        "ns/orders/0/segment-1.kfs",
        "ns/orders/0/segment-00000000000000000001.kfs/more",
        "ns/orders/0/segment-00000000000000000001.kfx",
        "ns/orders/0/segment-0000000000000000001x.kfs",
        "ns/orders/0/segment-+0000000000000000001.kfs",
        "ns/orders/0/segment-99999999999999999999.kfs",
        "ns/orders/00/segment-00000000000000000001.kfs",
        "ns/orders/-1/segment-00000000000000000001.kfs",
        "ns/orders/+1/segment-00000000000000000001.kfs",
        "ns/orders/2147483648/segment-00000000000000000001.kfs",
        "ns/orders!1/0/segment-00000000000000000001.kfs",
        "ns/orders!02/0/segment-00000000000000000001.kfs",
        "ns/ord ers/0/segment-00000000000000000001.kfs",
        "ns/../0/segment-00000000000000000001.kfs",
        "_kafscale/ns/wal/3-17-00abcdef",
        "_kafscale/ns/wal/3-17-00ABCDEF/00000000000000000005.kfw",
        "_kafscale/ns/wal/3-17-0abcdef/00000000000000000005.kfw",
        "_kafscale/ns/wal/03-17-00abcdef/00000000000000000005.kfw",
        "_kafscale/ns/wal/-3-17-00abcdef/00000000000000000005.kfw",
        "_kafscale/ns/wal/3-17-00abcdef/99999999999999999999.kfw",
        "_kafscale/ns/wal/3-17-00abcdef/state-00000000000000000005.kfw",
        "_kafscale/ns/meta/17-feed0001/00000000000000000009.kfm",
        "_kafscale/ns/topics/orders",
        "_kafscale/ns/topics/orders!1.kft",
        "_kafscale/ns/topics/a/b.kft",
        "_kafscale/ns/probe/-1",
        "_kafscale/ns/probe/1/x",
        "_kafscale/ns/other/1",
    ] {
        assert_eq!(ObjectKey::parse("ns", key), None, "{key}");
    }
}

#[test]
fn session_ids_are_read_back_and_errors_name_the_text() {
    assert_eq!(SESSION.to_string().parse(), Ok(SESSION));
    assert_eq!(META.to_string().parse(), Ok(META));
    let error = "3-17".parse::<SessionId>().unwrap_err();
    assert!(error.to_string().contains("\"3-17\""), "{error}");
    assert!("17-feed0001".parse::<MetaSessionId>().is_err());
}

#[test]
fn topic_names_follow_the_rules_of_kafka() {
    for good in [
        "a",
        "orders",
        "A.b_c-9",
        "...",
        "__consumer_offsets",
        &"x".repeat(249),
    ] {
        assert_eq!(validate_topic_name(good), Ok(()), "{good}");
    }
    assert_eq!(
        validate_topic_name(""),
        Err(NameError::Empty { what: "topic name" })
    );
    assert_eq!(
        validate_topic_name(&"x".repeat(250)),
        Err(NameError::TooLong {
            what: "topic name",
            len: 250
        })
    );
    for (bad, character) in [
        ("a b", ' '),
        ("a/b", '/'),
        ("a!2", '!'),
        ("köln", 'ö'),
        ("a\0", '\0'),
    ] {
        assert_eq!(
            validate_topic_name(bad),
            Err(NameError::Character {
                what: "topic name",
                character
            }),
            "{bad}"
        );
    }
    for bad in [".", ".."] {
        assert!(
            matches!(validate_topic_name(bad), Err(NameError::Reserved { .. })),
            "{bad}"
        );
    }
}

#[test]
fn the_system_root_is_no_namespace() {
    assert_eq!(validate_namespace("default"), Ok(()));
    let error = validate_namespace("_kafscale").unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"_kafscale\" is reserved and cannot be a namespace"
    );
    assert!(validate_namespace("a/b").is_err());
    assert!(validate_namespace("").is_err());
}

#[test]
fn a_directory_names_topic_and_life() {
    for (topic, life, text) in [
        ("orders", 1, "orders"),
        ("orders", 2, "orders!2"),
        ("o.x", u32::MAX, "o.x!4294967295"),
    ] {
        assert_eq!(directory(topic, life), text);
        assert_eq!(parse_directory(text), Ok((topic, life)));
    }
    for bad in [
        "orders!",
        "orders!0",
        "orders!1",
        "orders!02",
        "orders!4294967296",
        "orders!2!3",
        "!2",
        "",
    ] {
        assert!(parse_directory(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_that_parses_is_written_the_same_way(
        key in "(_kafscale/ns|ns)/(wal|meta|topics|probe|t!?[0-9]?)/[0-9]{1,20}(-[0-9]{1,2}-[0-9a-f]{8})?\
                (/(segment-|state-)?[0-9]{19,20}\\.(kfs|index|kfw|kfp|kfm|kft))?",
    ) {
        if let Some(parsed) = ObjectKey::parse("ns", &key) {
            prop_assert_eq!(parsed.to_key("ns"), key);
        }
    }

    #[test]
    fn random_text_never_panics(key in "\\PC*", suffix in "[/!.0-9a-z-]{0,60}") {
        let _ = ObjectKey::parse("ns", &key);
        let _ = ObjectKey::parse("ns", &format!("ns/{suffix}"));
        let _ = ObjectKey::parse("ns", &format!("_kafscale/ns/{suffix}"));
        let _ = parse_directory(&suffix);
        let _ = suffix.parse::<SessionId>();
    }
}
