//! What the measurements share: batches to write, and an engine over a bucket in memory to write them to.

pub mod batches;
pub mod engine;
