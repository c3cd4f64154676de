//! The engine as its users see it, one module per behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test may wait by the machine's clock")]

mod crash_world;
mod crashes;
mod deduplication;
mod durability;
mod faults;
mod fencing;
mod leftovers;
mod reading;
mod restart;
mod segments;
mod topics;
mod torture;
mod unknown_outcomes;
mod world;
