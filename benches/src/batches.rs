//! Record batches as producers send them, with bytes that do not compress.

use bytes::Bytes;
use kafscale_core::format::batch::HEADER_LEN;
use kafscale_core::format::records::{BatchBuilder, RecordError};

/// What a record takes in a batch beside its value: length, attributes, deltas, no key, no headers.
const RECORD_OVERHEAD: usize = 10;

/// The fields of a batch that its producer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the whole batch, give or take a few a record.
    pub bytes: usize,
    /// Number of records.
    pub records: usize,
}

impl Shape {
    /// `bytes` in records of about 1 KiB.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let records = (bytes / 1024).max(1);
        Self { bytes, records }
    }

    fn value_len(self) -> usize {
        (self.bytes.saturating_sub(HEADER_LEN) / self.records.max(1)).saturating_sub(RECORD_OVERHEAD)
    }

    /// A batch of this shape, not idempotent, whose bytes depend on `seed`.
    ///
    /// # Errors
    /// The shape has no records, or is larger than a batch can be.
    pub fn batch(self, seed: u64) -> Result<Bytes, RecordError> {
        self.fill(BatchBuilder::new(), seed)
    }

    /// The same from an idempotent producer.
    ///
    /// # Errors
    /// As [`Shape::batch`].
    pub fn sequenced(self, producer_id: i64, sequence: i32, seed: u64) -> Result<Bytes, RecordError> {
        self.fill(BatchBuilder::new().producer(producer_id, 0, sequence), seed)
    }

    /// A batch as it lies in the log, at `base_offset`.
    ///
    /// # Errors
    /// As [`Shape::batch`].
    pub fn stored(self, base_offset: i64, seed: u64) -> Result<Bytes, RecordError> {
        self.fill(BatchBuilder::new().position(base_offset, 1), seed)
    }

    /// `count` different batches, so that the payload does not sit in the first levels of the processor's cache.
    ///
    /// # Errors
    /// As [`Shape::batch`].
    pub fn batches(self, count: usize) -> Result<Vec<Bytes>, RecordError> {
        (0..count as u64).map(|seed| self.batch(seed)).collect()
    }

    fn fill(self, mut builder: BatchBuilder, seed: u64) -> Result<Bytes, RecordError> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut value = vec![0; self.value_len()];
        for n in 0..self.records {
            random.fill(&mut value);
            builder.append(1_700_000_000_000 + n as i64, None, Some(&value), &[])?;
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests;
