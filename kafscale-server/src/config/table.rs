//! The one table of the broker's settings.

use super::variable::Fallback::{Derived, Unset, Value};
use super::variable::{Fallback, Kind, Section, Unit, Variable};

macro_rules! variables {
    ($($section:ident {
        $($constant:ident = $name:literal, $flag:literal, $kind:expr, $fallback:expr, $meaning:literal;)*
    })*) => {
        $($(
            #[doc = concat!("`", $name, "`: ", $meaning)]
            pub const $constant: Variable =
                declare($name, $flag, $kind, $fallback, Section::$section, $meaning);
        )*)*

        /// Every setting of the broker, in the order of its documentation.
        pub const VARIABLES: &[Variable] = &[$($($constant,)*)*];
    };
}

/// A flag of `""` means that there is none.
const fn declare(
    name: &'static str,
    flag: &'static str,
    kind: Kind,
    fallback: Fallback,
    section: Section,
    meaning: &'static str,
) -> Variable {
    let flag = if flag.is_empty() { None } else { Some(flag) };
    Variable {
        name,
        flag,
        kind,
        fallback,
        section,
        meaning,
    }
}

const fn count(min: i64, max: i64) -> Kind {
    Kind::Integer {
        min,
        max,
        unit: Unit::Count,
    }
}

const fn bytes(min: i64, max: i64) -> Kind {
    Kind::Integer {
        min,
        max,
        unit: Unit::Bytes,
    }
}

const fn milliseconds(min: i64, max: i64) -> Kind {
    Kind::Integer {
        min,
        max,
        unit: Unit::Milliseconds,
    }
}

const fn seconds(min: i64, max: i64) -> Kind {
    Kind::Integer {
        min,
        max,
        unit: Unit::Seconds,
    }
}

const FRACTION: Kind = Kind::Real {
    min: 0.0,
    max: 1.0,
    unit: Unit::Fraction,
};
const MIB: i64 = 1 << 20;
const TIB: i64 = 1 << 40;

variables! {
    Network {
        BROKER_ADDR = "KAFSCALE_BROKER_ADDR", "broker-addr", Kind::Address, Value(":9092"),
            "Where the broker listens for Kafka clients. Without a host it listens on all interfaces; a host that is \
             not a wildcard is also the one that clients are told, unless KAFSCALE_BROKER_HOST names another.";
        BROKER_HOST = "KAFSCALE_BROKER_HOST", "broker-host", Kind::Text,
            Derived("the host of KAFSCALE_BROKER_ADDR; else `<POD_NAME>.<KAFSCALE_BROKER_SERVICE>.<POD_NAMESPACE>.svc.cluster.local`; else localhost"),
            "The host that clients are told to connect to.";
        BROKER_PORT = "KAFSCALE_BROKER_PORT", "broker-port", count(1, 65_535),
            Derived("the port of KAFSCALE_BROKER_ADDR"),
            "The port that clients are told to connect to.";
        BROKER_ID = "KAFSCALE_BROKER_ID", "broker-id", count(0, i32::MAX as i64),
            Derived("the number after the last `-` of POD_NAME; else 0"),
            "Kafka's node id of this broker.";
        BROKER_RACK = "KAFSCALE_BROKER_RACK", "broker-rack", Kind::Text, Unset("no rack"),
            "The rack or zone that clients are told this broker is in.";
        BROKER_SERVICE = "KAFSCALE_BROKER_SERVICE", "broker-service", Kind::Text, Unset("not in Kubernetes"),
            "The headless Service of the broker's StatefulSet; with POD_NAME and POD_NAMESPACE it makes the host that \
             clients are told.";
        POD_NAME = "POD_NAME", "", Kind::Text, Unset("not in Kubernetes"),
            "The pod's name, from the downward API.";
        POD_NAMESPACE = "POD_NAMESPACE", "", Kind::Text, Unset("not in Kubernetes"),
            "The pod's namespace, from the downward API.";
        METRICS_ADDR = "KAFSCALE_METRICS_ADDR", "metrics-addr", Kind::Address, Value(":9093"),
            "Where the broker serves /metrics, /healthz and /readyz over HTTP.";
    }
    Store {
        STORE_URL = "KAFSCALE_STORE_URL", "store", Kind::Url,
            Derived("`s3://` with KAFSCALE_S3_BUCKET, or `memory:` with KAFSCALE_USE_MEMORY_S3; the start is refused when nothing names a store"),
            "The bucket that holds everything: `file:///dir` (every write is synced to disk), `s3://bucket/prefix`, or \
             `memory:` (lost when the process ends).";
        USE_MEMORY_S3 = "KAFSCALE_USE_MEMORY_S3", "use-memory-s3", Kind::Boolean, Value("false"),
            "Keeps everything in memory, like `memory:`.";
        S3_BUCKET = "KAFSCALE_S3_BUCKET", "s3-bucket", Kind::Text, Unset("named by KAFSCALE_STORE_URL"),
            "The S3 bucket, like `s3://` with its name.";
        S3_REGION = "KAFSCALE_S3_REGION", "s3-region", Kind::Text,
            Derived("AWS_REGION or AWS_DEFAULT_REGION; else us-east-1"),
            "The region of the bucket. AWS needs it; most other servers do not care.";
        S3_ENDPOINT = "KAFSCALE_S3_ENDPOINT", "s3-endpoint", Kind::Url, Unset("AWS"),
            "URL of an S3 server that is not AWS, http or https.";
        S3_PATH_STYLE = "KAFSCALE_S3_PATH_STYLE", "s3-path-style", Kind::Boolean,
            Derived("true when KAFSCALE_S3_ENDPOINT is set, else false"),
            "Whether the bucket stands in the path of the URL instead of the host name.";
        S3_ACCESS_KEY = "KAFSCALE_S3_ACCESS_KEY", "", Kind::Text,
            Derived("AWS_ACCESS_KEY_ID, web identity, container or instance credentials"),
            "Access key of the bucket. Set it together with KAFSCALE_S3_SECRET_KEY.";
        S3_SECRET_KEY = "KAFSCALE_S3_SECRET_KEY", "", Kind::Text,
            Derived("as KAFSCALE_S3_ACCESS_KEY"),
            "Secret key of the bucket.";
        S3_SESSION_TOKEN = "KAFSCALE_S3_SESSION_TOKEN", "", Kind::Text, Unset("long-lived keys"),
            "Session token that belongs to temporary keys.";
        S3_KMS_ARN = "KAFSCALE_S3_KMS_ARN", "s3-kms-arn", Kind::Text, Unset("the bucket's own encryption"),
            "ARN of the KMS key with which every object is encrypted (SSE-KMS).";
        S3_NAMESPACE = "KAFSCALE_S3_NAMESPACE", "s3-namespace", Kind::Text, Value("default"),
            "First component of the key of every object; several clusters may share a bucket under different names.";
        S3_CONCURRENCY = "KAFSCALE_S3_CONCURRENCY", "s3-concurrency", count(1, 4096), Value("64"),
            "Requests to the store that may run at the same time.";
    }
    Health {
        S3_HEALTH_WINDOW_SEC = "KAFSCALE_S3_HEALTH_WINDOW_SEC", "s3-health-window-sec", seconds(1, 3600), Value("60"),
            "How far back the store's latency and errors count.";
        S3_LATENCY_WARN_MS = "KAFSCALE_S3_LATENCY_WARN_MS", "s3-latency-warn-ms", milliseconds(1, 3_600_000), Value("500"),
            "Mean latency from which the store counts as degraded.";
        S3_LATENCY_CRIT_MS = "KAFSCALE_S3_LATENCY_CRIT_MS", "s3-latency-crit-ms", milliseconds(1, 3_600_000), Value("3000"),
            "Mean latency from which the store counts as unavailable.";
        S3_ERROR_RATE_WARN = "KAFSCALE_S3_ERROR_RATE_WARN", "s3-error-rate-warn", FRACTION, Value("0.2"),
            "Part of failed requests from which the store counts as degraded.";
        S3_ERROR_RATE_CRIT = "KAFSCALE_S3_ERROR_RATE_CRIT", "s3-error-rate-crit", FRACTION, Value("0.6"),
            "Part of failed requests from which the store counts as unavailable.";
    }
    Durability {
        PRODUCE_SYNC_FLUSH = "KAFSCALE_PRODUCE_SYNC_FLUSH", "produce-sync-flush", Kind::Boolean, Value("true"),
            "Whether a produce with acks=1 or acks=all is answered only when its records are in the bucket. With false \
             it is answered at once, and a crash loses up to KAFSCALE_FLUSH_INTERVAL_MS of records.";
        SEGMENT_BYTES = "KAFSCALE_SEGMENT_BYTES", "segment-bytes", bytes(1, 256 * MIB),
            Derived("1048576 on a local directory, 4194304 elsewhere"),
            "Bytes of waiting records that trigger a flush: the size of one write-ahead object.";
        FLUSH_INTERVAL_MS = "KAFSCALE_FLUSH_INTERVAL_MS", "flush-interval-ms", milliseconds(1, 60_000), Value("500"),
            "How long records whose producer does not wait may stay out of the bucket.";
        WAL_PUTS_PER_SEC = "KAFSCALE_WAL_PUTS_PER_SEC", "wal-puts-per-sec",
            Kind::Real { min: 0.01, max: 100_000.0, unit: Unit::PerSecond },
            Derived("20 on S3, no limit on a local directory and in memory"),
            "PUT requests per second that flushes may cost in the long run; 20 are about 260 dollars a month at S3's \
             list price. An idle broker flushes at once, a busy one gathers more records into each object.";
        WAL_GATHER_MS = "KAFSCALE_WAL_GATHER_MS", "wal-gather-ms", milliseconds(0, 10_000),
            Derived("0 on a local directory and in memory, 2 elsewhere"),
            "How long a record waits for company when a flush could start at once.";
        WAL_IN_FLIGHT_OBJECTS = "KAFSCALE_WAL_IN_FLIGHT_OBJECTS", "wal-in-flight-objects", count(1, 256),
            Derived("4 on a local directory, 16 elsewhere"),
            "Write-ahead objects that may be on their way to the store at the same time.";
        LOG_SEGMENT_BYTES = "KAFSCALE_LOG_SEGMENT_BYTES", "log-segment-bytes", bytes(1, 1 << 30), Value("67108864"),
            "Size at which a partition's records are cut into a segment, unless the topic has its own segment.bytes.";
        LOG_SEGMENT_MAX_AGE_SEC = "KAFSCALE_LOG_SEGMENT_MAX_AGE_SEC", "log-segment-max-age-sec", seconds(1, 604_800), Value("600"),
            "Age at which a partition's records are cut into a segment whatever their size.";
    }
    Memory {
        CACHE_BYTES = "KAFSCALE_CACHE_BYTES", "cache-bytes", bytes(0, TIB), Value("33554432"),
            "Memory for blocks of segments that were read.";
        IN_FLIGHT_BYTES = "KAFSCALE_IN_FLIGHT_BYTES", "in-flight-bytes", bytes(MIB, TIB), Value("33554432"),
            "Memory for records that were taken and are not yet in the bucket. Beyond it producers wait.";
        TAIL_BYTES = "KAFSCALE_TAIL_BYTES", "tail-bytes", bytes(0, TIB), Value("33554432"),
            "Memory for the newest records, from which consumers at the end of a partition are served without a request.";
        REQUEST_BYTES = "KAFSCALE_REQUEST_BYTES", "request-bytes", bytes(MIB, TIB), Value("134217728"),
            "Memory for Produce requests that are being read or handled, over all connections; all other requests \
             together have a quarter of it. Beyond it connections are not read.";
    }
    Topics {
        AUTO_CREATE_TOPICS = "KAFSCALE_AUTO_CREATE_TOPICS", "auto-create-topics", Kind::Boolean, Value("true"),
            "Whether a client that asks for a topic which does not exist, and allows it, creates it.";
        AUTO_CREATE_PARTITIONS = "KAFSCALE_AUTO_CREATE_PARTITIONS", "auto-create-partitions", count(1, 10_000), Value("1"),
            "Partitions of a topic that is created without a number of partitions.";
        ALLOW_ADMIN_APIS = "KAFSCALE_ALLOW_ADMIN_APIS", "allow-admin-apis", Kind::Boolean, Value("true"),
            "Whether clients may create, delete and change topics.";
        LOG_RETENTION_MS = "KAFSCALE_LOG_RETENTION_MS", "log-retention-ms", milliseconds(-1, i64::MAX), Value("604800000"),
            "How long records are kept unless the topic has its own retention.ms; -1 keeps them for ever. This version shows the value to clients and removes no records yet.";
        LOG_RETENTION_BYTES = "KAFSCALE_LOG_RETENTION_BYTES", "log-retention-bytes", bytes(-1, i64::MAX), Value("-1"),
            "How many bytes of one partition are kept unless the topic has its own retention.bytes; -1 has no limit. This version shows the value to clients and removes no records yet.";
        MESSAGE_MAX_BYTES = "KAFSCALE_MESSAGE_MAX_BYTES", "message-max-bytes", bytes(1, 1 << 30), Value("1048588"),
            "Largest record batch, unless the topic has its own max.message.bytes.";
    }
    Groups {
        GROUP_INITIAL_REBALANCE_DELAY_MS = "KAFSCALE_GROUP_INITIAL_REBALANCE_DELAY_MS",
            "group-initial-rebalance-delay-ms", milliseconds(0, 300_000), Value("3000"),
            "How long an empty consumer group waits for more members before its first rebalance.";
        GROUP_MIN_SESSION_TIMEOUT_MS = "KAFSCALE_GROUP_MIN_SESSION_TIMEOUT_MS", "group-min-session-timeout-ms",
            milliseconds(1, 86_400_000), Value("6000"),
            "Shortest session timeout that a member of a consumer group may ask for.";
        GROUP_MAX_SESSION_TIMEOUT_MS = "KAFSCALE_GROUP_MAX_SESSION_TIMEOUT_MS", "group-max-session-timeout-ms",
            milliseconds(1, 86_400_000), Value("1800000"),
            "Longest session timeout that a member of a consumer group may ask for.";
        GROUP_MAX_SIZE = "KAFSCALE_GROUP_MAX_SIZE", "group-max-size", count(1, 100_000), Value("1000"),
            "Members that one consumer group may have.";
        OFFSET_METADATA_MAX_BYTES = "KAFSCALE_OFFSET_METADATA_MAX_BYTES", "offset-metadata-max-bytes",
            bytes(0, MIB), Value("4096"),
            "Longest text that a client may store with a committed offset.";
    }
    Limits {
        MAX_CONNECTIONS = "KAFSCALE_MAX_CONNECTIONS", "max-connections", count(1, 1_000_000), Value("10000"),
            "Connections that may be open at the same time. Beyond it new ones are closed at once.";
        MAX_CONNECTIONS_PER_IP = "KAFSCALE_MAX_CONNECTIONS_PER_IP", "max-connections-per-ip", count(1, 1_000_000),
            Derived("KAFSCALE_MAX_CONNECTIONS"),
            "Connections that may be open at the same time from one address.";
        CONNECTION_IDLE_SEC = "KAFSCALE_CONNECTION_IDLE_SEC", "connection-idle-sec", seconds(1, 604_800), Value("600"),
            "Time without a request after which a connection is closed.";
        REQUEST_HEADER_TIMEOUT_SEC = "KAFSCALE_REQUEST_HEADER_TIMEOUT_SEC", "request-header-timeout-sec",
            seconds(1, 3600), Value("10"),
            "Time from the first byte of a request to its eighth. The rest has 30 s, and 1 s more for each 256 KiB.";
        WRITE_TIMEOUT_SEC = "KAFSCALE_WRITE_TIMEOUT_SEC", "write-timeout-sec", seconds(1, 3600), Value("60"),
            "Time without a byte taken by the client after which a connection with an answer to send is closed.";
        MAX_PRODUCE_REQUEST_BYTES = "KAFSCALE_MAX_PRODUCE_REQUEST_BYTES", "max-produce-request-bytes",
            bytes(1024, 1 << 30), Value("105906176"),
            "Largest Produce request.";
        MAX_REQUEST_BYTES = "KAFSCALE_MAX_REQUEST_BYTES", "max-request-bytes", bytes(1024, 1 << 30), Value("1048576"),
            "Largest request of any other kind.";
        CONNECTION_REQUESTS = "KAFSCALE_CONNECTION_REQUESTS", "connection-requests", count(1, 10_000), Value("128"),
            "Unanswered requests of one connection beyond which it is not read.";
        CONNECTION_BYTES = "KAFSCALE_CONNECTION_BYTES", "connection-bytes", bytes(1024, TIB), Value("33554432"),
            "Bytes of unanswered requests of one connection beyond which it is not read. One request is always allowed.";
        FETCH_MAX_BYTES = "KAFSCALE_FETCH_MAX_BYTES", "fetch-max-bytes", bytes(1024, 1 << 30), Value("57671680"),
            "Most bytes of records in the answer to one Fetch, whatever the client asks for. The first batch is always sent.";
    }
    Process {
        STARTUP_TIMEOUT_SEC = "KAFSCALE_STARTUP_TIMEOUT_SEC", "startup-timeout-sec", seconds(1, 3600), Value("30"),
            "Time within which the bucket must have answered the start-up checks; otherwise the process ends.";
        SHUTDOWN_TIMEOUT_SEC = "KAFSCALE_SHUTDOWN_TIMEOUT_SEC", "shutdown-timeout-sec", seconds(1, 3600), Value("30"),
            "Time within which a stopping broker must have finished and flushed what it accepted.";
        LOG_LEVEL = "KAFSCALE_LOG_LEVEL", "log-level", Kind::Choice(&["error", "warn", "warning", "info", "debug", "trace"]), Value("warn"),
            "The least important log lines that are written. The lines at start and stop are always written.";
        LOG_FORMAT = "KAFSCALE_LOG_FORMAT", "log-format", Kind::Choice(&["auto", "text", "json"]), Value("auto"),
            "How log lines look; auto writes text to a terminal and JSON otherwise.";
        TRACE_KAFKA = "KAFSCALE_TRACE_KAFKA", "trace-kafka", Kind::Boolean, Value("false"),
            "Whether every Kafka request is logged, at level debug.";
        THROUGHPUT_WINDOW_SEC = "KAFSCALE_THROUGHPUT_WINDOW_SEC", "throughput-window-sec", seconds(1, 3600), Value("60"),
            "How far back the metrics kafscale_produce_rps and kafscale_fetch_rps look.";
    }
}

/// Older names, used when the newer one is not set.
pub const ALIASES: &[(&str, &str)] = &[("KAFSCALE_CACHE_SIZE", CACHE_BYTES.name)];

/// The variables whose values must never be printed.
pub const SECRETS: &[&str] = &[S3_ACCESS_KEY.name, S3_SECRET_KEY.name, S3_SESSION_TOKEN.name];

/// What happens to a variable of the Go implementation's brokers that this version does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// Any value but an empty one would change what the broker does: the start is refused.
    Refuse,
    /// A true value would change what the broker does: the start is refused.
    RefuseTrue,
    /// Every value but this one would change what the broker does: the start is refused.
    RefuseOther(&'static str),
    /// It tunes something that works differently here: a warning.
    Warn,
}

/// Variables that the Go implementation's brokers know and this version does not serve, and what they ask for.
pub const UNSERVED: &[(&str, Unserved, &str)] = &[
    (
        "KAFSCALE_ETCD_ENDPOINTS",
        Unserved::Refuse,
        "metadata in etcd; this version keeps its metadata in the bucket",
    ),
    (
        "KAFSCALE_ETCD_USERNAME",
        Unserved::Refuse,
        "metadata in etcd; this version keeps its metadata in the bucket",
    ),
    (
        "KAFSCALE_ETCD_PASSWORD",
        Unserved::Refuse,
        "metadata in etcd; this version keeps its metadata in the bucket",
    ),
    (
        "KAFSCALE_S3_READ_BUCKET",
        Unserved::Refuse,
        "reads from a replica bucket",
    ),
    (
        "KAFSCALE_S3_READ_REGION",
        Unserved::Refuse,
        "reads from a replica bucket",
    ),
    (
        "KAFSCALE_S3_READ_ENDPOINT",
        Unserved::Refuse,
        "reads from a replica bucket",
    ),
    (
        "KAFSCALE_ACL_ENABLED",
        Unserved::RefuseTrue,
        "access control lists",
    ),
    ("KAFSCALE_ACL_JSON", Unserved::Warn, "access control lists"),
    ("KAFSCALE_ACL_FILE", Unserved::Warn, "access control lists"),
    ("KAFSCALE_ACL_FAIL_OPEN", Unserved::Warn, "access control lists"),
    (
        "KAFSCALE_PRINCIPAL_SOURCE",
        Unserved::RefuseOther("client_id"),
        "another source of the client's identity",
    ),
    (
        "KAFSCALE_PROXY_PROTOCOL",
        Unserved::RefuseTrue,
        "the PROXY protocol",
    ),
    ("KAFSCALE_CONTROL_ADDR", Unserved::Refuse, "the gRPC control API"),
    (
        "KAFSCALE_READAHEAD_SEGMENTS",
        Unserved::Warn,
        "a read-ahead of whole segments",
    ),
    (
        "KAFSCALE_LAG_SAMPLE_INTERVAL_SEC",
        Unserved::Warn,
        "samples of consumer lag",
    ),
    (
        "KAFSCALE_ENV",
        Unserved::Warn,
        "warnings for values left at their default",
    ),
];

/// Beginnings of the names that belong to other programs of KafScale.
pub const OTHER_PROGRAMS: &[&str] = &[
    "KAFSCALE_PROXY_",
    "KAFSCALE_LFS_",
    "KAFSCALE_OPERATOR_",
    "KAFSCALE_CONSOLE_",
    "KAFSCALE_UI_",
    "KAFSCALE_MCP_",
    "KAFSCALE_ICEBERG_",
    "KAFSCALE_DEMO_",
    "KAFSCALE_IDOC_",
    "KAFSCALE_E2E",
    "KAFSCALE_TEST_",
    "KAFSCALE_BENCH_",
];
