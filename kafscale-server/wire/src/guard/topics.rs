//! Tables of the requests about the cluster and its topics.

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;

use super::schema::{Schema, boolean, int8, int16, int32, int32s, request, string, strings, structs, uuid};

pub(super) const SCHEMAS: &[Schema] = &[
    API_VERSIONS,
    METADATA,
    DESCRIBE_CLUSTER,
    CREATE_TOPICS,
    DELETE_TOPICS,
    CREATE_PARTITIONS,
];

const API_VERSIONS: Schema = request(
    ApiKey::ApiVersions,
    3,
    &[
        string("client_software_name").since(3),
        string("client_software_version").since(3),
    ],
);

const METADATA: Schema = request(
    ApiKey::Metadata,
    9,
    &[
        structs::<MetadataRequestTopic>(
            "topics",
            &[uuid("topic_id").since(10), string("name").nullable_since(10)],
        )
        .nullable_since(1),
        boolean("allow_auto_topic_creation").since(4),
        boolean("include_cluster_authorized_operations")
            .since(8)
            .until(10),
        boolean("include_topic_authorized_operations").since(8),
    ],
);

const DESCRIBE_CLUSTER: Schema = request(
    ApiKey::DescribeCluster,
    0,
    &[
        boolean("include_cluster_authorized_operations"),
        int8("endpoint_type").since(1),
        boolean("include_fenced_brokers").since(2),
    ],
);

const CREATE_TOPICS: Schema = request(
    ApiKey::CreateTopics,
    5,
    &[
        structs::<CreatableTopic>(
            "topics",
            &[
                string("name"),
                int32("num_partitions"),
                int16("replication_factor"),
                structs::<CreatableReplicaAssignment>(
                    "assignments",
                    &[int32("partition_index"), int32s("broker_ids")],
                ),
                structs::<CreatableTopicConfig>("configs", &[string("name"), string("value").nullable()]),
            ],
        ),
        int32("timeout_ms"),
        boolean("validate_only"),
    ],
);

const DELETE_TOPICS: Schema = request(
    ApiKey::DeleteTopics,
    4,
    &[
        structs::<DeleteTopicState>("topics", &[string("name").nullable(), uuid("topic_id")]).since(6),
        strings("topic_names").until(5),
        int32("timeout_ms"),
    ],
);

const CREATE_PARTITIONS: Schema = request(
    ApiKey::CreatePartitions,
    2,
    &[
        structs::<CreatePartitionsTopic>(
            "topics",
            &[
                string("name"),
                int32("count"),
                structs::<CreatePartitionsAssignment>("assignments", &[int32s("broker_ids")]).nullable(),
            ],
        ),
        int32("timeout_ms"),
        boolean("validate_only"),
    ],
);
