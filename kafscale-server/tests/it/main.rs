//! A whole broker in the test process, spoken to over its own sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cli;
mod configs;
mod every_version;
mod groups;
mod hostile;
mod lifecycle;
mod order;
mod outage;
mod records;
mod start;
mod topics;
mod versions;
mod web;
