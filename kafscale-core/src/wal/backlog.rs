//! Log objects that are durable and not trimmed yet, oldest first: which bytes stay in memory, and what may be trimmed.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::object::LogObject;
use crate::format::keys::SessionId;

/// Objects in the order in which they were committed, those of earlier sessions first.
#[derive(Debug)]
pub(crate) struct Backlog {
    state: Mutex<State>,
    limits: BacklogLimits,
    /// There is more than the limits allow.
    pressure: Notify,
}

/// What a backlog may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BacklogLimits {
    /// Bytes that may stay in memory.
    pub(crate) resident_bytes: u64,
    /// Bytes above which segments should be cut.
    pub(crate) bytes: u64,
    /// Objects above which segments should be cut.
    pub(crate) objects: usize,
}

#[derive(Debug, Default)]
struct State {
    objects: VecDeque<Arc<LogObject>>,
    bytes: u64,
    /// Resident objects are the newest ones: from this index on.
    first_resident: usize,
    resident_bytes: u64,
}

/// How much waits to be cut into segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BacklogSize {
    pub(crate) objects: usize,
    pub(crate) bytes: u64,
    pub(crate) resident_bytes: u64,
}

/// Objects that nothing needs any more.
#[derive(Debug, Default)]
pub(crate) struct Trimmable {
    /// Of the own log: all slots below this one.
    pub(crate) own_below: Option<u64>,
    /// The objects, to be deleted once it is safe.
    pub(crate) objects: Vec<Arc<LogObject>>,
}

impl Backlog {
    pub(crate) fn new(limits: BacklogLimits) -> Backlog {
        Backlog {
            state: Mutex::new(State::default()),
            limits,
            pressure: Notify::new(),
        }
    }

    /// Completes when there is more than the limits allow.
    pub(crate) async fn pressure(&self) {
        self.pressure.notified().await;
    }

    /// Whether there is more than `share` of what the limits allow.
    pub(crate) fn is_over(&self, share: f64) -> bool {
        let size = self.size();
        size.bytes as f64 > self.limits.bytes as f64 * share
            || size.objects as f64 > self.limits.objects as f64 * share
    }

    /// Takes in an object that was just committed; older ones lose their bytes when there is not room for all.
    pub(crate) fn push(&self, object: Arc<LogObject>) {
        let mut evicted = Vec::new();
        {
            let mut state = self.state.lock();
            state.bytes += object.size;
            if object.is_resident() {
                state.resident_bytes += object.size;
            }
            state.objects.push_back(object);
            while state.resident_bytes > self.limits.resident_bytes {
                let at = state.first_resident;
                let Some(oldest) = state.objects.get(at).cloned() else {
                    break;
                };
                state.first_resident += 1;
                if oldest.is_resident() {
                    state.resident_bytes = state.resident_bytes.saturating_sub(oldest.size);
                    evicted.push(oldest);
                }
            }
        }
        for object in evicted {
            object.evict();
        }
        if self.is_over(1.0) {
            self.pressure.notify_one();
        }
    }

    /// How much there is.
    pub(crate) fn size(&self) -> BacklogSize {
        let state = self.state.lock();
        BacklogSize {
            objects: state.objects.len(),
            bytes: state.bytes,
            resident_bytes: state.resident_bytes,
        }
    }

    /// Number of objects that nothing needs any more.
    pub(crate) fn released(&self) -> usize {
        self.state
            .lock()
            .objects
            .iter()
            .filter(|object| object.is_released())
            .count()
    }

    /// Whether the objects that are still needed are more than `share` of what the limits allow.
    pub(crate) fn unreleased_is_over(&self, share: f64) -> bool {
        let state = self.state.lock();
        let needed = state.objects.iter().filter(|object| !object.is_released());
        let (objects, bytes) = needed.fold((0, 0), |(objects, bytes), object| {
            (objects + 1, bytes + object.size)
        });
        bytes as f64 > self.limits.bytes as f64 * share || objects as f64 > self.limits.objects as f64 * share
    }

    /// The oldest objects that are still needed, up to `count`.
    pub(crate) fn oldest(&self, count: usize) -> Vec<Arc<LogObject>> {
        let state = self.state.lock();
        state
            .objects
            .iter()
            .filter(|object| !object.is_released())
            .take(count)
            .cloned()
            .collect()
    }

    /// What could be trimmed now: objects of the own session as a prefix, never one by one; those of sealed sessions
    /// each, for their seal says where they end. Nothing is taken out yet.
    pub(crate) fn trimmable(&self, own: SessionId) -> Trimmable {
        let state = self.state.lock();
        let mut found = Trimmable::default();
        let mut prefix = true;
        for object in &state.objects {
            if object.session == own {
                prefix &= object.is_released();
                if prefix {
                    found.own_below = Some(object.slot + 1);
                    found.objects.push(Arc::clone(object));
                }
            } else if object.is_released() {
                found.objects.push(Arc::clone(object));
            }
        }
        found
    }

    /// Takes out objects that are trimmed.
    pub(crate) fn remove(&self, trimmed: &[Arc<LogObject>]) {
        let mut state = self.state.lock();
        let State {
            objects,
            bytes,
            first_resident,
            resident_bytes,
        } = &mut *state;
        let mut index = 0;
        let mut kept_resident = 0;
        let mut kept = 0;
        objects.retain(|object| {
            let was_resident_part = index >= *first_resident;
            index += 1;
            let keep = !trimmed.iter().any(|t| Arc::ptr_eq(t, object));
            if keep {
                kept += 1;
                if !was_resident_part {
                    kept_resident = kept;
                }
            } else {
                *bytes -= object.size;
                if was_resident_part && object.is_resident() {
                    *resident_bytes = resident_bytes.saturating_sub(object.size);
                }
            }
            keep
        });
        *first_resident = kept_resident;
    }

    /// Whether any object of `session` is still here.
    pub(crate) fn holds(&self, session: SessionId) -> bool {
        self.state
            .lock()
            .objects
            .iter()
            .any(|object| object.session == session)
    }
}

#[cfg(test)]
mod tests;
