//! What is in the bytes: record batches as Kafka defines them, and every object that lies in the bucket.
//! Pure functions from bytes to values and back; no I/O, no clock, no randomness. Every decoder takes hostile input:
//! it checks lengths and counts before it takes memory, and answers with an error, never a panic.
//! The byte tables are in `docs/formats/`.

pub mod batch;
pub mod codec;
mod error;
#[cfg(test)]
mod go_segments;
#[cfg(test)]
mod golden;
pub mod index;
pub mod keys;
pub mod meta_object;
mod reader;
pub mod records;
pub mod segment;
pub mod slot;
pub mod state_object;
pub mod topic_descriptor;
pub mod varint;
pub mod wal_object;
mod writer;

pub use error::FormatError;
