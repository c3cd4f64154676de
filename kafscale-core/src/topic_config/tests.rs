use super::*;

fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn a_value_that_is_not_allowed_is_refused_and_the_error_says_what_is() {
    let error = check(&configs(&[("retention.ms", "-2")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("from -1 to"), "{error}");
    assert!(check(&configs(&[("cleanup.policy", "compact,delete")])).is_ok());
    assert!(check(&configs(&[("cleanup.policy", "shred")])).is_err());
    assert!(check(&configs(&[("no.such.config", "1")])).is_err());
}

#[test]
fn every_default_is_an_allowed_value() {
    for key in keys() {
        key.check(&key.default_value(&TopicDefaults::default())).unwrap();
    }
}

#[test]
fn a_topic_config_overrides_the_default() {
    let defaults = TopicDefaults::default();
    let resolved = PartitionConfig::resolve(
        &configs(&[
            ("segment.bytes", "1000"),
            ("message.timestamp.type", "LogAppendTime"),
        ]),
        &defaults,
    );
    assert_eq!(resolved.segment_bytes, 1000);
    assert!(resolved.log_append_time);
    assert_eq!(resolved.max_message_bytes as u64, defaults.max_message_bytes);
}
