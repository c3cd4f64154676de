//! What waits for the next log object, and when that object is due. Pure: the time is an argument.

use std::time::Duration;

use super::pacer::Pacer;

/// What decides about a flush.
#[derive(Clone, Debug)]
pub(crate) struct FlushRules {
    pub(crate) object_bytes: usize,
    pub(crate) gather: Duration,
    pub(crate) flush_interval: Duration,
    pub(crate) in_flight_objects: usize,
    /// While the oldest object is on its way for longer than this, the store is in trouble and no further one starts.
    pub(crate) stall: Duration,
}

/// What is on its way to the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InFlight {
    pub(crate) objects: usize,
    /// When the oldest one started.
    pub(crate) oldest_since: Option<Duration>,
}

/// Whether a flush is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    /// Not before this much time has passed, unless more comes in.
    In(Duration),
    /// Not before something changes.
    Later,
}

/// Entries that wait for the next object, in the order in which they got their offsets.
#[derive(Debug)]
pub(crate) struct Gather<T> {
    entries: Vec<(T, usize)>,
    bytes: usize,
    oldest: Duration,
    /// Since when a producer waits for one of them.
    waited_for: Option<Duration>,
    /// An object must be written even if there is nothing to put in.
    forced: bool,
    /// Nothing more comes in: nobody would write it.
    closed: bool,
}

impl<T> Gather<T> {
    pub(crate) fn new() -> Gather<T> {
        Gather {
            entries: Vec::new(),
            bytes: 0,
            oldest: Duration::ZERO,
            waited_for: None,
            forced: false,
            closed: false,
        }
    }

    /// Takes an entry. False, and the entry is dropped, once it is closed.
    #[must_use]
    pub(crate) fn push(&mut self, entry: T, bytes: usize, waited_for: bool, now: Duration) -> bool {
        if self.closed {
            return false;
        }
        if self.entries.is_empty() {
            self.oldest = now;
        }
        if waited_for {
            self.waited_for.get_or_insert(now);
        }
        self.bytes += bytes;
        self.entries.push((entry, bytes));
        true
    }

    /// Nothing more comes in from now on.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// The next object is due now, even an empty one.
    pub(crate) fn force(&mut self) {
        self.forced = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.forced
    }

    /// Whether the next object is due at `now`.
    pub(crate) fn due(
        &self,
        rules: &FlushRules,
        pacer: &mut Pacer,
        in_flight: InFlight,
        now: Duration,
    ) -> Due {
        if self.is_empty() || in_flight.objects >= rules.in_flight_objects {
            return Due::Later;
        }
        if in_flight
            .oldest_since
            .is_some_and(|since| now.saturating_sub(since) > rules.stall)
        {
            return Due::Later;
        }
        if self.bytes >= rules.object_bytes {
            return Due::Now;
        }
        // On a store without a budget the next flush starts when the last one ends, and what comes meanwhile travels
        // together; it does not wait once it is worth an object of its own, for writers that wait send no more.
        if pacer.is_unlimited() && in_flight.objects > 0 {
            return if self.bytes >= rules.object_bytes / 4 {
                Due::Now
            } else {
                Due::Later
            };
        }
        let ready = if self.forced {
            now
        } else {
            let interval_over = self.oldest + rules.flush_interval;
            self.waited_for
                .map_or(interval_over, |since| interval_over.min(since + rules.gather))
        };
        match ready.saturating_sub(now).max(pacer.wait(now)) {
            Duration::ZERO => Due::Now,
            wait => Due::In(wait),
        }
    }

    /// Takes the entries of the next object: as many as fit, at least one.
    pub(crate) fn take(&mut self, object_bytes: usize, now: Duration) -> Vec<T> {
        self.forced = false;
        let mut bytes = 0;
        let fit = self.entries.iter().position(|&(_, len)| {
            let full = bytes > 0 && bytes + len > object_bytes;
            bytes += len;
            full
        });
        let rest = fit.map_or_else(Vec::new, |fit| self.entries.split_off(fit));
        let taken = std::mem::replace(&mut self.entries, rest);
        self.bytes = self.entries.iter().map(|&(_, len)| len).sum();
        // What is left was not waited for longer than what is taken; it is counted as if it came now, and it is not
        // known who waits for it, so it is treated as waited for.
        self.oldest = now;
        self.waited_for = self.waited_for.filter(|_| !self.entries.is_empty()).map(|_| now);
        taken.into_iter().map(|(entry, _)| entry).collect()
    }

    /// Takes everything and closes, for when nothing more is to be written.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.closed = true;
        self.bytes = 0;
        self.forced = false;
        self.waited_for = None;
        self.entries.drain(..).map(|(entry, _)| entry).collect()
    }
}

#[cfg(test)]
mod tests;
