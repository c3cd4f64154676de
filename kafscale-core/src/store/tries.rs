//! Trying a call again that may be given up: reads, lists, deletes and overwrites.

use std::time::Duration;

use super::retry::{Backoff, Class, Failure};
use super::{Operation, Purpose, Store};
use crate::error::{Error, ErrorKind};
use crate::metrics::StoreLabels;

/// The tries of one call.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    store: &'a Store,
    labels: StoreLabels,
    backoff: Backoff,
    until: Duration,
}

impl Store {
    pub(crate) fn tries(&self, operation: Operation, purpose: Purpose) -> Tries<'_> {
        let longest = Duration::from_millis(self.0.settings.retry_for_ms);
        Tries {
            store: self,
            labels: StoreLabels { operation, purpose },
            backoff: self.backoff(),
            until: self.0.clock.elapsed() + longest,
        }
    }
}

impl Tries<'_> {
    /// Waits before the next try, or gives the failure back when another try does not help or the limits of the settings
    /// are reached.
    pub(crate) async fn pause_after(&mut self, failure: Failure) -> Result<(), Failure> {
        let inner = &*self.store.0;
        let hopeful = matches!(failure.class, Class::Throttled | Class::Transient | Class::Exists);
        if !hopeful || self.backoff.tries >= inner.settings.retry_attempts {
            return Err(failure);
        }
        let pause = self.backoff.next(failure.class, &inner.random);
        if inner.clock.elapsed() + pause >= self.until {
            return Err(failure);
        }
        tracing::debug!(labels = ?self.labels, error = %failure, ?pause, "a call to the store is tried again");
        inner.metrics.retried(self.labels);
        inner.clock.sleep(pause).await;
        Ok(())
    }
}

impl Failure {
    /// The error of a call that is not tried again.
    pub(crate) fn into_error(self, kind: ErrorKind, verb: &str, key: &str) -> Error {
        let message = match self.class {
            Class::Denied => {
                format!("the store refuses to {verb} {key:?}: check the bucket and its permissions")
            }
            Class::Unsupported => format!("the store cannot {verb} {key:?}"),
            _ => format!("the store did not {verb} {key:?}"),
        };
        Error::new(kind, message).with_source(self.to_string())
    }
}
