//! From a decoded request to the handler of its API.

use kafscale_wire::RequestBody;

use crate::api::{
    Reply, RequestContext, admin, configs, coordinator, fetch, group_admin, groups, list_offsets, metadata,
    offsets, produce, versions,
};

/// Runs the handler of the request's API.
pub(crate) async fn dispatch(context: RequestContext, request: RequestBody) -> Reply {
    match request {
        RequestBody::ApiVersions(request) => versions::api_versions(&context, &request),
        RequestBody::Metadata(request) => metadata::metadata(context, request),
        RequestBody::DescribeCluster(request) => metadata::describe_cluster(&context, &request),
        RequestBody::Produce(request) => produce::produce(context, request).await,
        RequestBody::InitProducerId(request) => produce::init_producer_id(context, request),
        RequestBody::Fetch(request) => fetch::fetch(context, request),
        RequestBody::ListOffsets(request) => list_offsets::list_offsets(context, request),
        RequestBody::OffsetForLeaderEpoch(request) => {
            list_offsets::offset_for_leader_epoch(&context, request)
        }
        RequestBody::FindCoordinator(request) => coordinator::find_coordinator(&context, request),
        RequestBody::JoinGroup(request) => groups::join_group(&context, &request),
        RequestBody::SyncGroup(request) => groups::sync_group(&context, &request),
        RequestBody::Heartbeat(request) => groups::heartbeat(&context, &request),
        RequestBody::LeaveGroup(request) => groups::leave_group(&context, &request),
        RequestBody::OffsetCommit(request) => offsets::offset_commit(&context, &request),
        RequestBody::OffsetFetch(request) => offsets::offset_fetch(&context, &request),
        RequestBody::OffsetDelete(request) => offsets::offset_delete(context, &request),
        RequestBody::ListGroups(request) => group_admin::list_groups(&context, &request),
        RequestBody::DescribeGroups(request) => group_admin::describe_groups(&context, &request),
        RequestBody::DeleteGroups(request) => group_admin::delete_groups(context, request),
        RequestBody::CreateTopics(request) => admin::create_topics(context, request),
        RequestBody::DeleteTopics(request) => admin::delete_topics(context, request),
        RequestBody::CreatePartitions(request) => admin::create_partitions(context, request),
        RequestBody::DescribeConfigs(request) => configs::describe_configs(&context, request),
        RequestBody::AlterConfigs(request) => configs::alter_configs(context, request),
        RequestBody::IncrementalAlterConfigs(request) => configs::incremental_alter_configs(context, request),
    }
}
