//! What a store's error means, and how long to wait before the next try.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::random::Random;
use crate::store::Operation;

/// What the outcome of a failed try means for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Something is there already, perhaps from an earlier try of ours. Also S3's 409, which says that another write of
    /// the key is under way: reading the key back tells them apart.
    Exists,
    /// The object is not there.
    NotFound,
    /// The range begins at or behind the object's end.
    OutOfRange,
    /// The store asks for less: 503 SlowDown, 429, KMS throttling. Whether the try took effect is not known.
    Throttled,
    /// A time-out, a broken connection, a 5xx. Whether the try took effect is not known.
    Transient,
    /// Access denied, no such bucket, a request that the store refuses: another try helps only once somebody has mended
    /// the cause.
    Denied,
    /// The call cannot work with this store and was not sent.
    Unsupported,
}

impl Class {
    /// Whether the store failed, for metrics and health.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Class::Throttled | Class::Transient | Class::Denied)
    }
}

/// A try that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) error: object_store::Error,
}

impl Failure {
    pub(crate) fn new(operation: Operation, error: object_store::Error) -> Failure {
        Failure {
            class: classify(operation, &error),
            error,
        }
    }
}

/// The longest account of a cause, in bytes: servers answer with whole pages.
const LONGEST_CAUSE: usize = 1000;

/// The store's error and its causes in one line. The client's errors repeat some causes in their own words and keep others,
/// such as "connection refused", to the end of the chain.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for cause in chain(&self.error) {
            let words = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.contains(&words) {
                text.push_str(if text.is_empty() { "" } else { ": " });
                text.push_str(&words);
            }
        }
        if text.len() > LONGEST_CAUSE {
            text.truncate(text.floor_char_boundary(LONGEST_CAUSE));
            text.push('…');
        }
        f.write_str(&text)
    }
}

/// Our own reasons to give up a try, in the shape of the store's errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TryError {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the body ended after {got} of {want} bytes")]
    ShortBody { got: u64, want: u64 },
}

impl From<TryError> for object_store::Error {
    fn from(error: TryError) -> Self {
        object_store::Error::Generic {
            store: "KafScale",
            source: Box::new(error),
        }
    }
}

/// Says what `error`, the answer to `operation`, means.
pub(crate) fn classify(operation: Operation, error: &object_store::Error) -> Class {
    use object_store::Error as E;
    match error {
        E::AlreadyExists { .. } | E::Precondition { .. } | E::NotModified { .. } => Class::Exists,
        // A 404 that names the bucket must never be taken for "no such object": an empty log would be the result.
        E::NotFound { .. } if mentions(error, "NoSuchBucket") => Class::Denied,
        E::NotFound { .. } => match operation {
            Operation::Get | Operation::Delete => Class::NotFound,
            Operation::Create | Operation::Put | Operation::List => Class::Denied,
        },
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            if mentions(error, "hrottl") {
                Class::Throttled
            } else {
                Class::Denied
            }
        }
        E::InvalidPath { .. }
        | E::NotSupported { .. }
        | E::NotImplemented { .. }
        | E::UnknownConfigurationKey { .. } => Class::Unsupported,
        _ => classify_other(operation, error),
    }
}

fn classify_other(operation: Operation, error: &object_store::Error) -> Class {
    if ["SlowDown", "hrottl", "TooManyRequests", "RequestLimitExceeded"]
        .iter()
        .any(|word| mentions(error, word))
    {
        return Class::Throttled;
    }
    match status_of(error) {
        Some(429 | 503) => Class::Throttled,
        Some(416) if operation == Operation::Get => Class::OutOfRange,
        Some(408 | 409 | 500 | 502..=599) | None => {
            if operation == Operation::Get && status_of(error).is_none() && is_beyond_end(error) {
                Class::OutOfRange
            } else {
                Class::Transient
            }
        }
        // S3 closes a connection that sends too slowly with a 400.
        Some(400) if mentions(error, "RequestTimeout") => Class::Transient,
        Some(_) => Class::Denied,
    }
}

/// The HTTP status of an error, which the store's client keeps to itself and only prints.
fn status_of(error: &object_store::Error) -> Option<u16> {
    const BEFORE: &str = "status code: ";
    chain(error).find_map(|cause| {
        let text = cause.to_string();
        let (_, after) = text.split_once(BEFORE)?;
        after.get(..3)?.parse().ok()
    })
}

/// The local and the memory store refuse a range behind the object's end in words only.
fn is_beyond_end(error: &object_store::Error) -> bool {
    mentions(error, "Wanted range starting at") && mentions(error, "but object was only")
}

fn mentions(error: &object_store::Error, word: &str) -> bool {
    chain(error).any(|cause| cause.to_string().contains(word))
}

fn chain(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |&cause| cause.source())
}

/// Pauses between tries: full jitter under a limit that doubles.
#[derive(Debug)]
pub(crate) struct Backoff {
    limit: Duration,
    cap: Duration,
    pub(crate) tries: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration) -> Backoff {
        Backoff {
            limit: base,
            cap,
            tries: 1,
        }
    }

    /// The next pause after a failure of `class`.
    pub(crate) fn next(&mut self, class: Class, random: &Random) -> Duration {
        let pause = match class {
            // Nothing is gained by asking often what only a person can mend; half of it is certain.
            Class::Denied => self.cap / 2 + random.jitter(self.cap / 2),
            _ => random.jitter(self.limit),
        };
        self.limit = (self.limit * 2).min(self.cap);
        self.tries = self.tries.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests;
