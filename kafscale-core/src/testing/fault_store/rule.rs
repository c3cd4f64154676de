//! What can go wrong with a call, and for which calls it does.

use std::time::Duration;

use object_store::Error as StoreError;

use crate::random::Random;
use crate::store::Operation;

/// How an answer that is an error looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// 503 SlowDown.
    Throttled,
    /// 500 InternalError.
    Internal,
    /// A connection that broke.
    Broken,
    /// 409: another write of the key is under way. The store's client reports it as "already exists".
    Conflict,
    /// 403: access denied.
    Denied,
    /// 404: there is no such object.
    NotFound,
}

impl FaultError {
    pub(super) fn error(self, key: &str) -> StoreError {
        let status = |status: &str| -> Box<dyn std::error::Error + Send + Sync> {
            format!("Server returned non-2xx status code: {status}").into()
        };
        let path = key.to_owned();
        match self {
            FaultError::Throttled => StoreError::Generic {
                store: "fault",
                source: status("503 Service Unavailable: <Code>SlowDown</Code>"),
            },
            FaultError::Internal => StoreError::Generic {
                store: "fault",
                source: status("500 Internal Server Error: <Code>InternalError</Code>"),
            },
            FaultError::Broken => {
                let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                StoreError::Generic {
                    store: "fault",
                    source: Box::new(broken),
                }
            }
            FaultError::Conflict => StoreError::AlreadyExists {
                path,
                source: status("409 Conflict: <Code>ConditionalRequestConflict</Code>"),
            },
            FaultError::Denied => StoreError::PermissionDenied {
                path,
                source: status("403 Forbidden: <Code>AccessDenied</Code>"),
            },
            FaultError::NotFound => StoreError::NotFound {
                path,
                source: status("404 Not Found: <Code>NoSuchKey</Code>"),
            },
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call reaches the store after a time between the two.
    Delay(Duration, Duration),
    /// The answer takes a time between the two to come back; the call has taken effect before.
    DelayAnswer(Duration, Duration),
    /// The call never reaches the store.
    FailBefore(FaultError),
    /// The call takes effect, its answer is lost.
    FailAfter(FaultError),
    /// A write is answered with an error now and takes effect later.
    ApplyLater(Duration, FaultError),
    /// The call never reaches the store and is never answered.
    Hang,
    /// The call takes effect and is never answered.
    HangAfter,
    /// The body of a GET ends after so many bytes, although more were promised.
    Truncate(u64),
    /// A listing leaves out so many of its last keys.
    HideLast(usize),
    /// A create replaces what is there, as a store does that does not know conditional writes.
    IgnoreCondition,
}

/// Which calls a fault happens to.
#[derive(Clone, Debug)]
pub struct FaultRule {
    pub(super) fault: Fault,
    operation: Option<Operation>,
    key_contains: String,
    skip: u64,
    times: u64,
    chance: f64,
}

impl FaultRule {
    /// `fault` for every call.
    pub fn new(fault: Fault) -> FaultRule {
        FaultRule {
            fault,
            operation: None,
            key_contains: String::new(),
            skip: 0,
            times: u64::MAX,
            chance: 1.0,
        }
    }

    /// Only for calls of `operation`.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> FaultRule {
        self.operation = Some(operation);
        self
    }

    /// Only for calls whose key (for a listing, prefix) contains `part`.
    #[must_use]
    pub fn key(mut self, part: impl Into<String>) -> FaultRule {
        self.key_contains = part.into();
        self
    }

    /// Lets the first `count` calls pass that the rule is for.
    #[must_use]
    pub fn skip(mut self, count: u64) -> FaultRule {
        self.skip = count;
        self
    }

    /// Happens to at most `count` calls.
    #[must_use]
    pub fn times(mut self, count: u64) -> FaultRule {
        self.times = count;
        self
    }

    /// Happens to a call with this probability.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> FaultRule {
        self.chance = probability;
        self
    }

    /// Whether the fault happens to this call; counts it.
    pub(super) fn strikes(&mut self, operation: Operation, key: &str, random: &Random) -> bool {
        if self.operation.is_some_and(|only| only != operation) || !key.contains(&self.key_contains) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.times == 0 {
            return false;
        }
        // 53 bits make a double between 0 and 1.
        let draw = (random.u64() >> 11) as f64 / (1u64 << 53) as f64;
        if draw >= self.chance {
            return false;
        }
        self.times -= 1;
        true
    }
}
