//! The table, its document, and what the checks refuse.

use std::ffi::OsString;

use super::table::{self, VARIABLES};
use super::variable::Fallback;
use super::{ConfigError, ServerConfig, Values, markdown};

fn values(environment: &[(&str, &str)]) -> Result<Values, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Values::collect([], environment)
}

fn config(environment: &[(&str, &str)]) -> Result<ServerConfig, ConfigError> {
    ServerConfig::from_values(&values(environment)?)
}

fn refusal(environment: &[(&str, &str)]) -> String {
    config(environment)
        .expect_err("the configuration must be refused")
        .to_string()
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        written,
        markdown(),
        "run `UPDATE_DOCS=1 cargo test -p kafscale-server --lib config` and commit the page"
    );
}

#[test]
fn names_and_flags_are_unique_and_every_default_is_allowed() {
    for (position, variable) in VARIABLES.iter().enumerate() {
        let others = || VARIABLES.iter().skip(position + 1);
        assert!(
            others().all(|other| other.name != variable.name),
            "{}",
            variable.name
        );
        assert!(
            variable.flag.is_none() || others().all(|other| other.flag != variable.flag),
            "{}",
            variable.name
        );
        if let Fallback::Value(default) = variable.fallback {
            assert_eq!(variable.kind.check(default), Ok(()), "{}", variable.name);
        }
    }
}

#[test]
fn secrets_have_no_flag_and_are_never_shown() {
    for name in table::SECRETS {
        let variable = VARIABLES.iter().find(|variable| variable.name == *name).unwrap();
        assert_eq!(variable.flag, None, "{name}");
    }
    let config = config(&[
        ("KAFSCALE_S3_BUCKET", "bucket"),
        ("KAFSCALE_S3_ACCESS_KEY", "AKIA-open"),
        ("KAFSCALE_S3_SECRET_KEY", "very-secret"),
        ("KAFSCALE_S3_SESSION_TOKEN", "tok-secret"),
    ])
    .unwrap();
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("very-secret") && !shown.contains("tok-secret") && !shown.contains("AKIA"),
        "{shown}"
    );
}

#[test]
fn defaults_are_those_of_the_guide() {
    let config = config(&[("KAFSCALE_STORE_URL", "memory:")]).unwrap();
    assert_eq!(
        (config.kafka_addr.as_str(), config.http_addr.as_str()),
        (":9092", ":9093")
    );
    assert_eq!(config.advertised_host, "localhost");
    assert_eq!(config.engine.broker_id, 0);
    assert!(config.topics.auto_create && config.topics.allow_admin && config.engine.wal.sync_flush);
    assert_eq!(config.topics.default_partitions, 1);
    assert_eq!(config.engine, kafscale_core::Settings::default());
    assert_eq!(
        config.store.settings,
        kafscale_core::store::StoreSettings::default()
    );
}

#[test]
fn without_a_store_the_start_is_refused_with_ways_to_name_one() {
    let message = refusal(&[]);
    assert!(
        message.contains("kafscale broker --store file:///var/lib/kafscale"),
        "{message}"
    );
}

#[test]
fn a_value_that_cannot_be_read_is_named_with_what_is_allowed() {
    let memory = ("KAFSCALE_STORE_URL", "memory:");
    let message = refusal(&[memory, ("KAFSCALE_SEGMENT_BYTES", "4MB")]);
    assert_eq!(
        message,
        "KAFSCALE_SEGMENT_BYTES is \"4MB\"; it must be a whole number from 1 to 268435456 bytes"
    );
    for (name, value) in [
        ("KAFSCALE_PRODUCE_SYNC_FLUSH", "maybe"),
        ("KAFSCALE_BROKER_ADDR", "nine"),
        ("KAFSCALE_LOG_LEVEL", "loud"),
        ("KAFSCALE_S3_ERROR_RATE_WARN", "1.5"),
        ("KAFSCALE_S3_ERROR_RATE_WARN", "NaN"),
        ("KAFSCALE_BROKER_ID", "-1"),
        ("KAFSCALE_WAL_PUTS_PER_SEC", "0"),
    ] {
        let message = refusal(&[memory, (name, value)]);
        assert!(
            message.starts_with(&format!("{name} is {value:?}; it must be ")),
            "{message}"
        );
    }
}

#[test]
fn an_empty_value_counts_as_not_set() {
    let config = config(&[
        ("KAFSCALE_STORE_URL", " memory: "),
        ("KAFSCALE_BROKER_ID", " "),
        ("KAFSCALE_ETCD_ENDPOINTS", ""),
    ]);
    assert_eq!(config.unwrap().engine.broker_id, 0);
}

#[test]
fn stores_that_contradict_each_other_are_refused() {
    let url = |url| ("KAFSCALE_STORE_URL", url);
    let bucket = ("KAFSCALE_S3_BUCKET", "bucket");
    let memory = ("KAFSCALE_USE_MEMORY_S3", "true");
    for environment in [
        vec![url("s3://a/p"), bucket],
        vec![url("file:///x"), bucket],
        vec![url("memory:"), bucket],
        vec![url("s3://bucket"), memory],
        vec![bucket, memory],
    ] {
        let message = refusal(&environment);
        assert!(message.contains("different stores"), "{environment:?}: {message}");
    }
    assert_eq!(
        config(&[url("s3://bucket/p"), bucket])
            .unwrap()
            .store
            .location
            .to_string(),
        "s3://bucket/p"
    );
    assert_eq!(
        config(&[bucket]).unwrap().store.location.to_string(),
        "s3://bucket"
    );
    assert_eq!(config(&[memory]).unwrap().store.location.to_string(), "memory:");
    assert_eq!(
        config(&[url("memory:"), memory])
            .unwrap()
            .store
            .location
            .to_string(),
        "memory:"
    );
}

#[test]
fn half_given_keys_and_s3_settings_without_s3_are_refused() {
    let bucket = ("KAFSCALE_S3_BUCKET", "bucket");
    let message = refusal(&[bucket, ("KAFSCALE_S3_ACCESS_KEY", "k")]);
    assert_eq!(
        message,
        "KAFSCALE_S3_ACCESS_KEY is set but KAFSCALE_S3_SECRET_KEY is not; set both or neither"
    );
    assert!(refusal(&[bucket, ("KAFSCALE_S3_SECRET_KEY", "k")]).contains("set both or neither"));
    assert!(refusal(&[bucket, ("KAFSCALE_S3_SESSION_TOKEN", "t")]).contains("set both or neither"));
    let message = refusal(&[
        ("KAFSCALE_STORE_URL", "file:///x"),
        ("KAFSCALE_S3_REGION", "eu-west-1"),
    ]);
    assert!(
        message.starts_with("KAFSCALE_S3_REGION is set, but the store is file:/x"),
        "{message}"
    );
    assert!(refusal(&[bucket, ("KAFSCALE_S3_ENDPOINT", "minio:9000")]).contains("http://"));
}

#[test]
fn what_this_version_does_not_have_stops_the_start_instead_of_being_ignored() {
    let memory = ("KAFSCALE_STORE_URL", "memory:");
    for (name, value) in [
        ("KAFSCALE_ETCD_ENDPOINTS", "http://etcd:2379"),
        ("KAFSCALE_ACL_ENABLED", "true"),
        ("KAFSCALE_PROXY_PROTOCOL", "1"),
        ("KAFSCALE_PRINCIPAL_SOURCE", "proxy_addr"),
        ("KAFSCALE_S3_READ_BUCKET", "replica"),
        ("KAFSCALE_CONTROL_ADDR", ":9094"),
    ] {
        let message = refusal(&[memory, (name, value)]);
        assert!(
            message.starts_with(name) && message.contains("does not have yet"),
            "{message}"
        );
    }
    let harmless = [
        memory,
        ("KAFSCALE_ACL_ENABLED", "false"),
        ("KAFSCALE_PRINCIPAL_SOURCE", "client_id"),
    ];
    assert_eq!(values(&harmless).unwrap().warnings, Vec::<String>::new());
    let warned = values(&[memory, ("KAFSCALE_READAHEAD_SEGMENTS", "4")])
        .unwrap()
        .warnings;
    assert!(
        warned
            .iter()
            .any(|line| line.contains("KAFSCALE_READAHEAD_SEGMENTS has no effect")),
        "{warned:?}"
    );
}

#[test]
fn an_unknown_name_gets_a_warning_with_the_nearest_one() {
    let warned = values(&[
        ("KAFSCALE_SEGMENT_BYTE", "1"),
        ("KAFSCALE_PROXY_ADDR", ":1"),
        ("HOME", "/"),
    ])
    .unwrap()
    .warnings;
    assert_eq!(
        warned,
        [
            "KAFSCALE_SEGMENT_BYTE is set but is not a setting of the broker; did you mean KAFSCALE_SEGMENT_BYTES?"
        ]
    );
    let warned = values(&[("KAFSCALE_COLOUR_OF_THE_LOGO", "red")])
        .unwrap()
        .warnings;
    assert!(warned[0].contains("--help"), "{warned:?}");
}

#[test]
fn variables_that_kubernetes_sets_for_services_are_not_ours() {
    let environment = [
        ("KAFSCALE_STORE_URL", "memory:"),
        ("KAFSCALE_BROKER_PORT", "tcp://10.0.0.7:9092"),
        ("KAFSCALE_BROKER_SERVICE_HOST", "10.0.0.7"),
        ("KAFSCALE_BROKER_SERVICE_PORT", "9092"),
        ("KAFSCALE_BROKER_SERVICE_PORT_KAFKA", "9092"),
        ("KAFSCALE_BROKER_PORT_9092_TCP", "tcp://10.0.0.7:9092"),
        ("KAFSCALE_BROKER_PORT_9092_TCP_ADDR", "10.0.0.7"),
    ];
    assert_eq!(values(&environment).unwrap().warnings, Vec::<String>::new());
    assert_eq!(config(&environment).unwrap().advertised_port, None);
}

#[test]
fn flags_win_over_variables_and_older_names_come_last() {
    let environment = [
        ("KAFSCALE_CACHE_BYTES", "5"),
        ("KAFSCALE_CACHE_SIZE", "6"),
        ("KAFSCALE_STORE_URL", "memory:"),
    ];
    assert_eq!(config(&environment).unwrap().engine.memory.cache_bytes, 5);
    assert_eq!(config(&environment[1..]).unwrap().engine.memory.cache_bytes, 6);
    let environment = environment.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let values = Values::collect([("KAFSCALE_CACHE_BYTES", "7".to_owned())], environment).unwrap();
    assert_eq!(
        ServerConfig::from_values(&values)
            .unwrap()
            .engine
            .memory
            .cache_bytes,
        7
    );
    let refused = Values::collect([("KAFSCALE_CACHE_BYTES", "x".to_owned())], [])
        .unwrap_err()
        .to_string();
    assert!(refused.starts_with("--cache-bytes is \"x\""), "{refused}");
}

#[test]
fn a_pod_of_a_statefulset_knows_its_id_and_host() {
    let pod = [
        ("KAFSCALE_STORE_URL", "memory:"),
        ("POD_NAME", "kafscale-broker-2"),
        ("POD_NAMESPACE", "prod"),
        ("KAFSCALE_BROKER_SERVICE", "kafscale-broker-headless"),
    ];
    let derived = config(&pod).unwrap();
    assert_eq!(derived.engine.broker_id, 2);
    assert_eq!(
        derived.advertised_host,
        "kafscale-broker-2.kafscale-broker-headless.prod.svc.cluster.local"
    );
    let deployment = [
        ("KAFSCALE_STORE_URL", "memory:"),
        ("POD_NAME", "kafscale-broker-7d9f-x2k4p"),
    ];
    assert_eq!(config(&deployment).unwrap().engine.broker_id, 0);
    let half = [
        ("KAFSCALE_STORE_URL", "memory:"),
        ("KAFSCALE_BROKER_SERVICE", "s"),
    ];
    assert!(refusal(&half).contains("POD_NAME"));
}

#[test]
fn the_host_that_is_listened_on_is_told_to_clients_unless_it_is_a_wildcard() {
    let host = |addr, named: &[(&str, &str)]| {
        let mut environment = vec![("KAFSCALE_STORE_URL", "memory:"), ("KAFSCALE_BROKER_ADDR", addr)];
        environment.extend_from_slice(named);
        config(&environment).unwrap().advertised_host
    };
    assert_eq!(host("127.0.0.1:9092", &[]), "127.0.0.1");
    assert_eq!(host("[::1]:9092", &[]), "::1");
    assert_eq!(host("0.0.0.0:9092", &[]), "localhost");
    assert_eq!(host("[::]:9092", &[]), "localhost");
    assert_eq!(
        host("10.0.0.7:9092", &[("KAFSCALE_BROKER_HOST", "kafka.example.com")]),
        "kafka.example.com"
    );
}
