//! From a decoded request to the handler of its API.

use kafscale_wire::RequestBody;

use crate::api::{Reply, RequestContext, fetch, list_offsets, metadata, produce, versions};

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
        other => Reply::Close(format!("no handler for {:?}", other.api_key())),
    }
}
