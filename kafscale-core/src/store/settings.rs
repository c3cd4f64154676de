//! What can be set about the store: plain data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::health::HealthSettings;

/// Settings of a [`Store`](super::Store). Durations are in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Calls at once. WAL and metadata writes have this many permits of their own, so that they never wait for reads;
    /// catch-up reads and deletes get at most half. `KAFSCALE_S3_CONCURRENCY`.
    pub concurrency: usize,
    /// How long one try may take before its bytes are counted.
    pub request_timeout_ms: u64,
    /// One try may take longer by its size divided by this: the slowest transfer that is not a broken connection.
    pub min_bytes_per_second: u64,
    /// No try takes longer than this, whatever its size.
    pub request_timeout_max_ms: u64,
    /// The first pause between two tries is random, up to this.
    pub backoff_base_ms: u64,
    /// The limit of the pause doubles with every try, up to this.
    pub backoff_cap_ms: u64,
    /// Reads, lists, deletes and overwrites are tried for at most this long.
    pub retry_for_ms: u64,
    /// Reads, lists, deletes and overwrites are tried at most this often.
    pub retry_attempts: u32,
    /// How often the store is asked while it is unavailable.
    pub probe_interval_ms: u64,
    /// When the store counts as degraded or unavailable.
    pub health: HealthSettings,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings {
            concurrency: 64,
            request_timeout_ms: 5_000,
            min_bytes_per_second: 1 << 20,
            request_timeout_max_ms: 60_000,
            backoff_base_ms: 50,
            backoff_cap_ms: 5_000,
            retry_for_ms: 20_000,
            retry_attempts: 8,
            probe_interval_ms: 1_000,
            health: HealthSettings::default(),
        }
    }
}

impl StoreSettings {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        let least_one: [(&str, u64); 8] = [
            ("concurrency", self.concurrency as u64),
            ("request_timeout_ms", self.request_timeout_ms),
            ("min_bytes_per_second", self.min_bytes_per_second),
            ("backoff_base_ms", self.backoff_base_ms),
            ("backoff_cap_ms", self.backoff_cap_ms),
            ("retry_for_ms", self.retry_for_ms),
            ("retry_attempts", u64::from(self.retry_attempts)),
            ("probe_interval_ms", self.probe_interval_ms),
        ];
        for (name, value) in least_one {
            if value == 0 {
                return Err(Error::new(
                    ErrorKind::Precondition,
                    format!("the store's {name} must be at least 1"),
                ));
            }
        }
        if self.concurrency > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(Error::new(
                ErrorKind::Precondition,
                "the store's concurrency is too large",
            ));
        }
        if self.request_timeout_max_ms < self.request_timeout_ms {
            return Err(Error::new(
                ErrorKind::Precondition,
                "the store's request_timeout_max_ms is below its request_timeout_ms",
            ));
        }
        if self.backoff_cap_ms < self.backoff_base_ms {
            return Err(Error::new(
                ErrorKind::Precondition,
                "the store's backoff_cap_ms is below its backoff_base_ms",
            ));
        }
        self.health.validate()
    }

    /// How long one try that moves `bytes` may take.
    pub(crate) fn timeout_for(&self, bytes: u64) -> Duration {
        let transfer = bytes.saturating_mul(1000) / self.min_bytes_per_second.max(1);
        Duration::from_millis(
            self.request_timeout_ms
                .saturating_add(transfer)
                .min(self.request_timeout_max_ms),
        )
    }
}
