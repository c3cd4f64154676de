//! Reading and changing configs.

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request as incremental;
use kafka_protocol::messages::{AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use kafscale_wire::ErrorCode;
use kafscale_wire::client::Client;

use crate::start::{broker_with, broker_with_topic, client, text};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

async fn replace(client: &Client, configs: &[(&str, Option<&str>)], validate_only: bool) -> ErrorCode {
    let configs = configs.iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(configs.collect());
    let request = AlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(validate_only);
    ErrorCode::from_code(client.send(&request).await.unwrap().responses[0].error_code).unwrap()
}

async fn change(
    client: &Client,
    kind: i8,
    name: &str,
    operation: i8,
    key: &str,
    value: Option<&str>,
) -> ErrorCode {
    let config = incremental::AlterableConfig::default()
        .with_name(text(key))
        .with_config_operation(operation)
        .with_value(value.map(text));
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    ErrorCode::from_code(client.send(&request).await.unwrap().responses[0].error_code).unwrap()
}

#[tokio::test]
async fn a_replacement_removes_what_it_does_not_name() {
    let (server, client) = broker_with_topic("t", 1).await;
    let configs = || server.engine().topic("t").unwrap().configs.clone();
    let both = [("retention.ms", Some("1000")), ("retention.bytes", Some("5"))];
    assert_eq!(replace(&client, &both, true).await, ErrorCode::None);
    assert!(configs().is_empty());
    assert_eq!(replace(&client, &both, false).await, ErrorCode::None);
    assert_eq!(configs().len(), 2);
    assert_eq!(
        replace(&client, &[("retention.bytes", Some("6"))], false).await,
        ErrorCode::None
    );
    assert_eq!(
        configs().into_iter().collect::<Vec<_>>(),
        [("retention.bytes".to_owned(), "6".to_owned())]
    );
    for bad in [
        ("retention.ms", Some("x")),
        ("no.such", Some("1")),
        ("retention.ms", None),
    ] {
        assert_eq!(
            replace(&client, &[bad], false).await,
            ErrorCode::InvalidConfig,
            "{bad:?}"
        );
    }
    let twice = [("retention.ms", Some("1")), ("retention.ms", Some("2"))];
    assert_eq!(replace(&client, &twice, false).await, ErrorCode::InvalidRequest);
    assert_eq!(configs().len(), 1);
}

#[tokio::test]
async fn an_increment_changes_what_it_names_and_nothing_else() {
    let (server, client) = broker_with_topic("t", 1).await;
    let policy = || {
        server
            .engine()
            .topic("t")
            .unwrap()
            .configs
            .get("cleanup.policy")
            .cloned()
    };
    let on_topic = async |operation, key: &str, value: Option<&str>| {
        change(&client, TOPIC, "t", operation, key, value).await
    };
    assert_eq!(on_topic(0, "retention.ms", Some("1000")).await, ErrorCode::None);
    assert_eq!(
        on_topic(2, "cleanup.policy", Some("compact")).await,
        ErrorCode::None
    );
    assert_eq!(policy().as_deref(), Some("delete,compact"));
    assert_eq!(
        on_topic(3, "cleanup.policy", Some("delete")).await,
        ErrorCode::None
    );
    assert_eq!(policy().as_deref(), Some("compact"));
    assert_eq!(on_topic(1, "cleanup.policy", None).await, ErrorCode::None);
    assert_eq!(policy(), None);
    assert_eq!(server.engine().topic("t").unwrap().configs.len(), 1);
    assert_eq!(
        on_topic(2, "retention.ms", Some("1")).await,
        ErrorCode::InvalidConfig
    );
    assert_eq!(on_topic(0, "retention.ms", None).await, ErrorCode::InvalidConfig);
    assert_eq!(on_topic(1, "no.such", None).await, ErrorCode::InvalidConfig);
    assert_eq!(
        on_topic(9, "retention.ms", Some("1")).await,
        ErrorCode::InvalidRequest
    );
    let missing = change(&client, TOPIC, "missing", 0, "retention.ms", Some("1")).await;
    assert_eq!(missing, ErrorCode::UnknownTopicOrPartition);
    let on_broker = change(&client, BROKER, "0", 0, "log.retention.ms", Some("1")).await;
    assert_eq!(on_broker, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn a_client_sees_the_configs_that_it_asks_for() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let names = async |keys: Option<&[&str]>| {
        let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text("t"))
            .with_configuration_keys(keys);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let answer = client.send(&request).await.unwrap().results.remove(0);
        assert_eq!(answer.error_code, 0);
        answer
            .configs
            .iter()
            .map(|config| config.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(Some(&["segment.bytes", "no.such"])).await,
        ["segment.bytes"]
    );
    let all = names(None).await;
    for key in [
        "retention.ms",
        "retention.bytes",
        "segment.bytes",
        "max.message.bytes",
        "cleanup.policy",
    ] {
        assert!(all.iter().any(|name| name == key), "{key}");
    }
}

#[tokio::test]
async fn secrets_of_the_broker_are_not_shown_and_without_admin_apis_nothing_is_changed() {
    let server = broker_with(|config| config.topics.allow_admin = false).await;
    let client = client(&server).await;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text("0"))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let configs = client.send(&request).await.unwrap().results.remove(0).configs;
    let key = configs
        .iter()
        .find(|config| &*config.name == "kafscale.s3.secret.key")
        .unwrap();
    assert!(key.is_sensitive && key.value.is_none() && key.read_only);
    let denied = change(&client, TOPIC, "t", 0, "retention.ms", Some("1")).await;
    assert_eq!(denied, ErrorCode::ClusterAuthorizationFailed);
}
