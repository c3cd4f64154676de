//! Tables of the requests of consumer groups and their committed offsets.

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;

use super::schema::{Schema, boolean, bytes, int8, int32, int32s, int64, request, string, strings, structs};

pub(super) const SCHEMAS: &[Schema] = &[
    OFFSET_COMMIT,
    OFFSET_FETCH,
    FIND_COORDINATOR,
    JOIN_GROUP,
    HEARTBEAT,
    LEAVE_GROUP,
    SYNC_GROUP,
    DESCRIBE_GROUPS,
    LIST_GROUPS,
    DELETE_GROUPS,
    OFFSET_DELETE,
];

const OFFSET_COMMIT: Schema = request(
    ApiKey::OffsetCommit,
    8,
    &[
        string("group_id"),
        int32("generation_id_or_member_epoch"),
        string("member_id"),
        string("group_instance_id").since(7).nullable(),
        int64("retention_time_ms").until(4),
        structs::<OffsetCommitRequestTopic>(
            "topics",
            &[
                string("name"),
                structs::<OffsetCommitRequestPartition>(
                    "partitions",
                    &[
                        int32("partition_index"),
                        int64("committed_offset"),
                        int32("committed_leader_epoch").since(6),
                        string("committed_metadata").nullable(),
                    ],
                ),
            ],
        ),
    ],
);

const OFFSET_FETCH: Schema = request(
    ApiKey::OffsetFetch,
    6,
    &[
        string("group_id").until(7),
        structs::<OffsetFetchRequestTopic>("topics", &[string("name"), int32s("partition_indexes")])
            .until(7)
            .nullable_since(2),
        structs::<OffsetFetchRequestGroup>(
            "groups",
            &[
                string("group_id"),
                string("member_id").since(9).nullable(),
                int32("member_epoch").since(9),
                structs::<OffsetFetchRequestTopics>("topics", &[string("name"), int32s("partition_indexes")])
                    .nullable(),
            ],
        )
        .since(8),
        boolean("require_stable").since(7),
    ],
);

const FIND_COORDINATOR: Schema = request(
    ApiKey::FindCoordinator,
    3,
    &[
        string("key").until(3),
        int8("key_type").since(1),
        strings("coordinator_keys").since(4),
    ],
);

const JOIN_GROUP: Schema = request(
    ApiKey::JoinGroup,
    6,
    &[
        string("group_id"),
        int32("session_timeout_ms"),
        int32("rebalance_timeout_ms").since(1),
        string("member_id"),
        string("group_instance_id").since(5).nullable(),
        string("protocol_type"),
        structs::<JoinGroupRequestProtocol>("protocols", &[string("name"), bytes("metadata")]),
        string("reason").since(8).nullable(),
    ],
);

const HEARTBEAT: Schema = request(
    ApiKey::Heartbeat,
    4,
    &[
        string("group_id"),
        int32("generation_id"),
        string("member_id"),
        string("group_instance_id").since(3).nullable(),
    ],
);

const LEAVE_GROUP: Schema = request(
    ApiKey::LeaveGroup,
    4,
    &[
        string("group_id"),
        string("member_id").until(2),
        structs::<MemberIdentity>(
            "members",
            &[
                string("member_id"),
                string("group_instance_id").nullable(),
                string("reason").since(5).nullable(),
            ],
        )
        .since(3),
    ],
);

const SYNC_GROUP: Schema = request(
    ApiKey::SyncGroup,
    4,
    &[
        string("group_id"),
        int32("generation_id"),
        string("member_id"),
        string("group_instance_id").since(3).nullable(),
        string("protocol_type").since(5).nullable(),
        string("protocol_name").since(5).nullable(),
        structs::<SyncGroupRequestAssignment>("assignments", &[string("member_id"), bytes("assignment")]),
    ],
);

const DESCRIBE_GROUPS: Schema = request(
    ApiKey::DescribeGroups,
    5,
    &[
        strings("groups"),
        boolean("include_authorized_operations").since(3),
    ],
);

const LIST_GROUPS: Schema = request(
    ApiKey::ListGroups,
    3,
    &[
        strings("states_filter").since(4),
        strings("types_filter").since(5),
    ],
);

const DELETE_GROUPS: Schema = request(ApiKey::DeleteGroups, 2, &[strings("groups_names")]);

const OFFSET_DELETE: Schema = request(
    ApiKey::OffsetDelete,
    i16::MAX,
    &[
        string("group_id"),
        structs::<OffsetDeleteRequestTopic>(
            "topics",
            &[
                string("name"),
                structs::<OffsetDeleteRequestPartition>("partitions", &[int32("partition_index")]),
            ],
        ),
    ],
);
