//! Tables of the requests that write and read records and their offsets.

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

use super::schema::{
    Schema, Shape, Tag, bytes, inline, int8, int16, int32, int32s, int64, request, shape, string, structs,
    tagged_structs, uuid,
};

pub(super) const SCHEMAS: &[Schema] = &[
    PRODUCE,
    FETCH,
    LIST_OFFSETS,
    OFFSET_FOR_LEADER_EPOCH,
    INIT_PRODUCER_ID,
];

const PRODUCE: Schema = request(
    ApiKey::Produce,
    9,
    &[
        string("transactional_id").nullable(),
        int16("acks"),
        int32("timeout_ms"),
        structs::<TopicProduceData>(
            "topic_data",
            &[
                string("name").until(12),
                uuid("topic_id").since(13),
                structs::<PartitionProduceData>(
                    "partition_data",
                    &[int32("index"), bytes("records").nullable()],
                ),
            ],
        ),
    ],
);

const FETCH: Schema = Schema {
    key: ApiKey::Fetch,
    flexible: 12,
    body: Shape {
        fields: &[
            int32("replica_id").until(14),
            int32("max_wait_ms"),
            int32("min_bytes"),
            int32("max_bytes"),
            int8("isolation_level"),
            int32("session_id").since(7),
            int32("session_epoch").since(7),
            structs::<FetchTopic>(
                "topics",
                &[
                    string("topic").until(12),
                    uuid("topic_id").since(13),
                    tagged_structs::<FetchPartition>("partitions", FETCH_PARTITION),
                ],
            ),
            structs::<ForgottenTopic>(
                "forgotten_topics_data",
                &[
                    string("topic").until(12),
                    uuid("topic_id").since(13),
                    int32s("partitions"),
                ],
            )
            .since(7),
            string("rack_id").since(11),
        ],
        tags: &[
            Tag {
                number: 0,
                field: string("cluster_id").nullable(),
            },
            Tag {
                number: 1,
                field: inline(
                    "replica_state",
                    shape(&[int32("replica_id"), int64("replica_epoch")]),
                )
                .since(15),
            },
        ],
    },
};

const FETCH_PARTITION: Shape = Shape {
    fields: &[
        int32("partition"),
        int32("current_leader_epoch").since(9),
        int64("fetch_offset"),
        int32("last_fetched_epoch").since(12),
        int64("log_start_offset").since(5),
        int32("partition_max_bytes"),
    ],
    tags: &[
        Tag {
            number: 0,
            field: uuid("replica_directory_id").since(17),
        },
        Tag {
            number: 1,
            field: int64("high_watermark").since(18),
        },
    ],
};

const LIST_OFFSETS: Schema = request(
    ApiKey::ListOffsets,
    6,
    &[
        int32("replica_id"),
        int8("isolation_level").since(2),
        structs::<ListOffsetsTopic>(
            "topics",
            &[
                string("name"),
                structs::<ListOffsetsPartition>(
                    "partitions",
                    &[
                        int32("partition_index"),
                        int32("current_leader_epoch").since(4),
                        int64("timestamp"),
                    ],
                ),
            ],
        ),
        int32("timeout_ms").since(10),
    ],
);

const OFFSET_FOR_LEADER_EPOCH: Schema = request(
    ApiKey::OffsetForLeaderEpoch,
    4,
    &[
        int32("replica_id").since(3),
        structs::<OffsetForLeaderTopic>(
            "topics",
            &[
                string("topic"),
                structs::<OffsetForLeaderPartition>(
                    "partitions",
                    &[
                        int32("partition"),
                        int32("current_leader_epoch"),
                        int32("leader_epoch"),
                    ],
                ),
            ],
        ),
    ],
);

const INIT_PRODUCER_ID: Schema = request(
    ApiKey::InitProducerId,
    2,
    &[
        string("transactional_id").nullable(),
        int32("transaction_timeout_ms"),
        int64("producer_id").since(3),
        int16("producer_epoch").since(3),
    ],
);
