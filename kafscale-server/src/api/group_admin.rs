//! The administrator's side of groups: ListGroups, DescribeGroups, DeleteGroups.
//!
//! A group whose members this broker does not know, but which has committed offsets, is an empty group.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{
    DescribedGroup as GroupAnswer, DescribedGroupMember as MemberAnswer,
};
use kafka_protocol::messages::list_groups_response::ListedGroup as ListAnswer;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;
use kafscale_wire::ErrorCode;

use super::errors::{Asked, error_code, group_error};
use super::groups::text;
use super::{Reply, RequestContext};
use crate::broker::Broker;
use crate::group::{DescribedGroup, GroupError, GroupState, ListedGroup};

/// Kafka's name of groups of this protocol (KIP-848).
const CLASSIC: &str = "classic";

/// What an administrator may do with a group where nobody is refused anything: bits of Kafka's AclOperation numbers
/// READ (3), DELETE (6) and DESCRIBE (8).
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

/// ListGroups.
pub(crate) fn list_groups(context: &RequestContext, request: &ListGroupsRequest) -> Reply {
    let wanted = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(value))
    };
    let version = context.api_version;
    let groups = all_groups(&context.broker)
        .into_iter()
        .filter(|group| wanted(&request.states_filter, group.state.name()))
        .filter(|_| wanted(&request.types_filter, CLASSIC))
        .map(|group| {
            let mut answer = ListAnswer::default()
                .with_group_id(GroupId(text(&group.group_id)))
                .with_protocol_type(text(&group.protocol_type));
            if version >= 4 {
                answer.group_state = StrBytes::from_static_str(group.state.name());
            }
            if version >= 5 {
                answer.group_type = StrBytes::from_static_str(CLASSIC);
            }
            answer
        });
    Reply::ready(ListGroupsResponse::default().with_groups(groups.collect()))
}

/// Groups with members, and those of which there are only committed offsets; by id.
fn all_groups(broker: &Broker) -> Vec<ListedGroup> {
    let mut groups = broker.groups.list();
    let known: HashSet<Arc<str>> = groups.iter().map(|group| Arc::clone(&group.group_id)).collect();
    let only_offsets = broker
        .engine
        .groups_with_offsets()
        .into_iter()
        .filter(|id| !known.contains(&**id));
    groups.extend(only_offsets.map(|id| ListedGroup {
        group_id: Arc::from(id),
        state: GroupState::Empty,
        members: 0,
        protocol_type: Arc::from(""),
    }));
    groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    groups
}

/// DescribeGroups.
pub(crate) fn describe_groups(context: &RequestContext, request: &DescribeGroupsRequest) -> Reply {
    let version = context.api_version;
    let groups = request.groups.iter().map(|id| {
        let mut answer = describe(&context.broker, id, version).with_group_id(GroupId(id.0.clone()));
        if version >= 3
            && request.include_authorized_operations
            && answer.error_code == ErrorCode::None.code()
        {
            answer.authorized_operations = ALL_OPERATIONS;
        }
        answer
    });
    Reply::ready(DescribeGroupsResponse::default().with_groups(groups.collect()))
}

fn describe(broker: &Broker, id: &str, version: i16) -> GroupAnswer {
    if let Some(group) = broker.groups.describe(id) {
        return described(&group, version);
    }
    if has_offsets(broker, id) {
        return GroupAnswer::default().with_group_state(StrBytes::from_static_str(GroupState::Empty.name()));
    }
    let dead = GroupAnswer::default().with_group_state(StrBytes::from_static_str(GroupState::Dead.name()));
    // Older clients take a dead group for an answer, newer ones for an error (KIP-1043).
    if version >= 6 {
        dead.with_error_code(ErrorCode::GroupIdNotFound.code())
            .with_error_message(Some(StrBytes::from_string(format!("Group {id} not found."))))
    } else {
        dead
    }
}

fn described(group: &DescribedGroup, version: i16) -> GroupAnswer {
    let members = group.members.iter().map(|member| {
        MemberAnswer::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(member.instance_id.as_ref().filter(|_| version >= 4).map(text))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(member.metadata.clone())
            .with_member_assignment(member.assignment.clone())
    });
    GroupAnswer::default()
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(text(&group.protocol_type))
        .with_protocol_data(text(&group.protocol_name))
        .with_members(members.collect())
}

/// Whether the group has committed offsets.
pub(super) fn has_offsets(broker: &Broker, group: &str) -> bool {
    !broker.engine.committed_offsets(group).is_empty()
}

/// DeleteGroups: groups without members, and all their committed offsets.
pub(crate) fn delete_groups(context: RequestContext, request: DeleteGroupsRequest) -> Reply {
    Reply::later(async move {
        let mut results = Vec::with_capacity(request.groups_names.len());
        for id in request.groups_names {
            let error = delete(&context.broker, &id).await;
            results.push(
                DeletableGroupResult::default()
                    .with_group_id(id)
                    .with_error_code(error.code()),
            );
        }
        DeleteGroupsResponse::default().with_results(results)
    })
}

async fn delete(broker: &Broker, id: &str) -> ErrorCode {
    match broker.groups.delete(id) {
        Ok(()) => {}
        Err(GroupError::GroupIdNotFound) if has_offsets(broker, id) => {}
        Err(error) => return group_error(error),
    }
    if !has_offsets(broker, id) {
        return ErrorCode::None;
    }
    match broker.engine.delete_offsets(id, None).await {
        Ok(()) => ErrorCode::None,
        Err(error) => error_code(&error, Asked::Group),
    }
}
