//! The KafScale broker: Kafka's protocol in front of the storage engine.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod api;
mod broker;
pub mod config;
mod dispatch;
mod group;
mod metrics;
mod net;

pub use metrics::markdown as metrics_page;
