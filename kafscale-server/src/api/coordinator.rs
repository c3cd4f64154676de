//! FindCoordinator: which broker coordinates a group.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use kafscale_wire::ErrorCode;

use super::{Reply, RequestContext};

/// Coordinators of groups, in Kafka's `CoordinatorType`.
const GROUP: i8 = 0;
/// Coordinators of transactions.
const TRANSACTION: i8 = 1;

/// FindCoordinator. This broker coordinates every group. There are no transactions yet: a producer that asks for their
/// coordinator is told so at once. (An error that says "try again" would make it wait for its whole timeout first.)
pub(crate) fn find_coordinator(context: &RequestContext, request: FindCoordinatorRequest) -> Reply {
    let refused = match request.key_type {
        GROUP => None,
        TRANSACTION => Some("this broker has no transactions"),
        _ => Some("this broker coordinates consumer groups only"),
    };
    if context.api_version >= 4 {
        let coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| one(context, key, refused));
        return Reply::ready(FindCoordinatorResponse::default().with_coordinators(coordinators.collect()));
    }
    let found = one(context, request.key, refused);
    let mut response = FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port);
    if context.api_version >= 1 {
        response.error_message = found.error_message;
    }
    Reply::ready(response)
}

fn one(context: &RequestContext, key: StrBytes, refused: Option<&'static str>) -> Coordinator {
    let coordinator = Coordinator::default().with_key(key);
    match refused {
        None => coordinator
            .with_error_message(None)
            .with_node_id(BrokerId(context.broker.identity.node_id))
            .with_host(context.broker.identity.host.clone())
            .with_port(i32::from(context.broker.identity.port)),
        Some(why) => coordinator
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_error_message(Some(StrBytes::from_static_str(why)))
            .with_node_id(BrokerId(-1))
            .with_port(-1),
    }
}
