//! The engine as its users see it, one module per behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test may wait by the machine's clock")]

mod deduplication;
mod durability;
mod fencing;
mod reading;
mod restart;
mod segments;
mod topics;
mod world;
