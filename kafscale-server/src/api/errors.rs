//! What the engine's error kinds are called on Kafka's wire: the only file that maps one to the other.

use kafka_protocol::protocol::StrBytes;
use kafscale_core::{Error, ErrorKind};
use kafscale_wire::ErrorCode;

use crate::group::GroupError;

/// What the client wanted; the same trouble has different names for different requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To write or read records, or to know offsets.
    Records,
    /// To create, change or delete topics, or to get a producer id.
    Admin,
    /// To work with a consumer group or its offsets.
    Group,
}

/// Kafka's error for an engine's error.
pub(crate) fn error_code(error: &Error, asked: Asked) -> ErrorCode {
    match (error.kind(), asked) {
        (ErrorKind::Invalid, _) => ErrorCode::InvalidRequest,
        (ErrorKind::CorruptBatch, _) => ErrorCode::CorruptMessage,
        (ErrorKind::UnsupportedFormat, _) => ErrorCode::UnsupportedForMessageFormat,
        (ErrorKind::InvalidRecord, _) => ErrorCode::InvalidRecord,
        (ErrorKind::InvalidTimestamp, _) => ErrorCode::InvalidTimestamp,
        (ErrorKind::TooLarge, _) => ErrorCode::MessageTooLarge,
        (ErrorKind::OutOfOrderSequence, _) => ErrorCode::OutOfOrderSequenceNumber,
        (ErrorKind::DuplicateSequence, _) => ErrorCode::DuplicateSequenceNumber,
        (ErrorKind::InvalidProducerEpoch, _) => ErrorCode::InvalidProducerEpoch,
        (ErrorKind::OffsetOutOfRange, _) => ErrorCode::OffsetOutOfRange,
        (ErrorKind::NotFound, _) => ErrorCode::UnknownTopicOrPartition,
        (ErrorKind::AlreadyExists, _) => ErrorCode::TopicAlreadyExists,
        (ErrorKind::InvalidTopic, _) => ErrorCode::InvalidTopicException,
        (ErrorKind::InvalidPartitions, _) => ErrorCode::InvalidPartitions,
        (ErrorKind::InvalidConfig, _) => ErrorCode::InvalidConfig,
        // Another broker serves now, or soon: clients look for it and try again.
        (ErrorKind::Fenced | ErrorKind::Closed, Asked::Records) => ErrorCode::NotLeaderOrFollower,
        (ErrorKind::Fenced | ErrorKind::Closed, Asked::Admin) => ErrorCode::NotController,
        (ErrorKind::Fenced | ErrorKind::Closed, Asked::Group) => ErrorCode::NotCoordinator,
        (ErrorKind::Unavailable, Asked::Records) => ErrorCode::KafkaStorageError,
        (ErrorKind::Unavailable, Asked::Admin | Asked::Group) => ErrorCode::RequestTimedOut,
        (ErrorKind::Timeout, _) => ErrorCode::RequestTimedOut,
        (ErrorKind::Corrupt, Asked::Records) => ErrorCode::KafkaStorageError,
        _ => ErrorCode::UnknownServerError,
    }
}

/// Kafka's error for a group's refusal.
pub(crate) fn group_error(error: GroupError) -> ErrorCode {
    match error {
        GroupError::UnknownMemberId => ErrorCode::UnknownMemberId,
        GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        GroupError::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
        GroupError::FencedInstanceId => ErrorCode::FencedInstanceId,
        GroupError::MemberIdRequired => ErrorCode::MemberIdRequired,
        GroupError::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
        GroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        GroupError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
        GroupError::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
        GroupError::NotCoordinator => ErrorCode::NotCoordinator,
    }
}

/// Why something was not done: Kafka's error, with words where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Kafka's error.
    pub(crate) error: ErrorCode,
    /// What happened.
    pub(crate) message: Option<String>,
}

impl Refusal {
    /// An error with words.
    pub(crate) fn new(error: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal {
            error,
            message: Some(message.into()),
        }
    }

    /// An engine's error, with its words.
    pub(crate) fn from_engine(error: &Error, asked: Asked) -> Refusal {
        Refusal::new(error_code(error, asked), error.message())
    }

    /// The words as the codec wants them.
    pub(crate) fn words(self) -> Option<StrBytes> {
        self.message.map(StrBytes::from_string)
    }
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Refusal {
        Refusal { error, message: None }
    }
}

#[cfg(test)]
mod tests;
