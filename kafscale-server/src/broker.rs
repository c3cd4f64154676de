//! What all connections share: the engine, the broker's identity and its settings.

use kafscale_core::Engine;

/// How clients reach this broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Kafka's node id.
    pub(crate) node_id: i32,
    /// The host that Metadata names.
    pub(crate) host: String,
    /// The port that Metadata names.
    pub(crate) port: u16,
}

/// The broker behind every connection. Handlers get it as `Arc<Broker>`.
#[derive(Debug)]
pub(crate) struct Broker {
    /// The storage engine.
    pub(crate) engine: Engine,
    /// How clients reach this broker.
    pub(crate) identity: Identity,
}
