//! How much memory requests may hold, and how many connections may be open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::config::NetSettings;

/// Memory for requests that are read or handled, over all connections. Produce requests have a share of their own, so
/// that a broker full of records still takes heartbeats.
#[derive(Debug)]
pub(crate) struct RequestBudget {
    produce: Share,
    other: Share,
}

/// Part of the memory.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    bytes: usize,
    free: Arc<Semaphore>,
    /// For the one request that may exceed the share.
    excess: Arc<Semaphore>,
}

/// What one request holds of a share, given back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    permits: Option<OwnedSemaphorePermit>,
    excess: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// A share of `bytes`.
    pub(crate) fn new(bytes: usize) -> Share {
        let bytes = bytes.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Share {
            bytes,
            free: Arc::new(Semaphore::new(bytes)),
            excess: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits until `held` covers `size` bytes.
    ///
    /// A request takes memory as it arrives: were it taken when a request is announced, clients that announce much and
    /// send nothing would take all of it. But requests that have all begun could then wait for each other for ever, so
    /// that one at a time may go on when nothing is free. All requests of a share together thus hold at most the share
    /// and one request.
    pub(crate) async fn grow(&self, held: &mut Held, size: usize) -> Result<(), AcquireError> {
        let has = held.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = size.min(self.bytes).saturating_sub(has);
        if missing == 0 || held.excess.is_some() {
            return Ok(());
        }
        tokio::select! {
            biased;
            more = self.take(missing) => {
                let more = more?;
                match &mut held.permits {
                    Some(permits) => permits.merge(more),
                    none => *none = Some(more),
                }
            }
            excess = Arc::clone(&self.excess).acquire_owned() => held.excess = Some(excess?),
        }
        Ok(())
    }

    /// Waits for `size` bytes, or for the whole share if it is smaller: one request is always allowed.
    pub(crate) async fn take(&self, size: usize) -> Result<OwnedSemaphorePermit, AcquireError> {
        let size = u32::try_from(size.min(self.bytes)).unwrap_or(u32::MAX);
        Arc::clone(&self.free).acquire_many_owned(size).await
    }

    /// Whether nobody holds any of it.
    pub(crate) fn is_free(&self) -> bool {
        self.free.available_permits() == self.bytes
    }
}

impl RequestBudget {
    /// The budget of a broker.
    pub(crate) fn new(settings: &NetSettings) -> RequestBudget {
        RequestBudget {
            produce: Share::new(settings.request_bytes),
            other: Share::new(settings.request_bytes / 4),
        }
    }

    /// The share of requests with this API number.
    pub(crate) fn share(&self, api_key: i16) -> &Share {
        if api_key == ApiKey::Produce as i16 {
            &self.produce
        } else {
            &self.other
        }
    }
}

/// Which connections are open.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    total: usize,
    per_ip: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The broker has all it may have.
    Total,
    /// The address has all it may have.
    PerIp,
}

/// A connection that was let in; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Arc<ConnectionLimits>,
    ip: IpAddr,
}

impl ConnectionLimits {
    /// The limits of a broker.
    pub(crate) fn new(settings: &NetSettings) -> ConnectionLimits {
        ConnectionLimits {
            total: settings.max_connections,
            per_ip: settings.max_connections_per_ip,
            open: Mutex::default(),
        }
    }

    /// Lets a connection from `ip` in.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Admission, Refused> {
        let mut open = self.open.lock();
        if open.total >= self.total {
            return Err(Refused::Total);
        }
        let from_ip = open.by_ip.entry(ip).or_default();
        if *from_ip >= self.per_ip {
            return Err(Refused::PerIp);
        }
        *from_ip += 1;
        open.total += 1;
        Ok(Admission {
            limits: Arc::clone(self),
            ip,
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_ip.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests;
