//! What records hold: a stamp that tells this run's records and when each was due, then filler.

use crate::args::Content;

/// Bytes of the stamp: the run's number and the time in nanoseconds.
pub(crate) const STAMP_LEN: usize = 16;
/// Bytes of filler from which values are cut.
const FILLER: usize = 1 << 20;

const WORDS: [&str; 24] = [
    "request",
    "accepted",
    "for",
    "customer",
    "order",
    "payment",
    "shipped",
    "from",
    "warehouse",
    "status",
    "level",
    "info",
    "warning",
    "service",
    "checkout",
    "inventory",
    "duration",
    "milliseconds",
    "region",
    "north",
    "retry",
    "after",
    "timeout",
    "session",
];

/// Makes the values of records.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    run: u64,
    filler: Vec<u8>,
    value: Vec<u8>,
    record_size: usize,
    random: fastrand::Rng,
}

impl Payload {
    pub(crate) fn new(run: u64, content: Content, record_size: usize, seed: u64) -> Payload {
        let mut random = fastrand::Rng::with_seed(seed);
        let len = FILLER.max(2 * record_size);
        let mut filler = vec![0; len];
        match content {
            Content::Random => random.fill(&mut filler),
            Content::Words => {
                filler.clear();
                while filler.len() < len {
                    let word = random.choice(WORDS).unwrap_or_default();
                    filler.extend_from_slice(word.as_bytes());
                    filler.extend_from_slice(format!(" {} ", random.u32(..1000)).as_bytes());
                }
            }
        }
        Payload {
            run,
            filler,
            value: Vec::with_capacity(record_size),
            record_size,
            random,
        }
    }

    /// The value of a record that is due at `due_ns` nanoseconds since the run began.
    pub(crate) fn value(&mut self, due_ns: u64) -> &[u8] {
        let len = self.record_size - STAMP_LEN;
        let at = self.random.usize(..self.filler.len() - len);
        self.value.clear();
        self.value.extend_from_slice(&self.run.to_be_bytes());
        self.value.extend_from_slice(&due_ns.to_be_bytes());
        self.value.extend_from_slice(&self.filler[at..at + len]);
        &self.value
    }
}

/// When the record was due, in nanoseconds since the run began; `None` for records that are not of this run.
pub(crate) fn due(run: u64, value: &[u8]) -> Option<u64> {
    let (theirs, rest) = value.split_first_chunk::<8>()?;
    let due = rest.first_chunk::<8>()?;
    (u64::from_be_bytes(*theirs) == run).then(|| u64::from_be_bytes(*due))
}

#[cfg(test)]
mod tests;
