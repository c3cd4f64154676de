//! What all connections share: the engine, the broker's identity, its settings and its counters.

use std::sync::Arc;

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use kafscale_core::Engine;
use tokio_util::sync::CancellationToken;

use crate::config::ServerConfig;
use crate::group::GroupCoordinator;
use crate::metrics::Metrics;

/// How clients reach this broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Kafka's node id.
    pub(crate) node_id: i32,
    /// The host that Metadata names.
    pub(crate) host: StrBytes,
    /// The port that Metadata names.
    pub(crate) port: u16,
    /// The rack that Metadata names.
    pub(crate) rack: Option<StrBytes>,
    /// The cluster that Metadata names.
    pub(crate) cluster_id: StrBytes,
}

impl Identity {
    /// The node id as the codec wants it.
    pub(crate) fn broker_id(&self) -> BrokerId {
        BrokerId(self.node_id)
    }
}

/// The broker behind every connection. Handlers get it as `Arc<Broker>`.
#[derive(Debug)]
pub(crate) struct Broker {
    /// The storage engine.
    pub(crate) engine: Engine,
    /// The consumer groups.
    pub(crate) groups: GroupCoordinator,
    /// How clients reach this broker.
    pub(crate) identity: Identity,
    /// The configuration with which it was started.
    pub(crate) config: Arc<ServerConfig>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the broker stops: nothing new is accepted, and long polls end.
    pub(crate) draining: CancellationToken,
}
