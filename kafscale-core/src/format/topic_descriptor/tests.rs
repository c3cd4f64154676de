use proptest::prelude::*;

use super::*;
use crate::format::golden::{damage_is_found, golden, hostile};

fn sample() -> TopicDescriptor {
    TopicDescriptor {
        tombstone: false,
        topic_id: TopicId(*b"0123456789abcdef"),
        revision: 42,
        created_ms: 1_767_225_600_000,
        name: "orders".to_owned(),
        directory: "orders!2".to_owned(),
        partition_count: 6,
        configs: vec![
            ("retention.ms".to_owned(), "604800000".to_owned()),
            ("cleanup.policy".to_owned(), String::new()),
        ],
    }
}

fn tombstone() -> TopicDescriptor {
    TopicDescriptor {
        tombstone: true,
        directory: "orders".to_owned(),
        configs: vec![],
        ..sample()
    }
}

#[test]
fn descriptors_have_their_golden_bytes() {
    for (name, descriptor) in [("topic.kft", sample()), ("topic-tombstone.kft", tombstone())] {
        let stored = golden(name, &descriptor.encode().unwrap());
        assert_eq!(TopicDescriptor::parse(&stored), Ok(descriptor));
    }
}

#[test]
fn damage_is_found_wherever_it_is() {
    damage_is_found(&sample().encode().unwrap(), TopicDescriptor::parse);
}

#[test]
fn contradictions_are_not_written() {
    let message = |change: fn(&mut TopicDescriptor)| {
        let mut descriptor = sample();
        change(&mut descriptor);
        descriptor.encode().unwrap_err().to_string()
    };
    assert!(message(|d| d.partition_count = 0).ends_with("the partition count is less than one"));
    assert!(message(|d| d.directory = "clicks".to_owned()).ends_with("not one of this topic"));
    assert!(message(|d| d.directory = "orders!1".to_owned()).ends_with("not one of a topic"));
    assert!(message(|d| d.configs[0].0 = "x".repeat(65_536)).contains("at most 65535"));
}

#[test]
fn a_descriptor_that_lies_is_refused() {
    // Flags, reserved byte, name (frders), partition count (-1...), config count, length of the first config's value.
    for (at, value) in [(6, 2), (7, 1), (42, b'f'), (58, 0xff), (62, 0x7f), (80, 0x7f)] {
        let mut bytes = sample().encode().unwrap().to_vec();
        bytes.truncate(bytes.len() - 4);
        bytes[at] = value;
        put_crc(&mut bytes);
        let error = TopicDescriptor::parse(&bytes).unwrap_err();
        assert!(
            matches!(error, FormatError::Count { .. } | FormatError::Value { .. }),
            "byte {at}: {error}"
        );
    }
}

proptest! {
    #[test]
    fn every_descriptor_comes_back(
        (tombstone, topic_id, revision, created_ms) in
            (any::<bool>(), any::<[u8; 16]>(), any::<u64>(), any::<i64>()),
        (name, life, partition_count) in ("[a-zA-Z0-9_-]{1,40}", 1_u32.., 1..=i32::MAX),
        configs in proptest::collection::vec(("\\PC{0,20}", "\\PC{0,40}"), 0..5),
    ) {
        let directory = crate::format::keys::directory(&name, life);
        let topic_id = TopicId(topic_id);
        let descriptor = TopicDescriptor {
            tombstone, topic_id, revision, created_ms, name, directory, partition_count, configs,
        };
        prop_assert_eq!(TopicDescriptor::parse(&descriptor.encode().unwrap()), Ok(descriptor));
    }

    #[test]
    fn hostile_bytes_never_panic(mut bytes in hostile(sample().encode().unwrap().to_vec())) {
        let _ = TopicDescriptor::parse(&bytes);
        put_crc(&mut bytes);
        let _ = TopicDescriptor::parse(&bytes);
    }
}
