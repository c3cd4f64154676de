//! When each record is due, and which records make the next batch. Pure: the time is an argument.

use std::time::Duration;

/// The records of one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Planned {
    /// How many.
    pub(crate) count: u32,
    /// When the first one is due, in nanoseconds since the run began.
    first_ns: f64,
    /// From one to the next.
    interval_ns: f64,
}

impl Planned {
    /// When each record is due, in nanoseconds since the run began.
    pub(crate) fn times(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |n| (self.first_ns + f64::from(n) * self.interval_ns) as u64)
    }
}

/// The schedule of one producer: records at equal distances from `phase` on, until `end`.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// `None`: a record is due whenever somebody asks.
    interval_ns: Option<f64>,
    phase_ns: f64,
    per_batch: u32,
    linger: Duration,
    end: Duration,
    next: u64,
    /// Number of records that the schedule has.
    total: u64,
}

impl Schedule {
    /// `rate` records per second, without limit if `None`, that begin at `phase` and end before `end`. A batch is ready
    /// when it has `per_batch` records or when its first one was due `linger` ago.
    pub(crate) fn new(
        rate: Option<f64>,
        phase: Duration,
        end: Duration,
        per_batch: u32,
        linger: Duration,
    ) -> Schedule {
        let interval_ns = rate.map(|rate| 1e9 / rate);
        let span_ns = end.saturating_sub(phase).as_nanos() as f64;
        Schedule {
            interval_ns,
            phase_ns: phase.as_nanos() as f64,
            per_batch: per_batch.max(1),
            linger,
            end,
            next: 0,
            total: interval_ns.map_or(u64::MAX, |interval| (span_ns / interval).ceil() as u64),
        }
    }

    fn time_of(&self, record: u64, interval: f64) -> Duration {
        Duration::from_nanos((self.phase_ns + record as f64 * interval) as u64)
    }

    /// When the next batch is ready; `None` when the schedule is at its end.
    pub(crate) fn ready_at(&self) -> Option<Duration> {
        if self.next >= self.total {
            return None;
        }
        let Some(interval) = self.interval_ns else {
            return Some(Duration::ZERO);
        };
        let last = (self.next + u64::from(self.per_batch) - 1).min(self.total - 1);
        let full = self.time_of(last, interval);
        Some(full.min(self.time_of(self.next, interval) + self.linger))
    }

    /// The next batch, if it is ready at `now`. After a stall batches are full: what is overdue travels together.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Planned> {
        let Some(interval) = self.interval_ns else {
            if now >= self.end {
                self.next = self.total;
                return None;
            }
            return Some(Planned {
                count: self.per_batch,
                first_ns: now.as_nanos() as f64,
                interval_ns: 0.0,
            });
        };
        if self.ready_at()? > now {
            return None;
        }
        let count = self.due(now).min(u64::from(self.per_batch)) as u32;
        let planned = Planned {
            count,
            first_ns: self.phase_ns + self.next as f64 * interval,
            interval_ns: interval,
        };
        self.next += u64::from(count);
        Some(planned)
    }

    /// Records that are due at `now` and were not taken.
    pub(crate) fn due(&self, now: Duration) -> u64 {
        let Some(interval) = self.interval_ns else {
            return 0;
        };
        let passed = now.as_nanos() as f64 - self.phase_ns;
        if passed < 0.0 {
            return 0;
        }
        // The one after this estimate, or the one before it, by the same rounding as everywhere else.
        let mut reached = (passed / interval) as u64;
        while self.time_of(reached, interval) <= now {
            reached += 1;
        }
        while reached > 0 && self.time_of(reached - 1, interval) > now {
            reached -= 1;
        }
        reached.min(self.total).saturating_sub(self.next)
    }
}

#[cfg(test)]
mod tests;
