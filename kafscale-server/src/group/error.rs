//! Why a group refuses what a member asked for. `api::errors` gives each its Kafka number.

/// Why a group refuses what a member asked for; the names are Kafka's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum GroupError {
    /// The member, or the whole group, is not known here: the client starts over without a member id.
    UnknownMemberId,
    /// The generation is not the group's current one.
    IllegalGeneration,
    /// The group is between two generations: the client joins again.
    RebalanceInProgress,
    /// The member shares no protocol with the rest of the group, or names another one than the group has chosen.
    InconsistentGroupProtocol,
    /// The session timeout is outside the broker's bounds.
    InvalidSessionTimeout,
    /// The group id is empty.
    InvalidGroupId,
    /// A newer client with the same instance id has taken the member's place.
    FencedInstanceId,
    /// The member has to join again with the id that it was given (KIP-394).
    MemberIdRequired,
    /// The group has as many members as it may have.
    GroupMaxSizeReached,
    /// The group still has members.
    NonEmptyGroup,
    /// There is no such group.
    GroupIdNotFound,
    /// The broker cannot take this group now; the client looks for the coordinator again.
    CoordinatorNotAvailable,
    /// The broker is closing.
    NotCoordinator,
}
