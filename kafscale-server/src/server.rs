//! Starts and stops a broker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use kafscale_core::clock::SystemClock;
use kafscale_core::metrics::{EngineMetrics, StoreMetrics};
use kafscale_core::store::{self, Store};
use kafscale_core::{Engine, Error, Random};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use thiserror::Error as ThisError;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::broker::{Broker, Identity};
use crate::config::{ServerConfig, StoreConfig, table};
use crate::group::{CoordinatorSettings, GroupCoordinator};
use crate::http::{self, Phase};
use crate::metrics::{GroupCollector, Metrics};
use crate::net::{Listener, bind};

/// Log lines with this target are written whatever the level: what the broker serves, and how it ended.
pub const LIFECYCLE: &str = "kafscale::lifecycle";

/// Why a broker did not start.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({setting}): {source}")]
    Bind {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {source}")]
    Random {
        /// What the system says.
        source: Error,
    },
    /// The store cannot be opened, or what is in it.
    #[error("the store {location} cannot be used: {source}")]
    Store {
        /// The store.
        location: String,
        /// What happened.
        source: Error,
    },
    /// The store did not answer in time.
    #[error(
        "the store {location} did not answer the start-up checks within {} s; check that it can be reached from here \
         and that its credentials are right, or raise KAFSCALE_STARTUP_TIMEOUT_SEC", .limit.as_secs()
    )]
    Timeout {
        /// The store.
        location: String,
        /// The limit.
        limit: Duration,
    },
}

/// Why a broker did not stop as it should.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum StopError {
    /// What was accepted could not be flushed.
    #[error("records that were accepted could not be flushed: {0}")]
    Flush(#[source] Error),
    /// Flushing took too long.
    #[error(
        "records that were accepted were not flushed within {} s; none of them was acknowledged as durable. The limit \
         is KAFSCALE_SHUTDOWN_TIMEOUT_SEC", .0.as_secs()
    )]
    Timeout(Duration),
}

/// A running broker. Dropping it ends it at once, as a crash would; [`Server::shutdown`] flushes first.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use kafscale_server::{Server, config::ServerConfig};
///
/// let server = Server::start(ServerConfig::in_memory()?).await?;
/// println!("Kafka clients connect to {}", server.kafka_addr());
/// server.shutdown().await?;
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    broker: Arc<Broker>,
    kafka_addr: SocketAddr,
    http_addr: SocketAddr,
    connections: TaskTracker,
    http: JoinHandle<()>,
    stop_http: CancellationToken,
    /// Ends connections at once.
    abandon: CancellationToken,
    _guards: [DropGuard; 3],
}

impl Server {
    /// Starts a broker: listens, checks the store, reads what is in it, and serves.
    ///
    /// # Errors
    /// An address in use, or a store that cannot be used or does not answer in time.
    pub async fn start(config: ServerConfig) -> Result<Server, StartError> {
        Server::start_on(config, None).await
    }

    /// Starts a broker on a store that is open already. Its location in the configuration is only words for messages.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with_store(config: ServerConfig, store: Store) -> Result<Server, StartError> {
        Server::start_on(config, Some(store)).await
    }

    async fn start_on(config: ServerConfig, opened: Option<Store>) -> Result<Server, StartError> {
        // Before anything is touched in the bucket: a second broker on the same machine must not take the session of
        // the first only to find its port in use.
        let kafka = listen(&config.kafka_addr, table::BROKER_ADDR.name).await?;
        let web = listen(&config.http_addr, table::METRICS_ADDR.name).await?;
        let (kafka, kafka_addr) = kafka;
        let (web, http_addr) = web;

        let registry = Arc::new(Mutex::new(Registry::default()));
        let metrics = Arc::new(Metrics::new(&mut registry.lock(), config.throughput_window));
        let (phase, phases) = watch::channel(Phase::Starting);
        let stop_http = CancellationToken::new();
        let http = tokio::spawn(http::serve(web, Arc::clone(&registry), phases, stop_http.clone()));
        let http_guard = stop_http.clone().drop_guard();

        let engine = open_engine(&config, opened, &registry).await?;
        let port = config.advertised_port.unwrap_or(kafka_addr.port());
        let identity = Identity {
            node_id: config.engine.broker_id,
            host: StrBytes::from_string(config.advertised_host.clone()),
            port,
            rack: config.rack.clone().map(StrBytes::from_string),
            cluster_id: StrBytes::from_string(engine.cluster_id().to_owned()),
        };
        let draining = CancellationToken::new();
        let abandon = CancellationToken::new();
        let guards = [
            http_guard,
            draining.clone().drop_guard(),
            abandon.clone().drop_guard(),
        ];
        let random = Random::from_system().map_err(|source| StartError::Random { source })?;
        let groups = GroupCoordinator::start(CoordinatorSettings::from(&config.groups), random);
        let broker = Arc::new(Broker {
            engine,
            groups,
            identity,
            config: Arc::new(config),
            metrics,
            draining,
        });
        registry
            .lock()
            .register_collector(Box::new(GroupCollector::new(&broker)));
        let connections = TaskTracker::new();
        let listener = Listener::new(kafka, Arc::clone(&broker), connections.clone(), abandon.clone());
        connections.spawn(listener.run());
        phase.send_replace(Phase::Serving(Arc::clone(&broker)));
        announce(&broker, kafka_addr, http_addr);
        Ok(Server {
            broker,
            kafka_addr,
            http_addr,
            connections,
            http,
            stop_http,
            abandon,
            _guards: guards,
        })
    }

    /// Where Kafka clients connect.
    pub fn kafka_addr(&self) -> SocketAddr {
        self.kafka_addr
    }

    /// Where metrics and health are served.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The engine behind the broker.
    pub fn engine(&self) -> &Engine {
        &self.broker.engine
    }

    /// Waits until the broker has lost its session to another one, and says why. It acknowledges nothing more then:
    /// the process must end.
    pub async fn fenced(&self) -> Arc<str> {
        let mut fenced = self.broker.engine.fenced();
        match fenced
            .wait_for(Option::is_some)
            .await
            .map(|reason| reason.clone())
        {
            Ok(Some(reason)) => reason,
            Ok(None) | Err(_) => "the engine has ended".into(),
        }
    }

    /// Stops: accepts nothing new, answers and flushes what was accepted, and gives the session back.
    ///
    /// # Errors
    /// What was accepted could not be flushed, or not in time.
    pub async fn shutdown(self) -> Result<(), StopError> {
        let limit = self.broker.config.shutdown_timeout;
        let (begun, deadline) = (Instant::now(), Instant::now() + limit);
        info!(target: LIFECYCLE, "stopping: finishing what was accepted");
        self.broker.draining.cancel();
        self.broker.groups.close();
        self.connections.close();
        if timeout_at(begun + limit / 2, self.connections.wait())
            .await
            .is_err()
        {
            warn!(
                "{} connections did not end by themselves and are cut",
                self.connections.len()
            );
            self.abandon.cancel();
        }
        let closed = timeout_at(deadline, self.broker.engine.close()).await;
        self.stop_http.cancel();
        // A scraper that holds its connection open does not hold up the end.
        if timeout(Duration::from_millis(200), self.http).await.is_err() {
            info!("HTTP connections were still open at the end");
        }
        match closed {
            Ok(Ok(())) => {
                info!(target: LIFECYCLE, "stopped: everything that was accepted is in the bucket");
                Ok(())
            }
            Ok(Err(error)) => Err(StopError::Flush(error)),
            Err(_) => Err(StopError::Timeout(limit)),
        }
    }
}

async fn listen(address: &str, setting: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind {
        setting,
        address: address.to_owned(),
        source,
    };
    let listener = bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Opens the store and the engine on it, both checked, within the start-up timeout.
async fn open_engine(
    config: &ServerConfig,
    opened: Option<Store>,
    registry: &Mutex<Registry>,
) -> Result<Engine, StartError> {
    let location = config.store.location.to_string();
    let limit = config.startup_timeout;
    let opening = async {
        let store = match opened {
            Some(store) => store,
            None => {
                let clock = Arc::new(SystemClock::new());
                let random = Arc::new(Random::from_system()?);
                let metrics = Arc::new(StoreMetrics::new());
                let StoreConfig {
                    location,
                    s3,
                    settings,
                } = &config.store;
                store::open(location, s3, settings.clone(), clock, random, metrics).await?
            }
        };
        store.metrics().register(&mut registry.lock());
        store
            .probe(&config.engine.namespace, config.engine.broker_id)
            .await?;
        let metrics = Arc::new(EngineMetrics::default());
        metrics.register(&mut registry.lock());
        Engine::builder(store)
            .with_settings(config.engine.clone())
            .with_metrics(metrics)
            .open()
            .await
    };
    match timeout(limit, opening).await {
        Ok(engine) => engine.map_err(|source| StartError::Store { location, source }),
        Err(_) => Err(StartError::Timeout { location, limit }),
    }
}

fn announce(broker: &Broker, kafka: SocketAddr, http: SocketAddr) {
    let (config, identity) = (&broker.config, &broker.identity);
    info!(
        target: LIFECYCLE,
        "serving Kafka on {kafka} (clients are told {}:{}), metrics and health on http://{http}; broker {}, cluster {}, \
         {} topics, data in {}",
        &*identity.host,
        identity.port,
        identity.node_id,
        &*identity.cluster_id,
        broker.engine.topics().len(),
        config.store.location,
    );
    if kafka.ip().is_unspecified() && &*identity.host == "localhost" {
        warn!(
            "clients on other machines cannot reach this broker: they are told to connect to localhost. Set \
             KAFSCALE_BROKER_HOST to a name that they know"
        );
    }
    if matches!(config.store.location, store::StoreLocation::Memory) {
        warn!("the store is in memory: every record is lost when this process ends");
    }
}
