//! The public error: what happened, and what the caller can do next.

use std::error::Error as StdError;
use std::fmt;

/// What a caller can do about an [`Error`]. Kafka's error numbers are not here: the server maps kinds to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request makes no sense; sending it again will fail again.
    Invalid,
    /// A record batch is damaged: checksum, length or layout.
    CorruptBatch,
    /// A record batch has a message format before v2, or a codec that does not exist.
    UnsupportedFormat,
    /// A record batch is well formed but its content is refused: counts, timestamps, control records.
    InvalidRecord,
    /// A record's timestamp is outside what the topic allows.
    InvalidTimestamp,
    /// A record batch is larger than the topic's `max.message.bytes`.
    TooLarge,
    /// An idempotent producer left a gap in its sequence.
    OutOfOrderSequence,
    /// An idempotent producer repeats a sequence that is too old to be remembered.
    DuplicateSequence,
    /// An idempotent producer uses an epoch that a newer one has replaced.
    InvalidProducerEpoch,
    /// The offset is below the log start or above the log's end.
    OffsetOutOfRange,
    /// There is no such topic or partition.
    NotFound,
    /// A topic of this name exists.
    AlreadyExists,
    /// The name cannot be a topic's.
    InvalidTopic,
    /// The partition count is not possible.
    InvalidPartitions,
    /// A configuration key or value is not known.
    InvalidConfig,
    /// This engine has lost its session to a newer one: nothing more will be acknowledged. Open a new engine.
    Fenced,
    /// The store or the metadata cannot be reached now; the same request may succeed later.
    Unavailable,
    /// An answer did not come within its time; whether it took effect is not known.
    Timeout,
    /// A stored object is damaged or missing. The message names it.
    Corrupt,
    /// The engine is draining or closed.
    Closed,
    /// The store, the settings or another precondition does not allow the engine to start.
    Precondition,
}

/// An error of the engine.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with a message that says what, where and how to mend it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do next.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same kind and words for one more caller that waits for the same outcome. The cause stays in the words.
    #[must_use]
    pub fn duplicate(&self) -> Error {
        Error::new(self.kind, self.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}
