//! Accepts connections within the limits, and serves each in a task of its own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::budget::{ConnectionLimits, Refused, RequestBudget};
use super::connection;
use crate::broker::Broker;
use crate::config::variable::split_address;

/// The first pause after an accept that failed, for instance because the process has no file descriptor left.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Listens on `address`: `host:port`, or `:port` for all interfaces.
///
/// # Errors
/// Those of the system; the address is not in them.
pub(crate) async fn bind(address: &str) -> io::Result<TcpListener> {
    let (host, port) = split_address(address)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it must be host:port or :port"))?;
    if !host.is_empty() {
        return TcpListener::bind((host, port)).await;
    }
    // Linux takes IPv4 on such a socket too. A machine without IPv6 has only the other.
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        listener => listener,
    }
}

/// Accepts Kafka clients.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    broker: Arc<Broker>,
    limits: Arc<ConnectionLimits>,
    budget: Arc<RequestBudget>,
    /// Counts the connections' tasks, so that a stopping broker can wait for them.
    connections: TaskTracker,
    /// Ends the connections at once.
    abandon: CancellationToken,
}

impl Listener {
    /// A listener that serves `broker`; its connections run in `connections`.
    pub(crate) fn new(
        listener: TcpListener,
        broker: Arc<Broker>,
        connections: TaskTracker,
        abandon: CancellationToken,
    ) -> Listener {
        let net = &broker.config.net;
        let limits = Arc::new(ConnectionLimits::new(net));
        let budget = Arc::new(RequestBudget::new(net));
        Listener {
            listener,
            broker,
            limits,
            budget,
            connections,
            abandon,
        }
    }

    /// Accepts until the broker drains.
    pub(crate) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.broker.draining.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    self.serve(stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {
                    debug!(%error, "a connection ended before it began")
                }
                Err(error) => {
                    warn!(%error, "connections cannot be accepted; trying again in {} ms", pause.as_millis());
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn serve(&self, stream: tokio::net::TcpStream, peer: SocketAddr) {
        // An IPv4 client of an IPv6 socket is the same client.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let admission = match self.limits.admit(peer.ip()) {
            Ok(admission) => admission,
            Err(refused) => {
                let setting = match refused {
                    Refused::Total => "KAFSCALE_MAX_CONNECTIONS",
                    Refused::PerIp => "KAFSCALE_MAX_CONNECTIONS_PER_IP",
                };
                debug!(%peer, "connection refused: {setting} is reached");
                self.broker.metrics.connection_refused(refused);
                return;
            }
        };
        let (broker, budget) = (Arc::clone(&self.broker), Arc::clone(&self.budget));
        let abandon = self.abandon.clone();
        self.connections.spawn(async move {
            let _open = broker.metrics.connection_opened();
            let serving = connection::serve(stream, peer, Arc::clone(&broker), budget);
            let ended = tokio::select! {
                biased;
                ended = serving => ended,
                () = abandon.cancelled_owned() => Err("the broker stops".to_owned()),
            };
            if let Err(reason) = ended {
                broker.metrics.connection_failed();
                debug!(%peer, "connection closed: {reason}");
            }
            drop(admission);
        });
    }
}

/// Whether accepting failed for reasons of the one connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
