//! What an operator may set about groups.

use std::time::Duration;

use crate::config::GroupSettings;

/// Settings of the group coordinator; the defaults are Apache Kafka's where it has the setting.
#[derive(Clone, Debug)]
pub(crate) struct CoordinatorSettings {
    /// How long an empty group waits for more members before its first generation, again and again while new members
    /// come, up to their rebalance timeout (KIP-134). `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay: Duration,
    /// Shortest session timeout that a member may ask for. `group.min.session.timeout.ms`.
    pub(crate) min_session_timeout: Duration,
    /// Longest session timeout that a member may ask for. `group.max.session.timeout.ms`.
    pub(crate) max_session_timeout: Duration,
    /// Members that one group may have. `group.max.size`.
    pub(crate) max_members: usize,
    /// Groups with members, or with recent ones, that this broker keeps in memory.
    pub(crate) max_groups: usize,
    /// Memory for all members of all groups (ids, protocol metadata, assignments), in bytes.
    pub(crate) max_bytes: usize,
    /// How long a member that joined without knowing its id may wait for its first generation. It cannot send
    /// heartbeats, so nothing else would remove it when its client is gone. Kafka has the same five minutes.
    pub(crate) new_member_timeout: Duration,
    /// How long a group that has lost its last member stays in memory. Its committed offsets are not touched.
    pub(crate) empty_group_retention: Duration,
}

impl Default for CoordinatorSettings {
    fn default() -> CoordinatorSettings {
        CoordinatorSettings {
            initial_rebalance_delay: Duration::from_secs(3),
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            max_members: 1_000,
            max_groups: 100_000,
            max_bytes: 256 << 20,
            new_member_timeout: Duration::from_secs(5 * 60),
            empty_group_retention: Duration::from_secs(10 * 60),
        }
    }
}

/// What an operator has set; the rest as by default.
impl From<&GroupSettings> for CoordinatorSettings {
    fn from(set: &GroupSettings) -> CoordinatorSettings {
        CoordinatorSettings {
            initial_rebalance_delay: set.initial_rebalance_delay,
            min_session_timeout: set.min_session_timeout,
            max_session_timeout: set.max_session_timeout,
            max_members: set.max_size,
            ..CoordinatorSettings::default()
        }
    }
}
