//! What administrators see of a group.

use std::sync::Arc;

use bytes::Bytes;

use super::state::{Group, GroupState};
use super::subscription::CONSUMER;

/// A group with its members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DescribedGroup {
    /// Where it is.
    pub(crate) state: GroupState,
    /// Such as `consumer`; empty when it never had members.
    pub(crate) protocol_type: Arc<str>,
    /// The chosen protocol; empty unless the group is stable.
    pub(crate) protocol_name: Arc<str>,
    /// The members.
    pub(crate) members: Vec<DescribedMember>,
}

/// A member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DescribedMember {
    /// Its id.
    pub(crate) member_id: Arc<str>,
    /// The instance id of a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    /// How the client calls itself.
    pub(crate) client_id: Arc<str>,
    /// Where the client is.
    pub(crate) client_host: Arc<str>,
    /// What it sent for the chosen protocol; empty unless the group is stable.
    pub(crate) metadata: Bytes,
    /// What it was assigned.
    pub(crate) assignment: Bytes,
}

/// A group in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ListedGroup {
    /// Its id.
    pub(crate) group_id: Arc<str>,
    /// Where it is.
    pub(crate) state: GroupState,
    /// Such as `consumer`; empty when it never had members.
    pub(crate) protocol_type: Arc<str>,
    /// How many members it has.
    pub(crate) members: usize,
}

impl Group {
    /// The group with its members.
    pub(super) fn describe(&self) -> DescribedGroup {
        let chosen = match self.state {
            GroupState::Stable => self.protocol_name.clone(),
            _ => None,
        };
        let members = self.members.values().map(|m| DescribedMember {
            member_id: Arc::clone(&m.id),
            instance_id: m.instance_id.clone(),
            client_id: Arc::clone(&m.client_id),
            client_host: Arc::clone(&m.client_host),
            metadata: chosen
                .as_deref()
                .and_then(|name| m.metadata(name))
                .cloned()
                .unwrap_or_default(),
            assignment: m.assignment.clone(),
        });
        DescribedGroup {
            state: self.state,
            members: members.collect(),
            protocol_type: self.shown_protocol_type(),
            protocol_name: chosen.unwrap_or_else(|| Arc::from("")),
        }
    }

    /// Such as `consumer`; empty when the group never had members.
    pub(super) fn shown_protocol_type(&self) -> Arc<str> {
        self.protocol_type.clone().unwrap_or_else(|| Arc::from(""))
    }

    /// Whether its members are consumers, so that their subscription can be read.
    pub(super) fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }
}
