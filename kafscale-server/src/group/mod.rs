//! Consumer groups as Kafka's classic protocol has them: KIP-62 (join, sync, heartbeat), KIP-134 (initial delay),
//! KIP-345 (static members), KIP-394 (member ids before the first join), KIP-559 (protocol named in sync), KIP-814
//! (skipped assignment).
//!
//! [`state`] and the files of its transitions ([`join`], [`rebalance`], [`sync`], [`session`]) are a pure state machine:
//! no I/O and no clock, `now` is an argument, and whoever waits is told through [`Effects`]. [`GroupCoordinator`] drives
//! many of them: it holds the reply channels and one timer task.

mod coordinator;
mod effects;
mod error;
mod join;
mod member;
mod rebalance;
mod session;
mod settings;
mod state;
mod subscription;
mod sync;
mod timers;
mod view;

pub(crate) use coordinator::{Answer, GroupCoordinator};
#[cfg(test)]
pub(crate) use effects::{JoinRefused, JoinedMember, Synced};
pub(crate) use effects::{JoinReply, Joined, SyncReply};
pub(crate) use error::GroupError;
pub(crate) use join::JoinRequest;
pub(crate) use member::Protocol;
pub(crate) use session::{Leaving, MemberClaim};
pub(crate) use settings::CoordinatorSettings;
pub(crate) use state::GroupState;
pub(crate) use sync::SyncRequest;
pub(crate) use view::{DescribedGroup, ListedGroup};

#[cfg(test)]
mod tests;
