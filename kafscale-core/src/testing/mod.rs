//! Test doubles, for this crate's tests and for those of crates that embed it.

pub mod fault_store;
#[cfg(feature = "s3")]
pub mod s3_emulator;
