//! The KafScale broker: Kafka's protocol in front of the storage engine.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod api;
mod broker;
pub mod config;
mod dispatch;
mod group;
mod http;
mod metrics;
mod net;
mod server;

pub use metrics::markdown as metrics_page;
pub use server::{LIFECYCLE, Server, StartError, StopError};
