//! From checked values to the configuration of one broker; contradictions are found here.

use std::time::Duration;

use kafscale_core::Settings;
use kafscale_core::settings::{MemorySettings, SegmentSettings, TopicDefaults, WalSettings};

use super::described::{Described, describe};
use super::store::{self, StoreConfig};
use super::variable::{Variable, split_address};
use super::{ConfigError, Values, table};

/// Everything that a broker needs to start.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// Where to listen for Kafka clients, `host:port`; an empty host is all interfaces, port 0 any free port.
    pub kafka_addr: String,
    /// Where to serve metrics and health over HTTP, in the same form.
    pub http_addr: String,
    /// The host that clients are told.
    pub advertised_host: String,
    /// The port that clients are told; `None`: the port that is listened on.
    pub advertised_port: Option<u16>,
    /// The rack that clients are told.
    pub rack: Option<String>,
    /// Where the data is.
    pub store: StoreConfig,
    /// Settings of the engine.
    pub engine: Settings,
    /// Limits for clients.
    pub net: NetSettings,
    /// Topics and what clients may do with them.
    pub topics: TopicSettings,
    /// Consumer groups.
    pub groups: GroupSettings,
    /// Time within which the store must have answered the start-up checks.
    pub startup_timeout: Duration,
    /// Time within which a stopping broker must have flushed.
    pub shutdown_timeout: Duration,
    /// How far back the throughput metrics look.
    pub throughput_window: Duration,
    /// Whether every request is logged.
    pub trace_requests: bool,
    /// The settings as DescribeConfigs shows them.
    pub described: Vec<Described>,
}

/// Limits for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetSettings {
    /// Open connections.
    pub max_connections: usize,
    /// Open connections from one address.
    pub max_connections_per_ip: usize,
    /// Time without a request after which a connection is closed.
    pub idle_timeout: Duration,
    /// Time from the first byte of a request to its eighth.
    pub header_timeout: Duration,
    /// Time without a byte taken by the client.
    pub write_timeout: Duration,
    /// Largest Produce request, bytes.
    pub max_produce_bytes: usize,
    /// Largest request of any other kind, bytes.
    pub max_request_bytes: usize,
    /// Unanswered requests of one connection.
    pub connection_requests: usize,
    /// Bytes of unanswered requests of one connection.
    pub connection_bytes: usize,
    /// Bytes of unanswered Produce requests of all connections; other requests have a quarter of it.
    pub request_bytes: usize,
    /// Most bytes of records in the answer to one Fetch.
    pub fetch_max_bytes: usize,
}

/// Topics and what clients may do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSettings {
    /// Whether asking for a topic creates it.
    pub auto_create: bool,
    /// Partitions of a topic created without a number.
    pub default_partitions: i32,
    /// Whether clients may create, delete and change topics.
    pub allow_admin: bool,
}

/// Consumer groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSettings {
    /// How long an empty group waits for more members before its first rebalance.
    pub initial_rebalance_delay: Duration,
    /// Shortest session timeout of a member.
    pub min_session_timeout: Duration,
    /// Longest session timeout of a member.
    pub max_session_timeout: Duration,
    /// Members of one group.
    pub max_size: usize,
    /// Bytes of text with a committed offset.
    pub offset_metadata_max_bytes: usize,
}

/// How log lines look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl ServerConfig {
    /// A broker for tests and tools in the same process: everything in memory, any free ports of the loopback
    /// interface, no pause before the first rebalance of a group.
    ///
    /// # Errors
    /// None in practice: the defaults of the table are checked by a test.
    pub fn in_memory() -> Result<ServerConfig, ConfigError> {
        let flags = [
            (table::STORE_URL.name, "memory:"),
            (table::BROKER_ADDR.name, "127.0.0.1:0"),
            (table::METRICS_ADDR.name, "127.0.0.1:0"),
            (table::GROUP_INITIAL_REBALANCE_DELAY_MS.name, "0"),
        ];
        let flags = flags.map(|(name, value)| (name, value.to_owned()));
        ServerConfig::from_values(&Values::collect(flags, [])?)
    }

    /// Makes the configuration out of checked values.
    ///
    /// # Errors
    /// Values that contradict each other, and a store that nobody named.
    pub fn from_values(values: &Values) -> Result<ServerConfig, ConfigError> {
        let kafka_addr = address(values, &table::BROKER_ADDR)?;
        let engine = engine(values)?;
        let config = ServerConfig {
            described: describe(values, engine.broker_id),
            advertised_host: advertised_host(values, &kafka_addr)?,
            advertised_port: values.number(&table::BROKER_PORT)?,
            kafka_addr,
            http_addr: address(values, &table::METRICS_ADDR)?,
            rack: values.text(&table::BROKER_RACK),
            store: store::from_values(values)?,
            engine,
            net: net(values)?,
            topics: TopicSettings {
                auto_create: values.flag(&table::AUTO_CREATE_TOPICS),
                default_partitions: values.required(&table::AUTO_CREATE_PARTITIONS)?,
                allow_admin: values.flag(&table::ALLOW_ADMIN_APIS),
            },
            groups: groups(values)?,
            startup_timeout: seconds(values, &table::STARTUP_TIMEOUT_SEC)?,
            shutdown_timeout: seconds(values, &table::SHUTDOWN_TIMEOUT_SEC)?,
            throughput_window: seconds(values, &table::THROUGHPUT_WINDOW_SEC)?,
            trace_requests: values.flag(&table::TRACE_KAFKA),
        };
        Ok(config)
    }
}

impl LogSettings {
    /// How to log.
    ///
    /// # Errors
    /// None beside those that [`Values::collect`] finds.
    pub fn from_values(values: &Values) -> Result<LogSettings, ConfigError> {
        let level = values
            .text(&table::LOG_LEVEL)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let level = if level == "warning" {
            "warn"
        } else {
            level.as_str()
        };
        let level = level.parse().map_err(|_| refused(values, &table::LOG_LEVEL))?;
        let format = match values
            .text(&table::LOG_FORMAT)
            .unwrap_or_default()
            .to_ascii_lowercase()
            .as_str()
        {
            "auto" => LogFormat::Auto,
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err(refused(values, &table::LOG_FORMAT)),
        };
        Ok(LogSettings { level, format })
    }
}

fn refused(values: &Values, variable: &Variable) -> ConfigError {
    let value = values.text(variable).unwrap_or_default();
    ConfigError::new(format!(
        "{} is {value:?}; it must be {}",
        values.origin(variable),
        variable.kind
    ))
}

fn address(values: &Values, variable: &Variable) -> Result<String, ConfigError> {
    values.text(variable).ok_or_else(|| refused(values, variable))
}

pub(super) fn seconds(values: &Values, variable: &Variable) -> Result<Duration, ConfigError> {
    Ok(Duration::from_secs(values.required(variable)?))
}

pub(super) fn milliseconds(values: &Values, variable: &Variable) -> Result<Duration, ConfigError> {
    Ok(Duration::from_millis(values.required(variable)?))
}

/// The host that clients are told: named, else listened on, else the pod's own name, else this machine.
fn advertised_host(values: &Values, kafka_addr: &str) -> Result<String, ConfigError> {
    if let Some(host) = values.text(&table::BROKER_HOST) {
        return Ok(host);
    }
    let listened = split_address(kafka_addr)
        .map(|(host, _)| host)
        .unwrap_or_default();
    if !matches!(listened, "" | "0.0.0.0" | "::") {
        return Ok(listened.to_owned());
    }
    let Some(service) = values.text(&table::BROKER_SERVICE) else {
        return Ok("localhost".to_owned());
    };
    match (values.text(&table::POD_NAME), values.text(&table::POD_NAMESPACE)) {
        (Some(pod), Some(namespace)) => Ok(format!("{pod}.{service}.{namespace}.svc.cluster.local")),
        _ => Err(ConfigError::new(format!(
            "{} is {service:?}, but POD_NAME and POD_NAMESPACE are not both set, so the broker does not know which \
             host to tell its clients; set them from the downward API, or set KAFSCALE_BROKER_HOST",
            values.origin(&table::BROKER_SERVICE),
        ))),
    }
}

fn node_id(values: &Values) -> Result<i32, ConfigError> {
    if let Some(id) = values.number(&table::BROKER_ID)? {
        return Ok(id);
    }
    let ordinal = values
        .text(&table::POD_NAME)
        .and_then(|pod| pod.rsplit_once('-')?.1.parse().ok());
    Ok(ordinal.filter(|id| *id >= 0).unwrap_or(0))
}

fn engine(values: &Values) -> Result<Settings, ConfigError> {
    let settings = Settings {
        namespace: values.text(&table::S3_NAMESPACE).unwrap_or_default(),
        broker_id: node_id(values)?,
        wal: WalSettings {
            object_bytes: values.number(&table::SEGMENT_BYTES)?,
            gather_ms: values.number(&table::WAL_GATHER_MS)?,
            flush_interval_ms: values.required(&table::FLUSH_INTERVAL_MS)?,
            puts_per_second: values.number(&table::WAL_PUTS_PER_SEC)?,
            in_flight_objects: values.number(&table::WAL_IN_FLIGHT_OBJECTS)?,
            sync_flush: values.flag(&table::PRODUCE_SYNC_FLUSH),
            ..WalSettings::default()
        },
        segment: SegmentSettings {
            max_age_ms: values
                .required::<u64>(&table::LOG_SEGMENT_MAX_AGE_SEC)?
                .saturating_mul(1000),
            ..SegmentSettings::default()
        },
        memory: MemorySettings {
            in_flight_bytes: values.required(&table::IN_FLIGHT_BYTES)?,
            tail_bytes: values.required(&table::TAIL_BYTES)?,
            cache_bytes: values.required(&table::CACHE_BYTES)?,
        },
        topic: TopicDefaults {
            segment_bytes: values.required(&table::LOG_SEGMENT_BYTES)?,
            max_message_bytes: values.required(&table::MESSAGE_MAX_BYTES)?,
            retention_ms: values.required(&table::LOG_RETENTION_MS)?,
            retention_bytes: values.required(&table::LOG_RETENTION_BYTES)?,
        },
    };
    settings
        .validate()
        .map_err(|error| ConfigError::new(error.to_string()))?;
    Ok(settings)
}

fn net(values: &Values) -> Result<NetSettings, ConfigError> {
    let max_connections = values.required(&table::MAX_CONNECTIONS)?;
    let net = NetSettings {
        max_connections,
        max_connections_per_ip: values
            .number(&table::MAX_CONNECTIONS_PER_IP)?
            .unwrap_or(max_connections),
        idle_timeout: seconds(values, &table::CONNECTION_IDLE_SEC)?,
        header_timeout: seconds(values, &table::REQUEST_HEADER_TIMEOUT_SEC)?,
        write_timeout: seconds(values, &table::WRITE_TIMEOUT_SEC)?,
        max_produce_bytes: values.required(&table::MAX_PRODUCE_REQUEST_BYTES)?,
        max_request_bytes: values.required(&table::MAX_REQUEST_BYTES)?,
        connection_requests: values.required(&table::CONNECTION_REQUESTS)?,
        connection_bytes: values.required(&table::CONNECTION_BYTES)?,
        request_bytes: values.required(&table::REQUEST_BYTES)?,
        fetch_max_bytes: values.required(&table::FETCH_MAX_BYTES)?,
    };
    if net.max_produce_bytes > net.request_bytes || net.max_request_bytes > net.request_bytes / 4 {
        return Err(ConfigError::new(format!(
            "KAFSCALE_REQUEST_BYTES is {}, less than the largest request needs: at least \
             KAFSCALE_MAX_PRODUCE_REQUEST_BYTES ({}) and 4 times KAFSCALE_MAX_REQUEST_BYTES ({})",
            net.request_bytes, net.max_produce_bytes, net.max_request_bytes
        )));
    }
    Ok(net)
}

fn groups(values: &Values) -> Result<GroupSettings, ConfigError> {
    let groups = GroupSettings {
        initial_rebalance_delay: milliseconds(values, &table::GROUP_INITIAL_REBALANCE_DELAY_MS)?,
        min_session_timeout: milliseconds(values, &table::GROUP_MIN_SESSION_TIMEOUT_MS)?,
        max_session_timeout: milliseconds(values, &table::GROUP_MAX_SESSION_TIMEOUT_MS)?,
        max_size: values.required(&table::GROUP_MAX_SIZE)?,
        offset_metadata_max_bytes: values.required(&table::OFFSET_METADATA_MAX_BYTES)?,
    };
    if groups.min_session_timeout > groups.max_session_timeout {
        return Err(ConfigError::new(
            "KAFSCALE_GROUP_MIN_SESSION_TIMEOUT_MS is above KAFSCALE_GROUP_MAX_SESSION_TIMEOUT_MS",
        ));
    }
    Ok(groups)
}
