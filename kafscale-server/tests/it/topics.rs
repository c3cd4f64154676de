//! Creating, growing and deleting topics: what is refused, and why.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use kafscale_wire::ErrorCode;
use kafscale_wire::client::Client;

use crate::start::{batch, broker, broker_with, broker_with_topic, client, records, text, topic, topic_id};

fn new(name: &str) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
}

async fn create(client: &Client, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(topics);
    client.send(&request).await.unwrap().topics
}

fn code(result: &CreatableTopicResult) -> ErrorCode {
    ErrorCode::from_code(result.error_code).unwrap()
}

#[tokio::test]
async fn a_topic_without_numbers_gets_the_brokers_defaults() {
    let server = broker_with(|config| config.topics.default_partitions = 5).await;
    let results = create(&client(&server).await, vec![new("t")]).await;
    assert_eq!(
        (
            code(&results[0]),
            results[0].num_partitions,
            results[0].replication_factor
        ),
        (ErrorCode::None, 5, 1)
    );
}

#[tokio::test]
async fn what_cannot_be_created_says_why() {
    let (server, client) = broker_with_topic("exists", 1).await;
    let config = |name: &str, value: Option<&str>| {
        vec![
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(value.map(text)),
        ]
    };
    let assign = |partition, brokers: &[i32]| {
        CreatableReplicaAssignment::default()
            .with_partition_index(partition)
            .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect())
    };
    for (topic, expected) in [
        (new("exists"), ErrorCode::TopicAlreadyExists),
        (new("bad name"), ErrorCode::InvalidTopicException),
        (new(".."), ErrorCode::InvalidTopicException),
        (new(&"x".repeat(250)), ErrorCode::InvalidTopicException),
        (new("a").with_num_partitions(0), ErrorCode::InvalidPartitions),
        (new("a").with_num_partitions(-2), ErrorCode::InvalidPartitions),
        (
            new("a").with_replication_factor(3),
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            new("a").with_replication_factor(0),
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            new("a").with_configs(config("no.such.config", Some("1"))),
            ErrorCode::InvalidConfig,
        ),
        (
            new("a").with_configs(config("retention.ms", Some("soon"))),
            ErrorCode::InvalidConfig,
        ),
        (
            new("a").with_configs(config("retention.ms", None)),
            ErrorCode::InvalidConfig,
        ),
        (
            new("a")
                .with_num_partitions(1)
                .with_assignments(vec![assign(0, &[0])]),
            ErrorCode::InvalidRequest,
        ),
        (
            new("a").with_assignments(vec![assign(1, &[0])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            new("a").with_assignments(vec![assign(0, &[0]), assign(0, &[0])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            new("a").with_assignments(vec![assign(0, &[4])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            new("a").with_assignments(vec![assign(0, &[0, 1])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
    ] {
        let results = create(&client, vec![topic.clone()]).await;
        assert_eq!(code(&results[0]), expected, "{topic:?}");
        assert!(
            results[0]
                .error_message
                .as_ref()
                .is_some_and(|words| !words.is_empty()),
            "{topic:?}"
        );
    }
    assert_eq!(server.engine().topics().len(), 1);
    let results = create(&client, vec![new("twice"), new("once"), new("twice")]).await;
    let codes: Vec<ErrorCode> = results.iter().map(code).collect();
    assert_eq!(
        codes,
        [
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::InvalidRequest
        ]
    );
    let assigned = new("assigned").with_assignments(vec![assign(1, &[0]), assign(0, &[0])]);
    let results = create(&client, vec![assigned]).await;
    assert_eq!(
        (code(&results[0]), results[0].num_partitions),
        (ErrorCode::None, 2)
    );
}

#[tokio::test]
async fn a_topic_that_is_created_again_is_another_topic() {
    let (_server, client) = broker_with_topic("t", 1).await;
    let first = topic_id(&client, "t").await;
    client.produce("t", 0, batch(&["old"]), -1).await.unwrap();
    let delete = DeleteTopicsRequest::default()
        .with_timeout_ms(10_000)
        .with_topic_names(vec![topic("t")]);
    assert_eq!(
        client.send_up_to(5, &delete).await.unwrap().responses[0].error_code,
        0
    );
    client.create_topic("t", 1, 1).await.unwrap();
    assert_ne!(topic_id(&client, "t").await, first);
    assert_eq!(client.produce("t", 0, batch(&["new"]), -1).await.unwrap(), 0);
    let from = kafscale_wire::client::FetchFrom {
        topic: "t",
        partition: 0,
        offset: 0,
        max_wait: std::time::Duration::from_secs(5),
        min_bytes: 1,
        max_bytes: 1 << 20,
    };
    assert_eq!(
        records(&client.fetch(&from).await.unwrap().records),
        [(0, "new".to_owned())]
    );
}

#[tokio::test]
async fn partitions_grow_as_assigned_or_not_at_all() {
    let (server, client) = broker_with_topic("t", 2).await;
    let grow = async |count, brokers: Option<&[i32]>| {
        let assignments = brokers.map(|brokers| {
            let one = |id: &i32| CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(*id)]);
            brokers.iter().map(one).collect()
        });
        let asked = CreatePartitionsTopic::default()
            .with_name(topic("t"))
            .with_count(count)
            .with_assignments(assignments);
        let request = CreatePartitionsRequest::default()
            .with_timeout_ms(10_000)
            .with_topics(vec![asked]);
        let result = client.send(&request).await.unwrap().results.remove(0);
        ErrorCode::from_code(result.error_code).unwrap()
    };
    assert_eq!(grow(2, None).await, ErrorCode::InvalidPartitions);
    assert_eq!(grow(-1, None).await, ErrorCode::InvalidPartitions);
    assert_eq!(grow(4, Some(&[0])).await, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(grow(4, Some(&[0, 3])).await, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(server.engine().topic("t").unwrap().partitions, 2);
    assert_eq!(grow(4, Some(&[0, 0])).await, ErrorCode::None);
    assert_eq!(server.engine().topic("t").unwrap().partitions, 4);
}

#[tokio::test]
async fn without_admin_apis_nobody_changes_topics() {
    let server = broker_with(|config| config.topics.allow_admin = false).await;
    let client = client(&server).await;
    let denied = ErrorCode::ClusterAuthorizationFailed;
    let results = create(&client, vec![new("t")]).await;
    assert_eq!(code(&results[0]), denied);
    assert_eq!(results[0].error_message.as_deref(), Some("admin APIs disabled"));
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
    assert_eq!(
        client.send_up_to(5, &delete).await.unwrap().responses[0].error_code,
        denied.code()
    );
    let grow = CreatePartitionsTopic::default()
        .with_name(topic("t"))
        .with_count(4);
    let grow = CreatePartitionsRequest::default().with_topics(vec![grow]);
    assert_eq!(
        client.send(&grow).await.unwrap().results[0].error_code,
        denied.code()
    );
    assert!(server.engine().topics().is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_told_that_the_outcome_is_open() {
    let server = broker().await;
    let client = client(&server).await;
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(0)
        .with_topics(vec![new("t")]);
    let result = client.send(&request).await.unwrap().topics.remove(0);
    assert!(matches!(
        code(&result),
        ErrorCode::RequestTimedOut | ErrorCode::None
    ));
    // The change goes on.
    while server.engine().topic("t").is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
