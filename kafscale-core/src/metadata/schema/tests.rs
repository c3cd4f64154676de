use proptest::prelude::*;

use super::*;

const TOPIC: TopicId = TopicId([7; 16]);
const SESSION: SessionId = SessionId {
    broker: 3,
    epoch: 12,
    nonce: 0xabc,
};

#[test]
fn keys_are_what_the_table_says() {
    assert_eq!(topic_key("orders"), "topics/orders");
    assert_eq!(partition_key(TOPIC, 5), format!("partitions/{TOPIC}/5"));
    assert_eq!(producer_id_block_key(0xab), "producer-ids/0000000000ab");
    assert_eq!(producer_id_block_key(u64::MAX), "producer-ids/ffffffffffff");
    assert_eq!(
        offset_key("a/b c", TOPIC, 0),
        format!("offsets/a%2Fb%20c/{TOPIC}/0")
    );
    assert_eq!(group_key("ü%"), "groups/%C3%BC%25");
}

#[test]
fn a_key_that_was_not_written_here_is_not_parsed() {
    for key in [
        "offsets/g/x/0",
        "offsets/g",
        "topics/a%2f",
        "topics/a%2",
        "topics/a b",
        "topics/%FF",
        "groups/a/b",
    ] {
        assert_eq!(parse_offset_key(key), None);
        assert_eq!(parse_topic_key(key), None);
        assert_eq!(parse_group_key(key), None);
    }
    assert_eq!(parse_partition_key(&format!("partitions/{TOPIC}/-1")), None);
    assert_eq!(parse_partition_key(&format!("partitions/{TOPIC}/01")), None);
    assert_eq!(parse_partition_key(&format!("partitions/{TOPIC}/1/2")), None);
    assert_eq!(parse_offset_key(&format!("offsets/g/{TOPIC}/1/2")), None);
}

proptest! {
    #[test]
    fn every_group_id_has_its_own_key(a in any::<String>(), b in any::<String>(), partition in 0..i32::MAX) {
        prop_assert_eq!(parse_group_key(&group_key(&a)), Some(a.clone()));
        prop_assert_eq!(parse_offset_key(&offset_key(&a, TOPIC, partition)), Some((a.clone(), TOPIC, partition)));
        let key = offset_key(&b, TOPIC, partition);
        prop_assert_eq!(key.starts_with(&offsets_of_group(&a)), a == b);
        prop_assert_eq!(key.starts_with(&offsets_of_group_and_topic(&a, TOPIC)), a == b);
    }
}

/// The stored bytes: a change here is a change of what lies in buckets.
#[test]
fn records_are_stored_as_these_bytes() {
    let topic = TopicRecord {
        id: TOPIC,
        directory: "orders!2".into(),
        partitions: 6,
        configs: [("retention.ms".to_owned(), "1000".to_owned())].into(),
        created_ms: 1_700_000_000_000,
        deleting: false,
    };
    let partition = PartitionRecord {
        owner: Some(SESSION),
        leader_epoch: 4,
        epochs: vec![(0, 0), (4, 100)],
        log_start: 10,
        segmented_end: 90,
        tail_refs: vec![TailRef {
            session: SESSION,
            first: 90,
            last: 99,
        }],
    };
    let offset = CommittedOffset {
        offset: 5,
        leader_epoch: -1,
        metadata: "m".into(),
        committed_ms: 9,
    };
    check(
        &topic,
        r#"{"id":"BwcHBwcHBwcHBwcHBwcHBw","directory":"orders!2","partitions":6,"configs":{"retention.ms":"1000"},"created_ms":1700000000000}"#,
    );
    check(
        &partition,
        r#"{"owner":"3-12-00000abc","leader_epoch":4,"epochs":[[0,0],[4,100]],"log_start":10,"segmented_end":90,"tail_refs":[{"session":"3-12-00000abc","first":90,"last":99}]}"#,
    );
    check(
        &ProducerIdBlock { session: SESSION },
        r#"{"session":"3-12-00000abc"}"#,
    );
    check(
        &offset,
        r#"{"offset":5,"leader_epoch":-1,"metadata":"m","committed_ms":9}"#,
    );
}

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(record: &T, json: &str) {
    assert_eq!(std::str::from_utf8(&to_value(record).unwrap()).unwrap(), json);
    assert_eq!(from_value::<T>("k", json.as_bytes()).unwrap(), *record);
}

#[test]
fn fields_from_the_future_are_ignored_and_fields_from_the_past_may_be_missing() {
    let record: PartitionRecord =
        from_value("k", br#"{"leader_epoch":1,"invented_later":{"a":[1]}}"#).unwrap();
    assert_eq!(
        record,
        PartitionRecord {
            leader_epoch: 1,
            ..PartitionRecord::default()
        }
    );
    let record: PartitionRecord = from_value("k", br#"{"leader_epoch":1,"owner":null}"#).unwrap();
    assert_eq!(record.owner, None);
}

#[test]
fn a_damaged_record_is_named() {
    for value in [&b""[..], b"{", b"[]", br#"{"session":"x"}"#, br#"{"session":1}"#] {
        let error = from_value::<ProducerIdBlock>("producer-ids/1", value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains("producer-ids/1"), "{error}");
    }
}
