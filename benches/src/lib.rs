//! What the measurements share: batches to write, and an engine over a bucket of its own to write them to.

pub mod batches;
pub mod engine;
pub mod forgetful;
