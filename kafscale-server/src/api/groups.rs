//! The member's side of the classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use kafscale_wire::ErrorCode;

use super::errors::group_error;
use super::{Reply, RequestContext, Response};
use crate::group::{
    Answer, GroupError, JoinReply, JoinRequest, Joined, Leaving, MemberClaim, Protocol, SyncReply,
    SyncRequest,
};

/// Text of the groups as the codec wants it.
pub(super) fn text(text: &Arc<str>) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

/// Text that outlives the request's frame: a slice of the frame would keep all of it in memory.
fn owned(text: &StrBytes) -> Arc<str> {
    Arc::from(&**text)
}

fn owned_option(text: Option<&StrBytes>) -> Option<Arc<str>> {
    text.map(owned)
}

/// Bytes that outlive the request's frame.
fn owned_bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn millis(count: i32) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

/// Turns a coordinator's answer into the connection's.
fn reply<T, R>(answer: Answer<T>, respond: impl FnOnce(T) -> R + Send + 'static) -> Reply
where
    T: Send + 'static,
    R: Response,
{
    match answer {
        Answer::Now(outcome) => Reply::ready(respond(outcome)),
        Answer::Later(outcome) => Reply::later(async move { respond(outcome.await) }),
    }
}

/// JoinGroup: the answer comes when the generation is made.
pub(crate) fn join_group(context: &RequestContext, request: &JoinGroupRequest) -> Reply {
    let version = context.api_version;
    let groups = &context.broker.groups;
    let instance_id = owned_option(request.group_instance_id.as_ref());
    let rebalance_timeout_ms = match version {
        // Version 0 has one timeout for both.
        0 => request.session_timeout_ms,
        _ => request.rebalance_timeout_ms,
    };
    let join = JoinRequest {
        member_id: owned(&request.member_id),
        new_member_id: groups.new_member_id(instance_id.as_deref().unwrap_or(context.client_name())),
        instance_id,
        client_id: Arc::from(context.client_name()),
        client_host: Arc::from(format!("/{}", context.peer.ip())),
        rebalance_timeout: millis(rebalance_timeout_ms),
        session_timeout: millis(request.session_timeout_ms),
        protocol_type: owned(&request.protocol_type),
        protocols: protocols(&request.protocols),
        requires_member_id: version >= 4,
        can_skip_assignment: version >= 9,
    };
    reply(groups.join(&request.group_id, join), move |outcome| {
        join_response(outcome, version)
    })
}

/// The protocols, each name once.
fn protocols(list: &[JoinGroupRequestProtocol]) -> Vec<Protocol> {
    let mut seen = HashSet::new();
    list.iter()
        .filter(|p| seen.insert(&*p.name))
        .map(|p| Protocol {
            name: owned(&p.name),
            metadata: owned_bytes(&p.metadata),
        })
        .collect()
}

fn join_response(outcome: JoinReply, version: i16) -> JoinGroupResponse {
    // The name may be null since version 7.
    let no_name = (version < 7).then(StrBytes::default);
    match outcome {
        Ok(joined) => joined_response(joined, version, no_name),
        Err(refused) => JoinGroupResponse::default()
            .with_error_code(group_error(refused.error).code())
            .with_generation_id(-1)
            .with_protocol_name(no_name)
            .with_member_id(text(&refused.member_id)),
    }
}

fn joined_response(joined: Joined, version: i16, no_name: Option<StrBytes>) -> JoinGroupResponse {
    let members = joined.members.iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(member.instance_id.as_ref().filter(|_| version >= 5).map(text))
            .with_metadata(member.metadata.clone())
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.as_ref().filter(|_| version >= 7).map(text))
        .with_protocol_name(joined.protocol_name.as_ref().map(text).or(no_name))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member_id))
        .with_members(members.collect())
}

/// SyncGroup: the answer comes when the leader has assigned.
pub(crate) fn sync_group(context: &RequestContext, request: &SyncGroupRequest) -> Reply {
    let version = context.api_version;
    if version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        let refused = Err(GroupError::InconsistentGroupProtocol);
        return Reply::ready(sync_response(refused, version));
    }
    let assignments: HashMap<Arc<str>, Bytes> = request
        .assignments
        .iter()
        .map(|a| (owned(&a.member_id), owned_bytes(&a.assignment)))
        .collect();
    let sync = SyncRequest {
        member_id: owned(&request.member_id),
        instance_id: owned_option(request.group_instance_id.as_ref()),
        generation: request.generation_id,
        protocol_type: owned_option(request.protocol_type.as_ref()),
        protocol_name: owned_option(request.protocol_name.as_ref()),
        assignments,
    };
    reply(
        context.broker.groups.sync(&request.group_id, sync),
        move |outcome| sync_response(outcome, version),
    )
}

fn sync_response(outcome: SyncReply, version: i16) -> SyncGroupResponse {
    match outcome {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(synced.protocol_type.as_ref().filter(|_| version >= 5).map(text))
            .with_protocol_name(synced.protocol_name.as_ref().filter(|_| version >= 5).map(text))
            .with_assignment(synced.assignment),
        Err(error) => SyncGroupResponse::default().with_error_code(group_error(error).code()),
    }
}

/// Heartbeat.
pub(crate) fn heartbeat(context: &RequestContext, request: &HeartbeatRequest) -> Reply {
    let claim = MemberClaim {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    let outcome = context.broker.groups.heartbeat(&request.group_id, claim);
    Reply::ready(HeartbeatResponse::default().with_error_code(code(outcome)))
}

/// LeaveGroup: one member up to version 2, any number since.
pub(crate) fn leave_group(context: &RequestContext, request: &LeaveGroupRequest) -> Reply {
    let leaving: Vec<Leaving> = match context.api_version {
        ..=2 => vec![Leaving {
            member_id: owned(&request.member_id),
            instance_id: None,
        }],
        _ => request
            .members
            .iter()
            .map(|member| Leaving {
                member_id: owned(&member.member_id),
                instance_id: owned_option(member.group_instance_id.as_ref()),
            })
            .collect(),
    };
    let outcomes = match context.broker.groups.leave(&request.group_id, &leaving) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let refused = LeaveGroupResponse::default().with_error_code(group_error(error).code());
            return Reply::ready(refused);
        }
    };
    if context.api_version <= 2 {
        let outcome = outcomes.into_iter().next().unwrap_or(Ok(()));
        return Reply::ready(LeaveGroupResponse::default().with_error_code(code(outcome)));
    }
    let members = leaving.iter().zip(outcomes).map(|(who, outcome)| {
        MemberResponse::default()
            .with_member_id(text(&who.member_id))
            .with_group_instance_id(who.instance_id.as_ref().map(text))
            .with_error_code(code(outcome))
    });
    Reply::ready(LeaveGroupResponse::default().with_members(members.collect()))
}

fn code(outcome: Result<(), GroupError>) -> i16 {
    outcome.map_or_else(group_error, |()| ErrorCode::None).code()
}

#[cfg(test)]
mod tests;
