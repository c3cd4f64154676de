//! Tests of the pure state machine, with a hand-driven clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod joining;
mod random;
mod sessions;
mod sim;
mod static_members;
mod syncing;
mod views;
