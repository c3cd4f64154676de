//! The settings as Kafka's tools see them: configs of the broker.

use super::variable::{Kind, Variable};
use super::{Values, table};

/// One setting, as `kafka-configs --describe --entity-type brokers` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Kafka's name where Kafka has the setting, else the variable's: `kafscale.s3.bucket`.
    pub name: String,
    /// The value; `None` for secrets and for what is not set.
    pub value: Option<String>,
    /// Whether somebody gave the value.
    pub given: bool,
    /// Whether the value is hidden.
    pub secret: bool,
    /// The kind of value.
    pub kind: SettingKind,
    /// What the setting means.
    pub meaning: &'static str,
}

/// The kinds of values that Kafka's tools know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Real,
}

/// Settings that Kafka has under a name of its own.
const KAFKA_NAMES: &[(&Variable, &str)] = &[
    (&table::BROKER_ID, "broker.id"),
    (&table::BROKER_RACK, "broker.rack"),
    (&table::AUTO_CREATE_TOPICS, "auto.create.topics.enable"),
    (&table::AUTO_CREATE_PARTITIONS, "num.partitions"),
    (&table::MESSAGE_MAX_BYTES, "message.max.bytes"),
    (&table::LOG_SEGMENT_BYTES, "log.segment.bytes"),
    (&table::LOG_RETENTION_MS, "log.retention.ms"),
    (&table::LOG_RETENTION_BYTES, "log.retention.bytes"),
    (
        &table::GROUP_INITIAL_REBALANCE_DELAY_MS,
        "group.initial.rebalance.delay.ms",
    ),
    (
        &table::GROUP_MIN_SESSION_TIMEOUT_MS,
        "group.min.session.timeout.ms",
    ),
    (
        &table::GROUP_MAX_SESSION_TIMEOUT_MS,
        "group.max.session.timeout.ms",
    ),
    (&table::GROUP_MAX_SIZE, "group.max.size"),
    (&table::OFFSET_METADATA_MAX_BYTES, "offset.metadata.max.bytes"),
    (&table::MAX_CONNECTIONS, "max.connections"),
    (&table::MAX_CONNECTIONS_PER_IP, "max.connections.per.ip"),
    (&table::MAX_PRODUCE_REQUEST_BYTES, "socket.request.max.bytes"),
    (&table::FETCH_MAX_BYTES, "fetch.max.bytes"),
];

/// All settings that have a variable of ours, sorted by name.
pub(super) fn describe(values: &Values, broker_id: i32) -> Vec<Described> {
    let ours = table::VARIABLES
        .iter()
        .filter(|variable| variable.name.starts_with("KAFSCALE_"));
    let mut described: Vec<Described> = ours
        .map(|variable| describe_one(values, variable, broker_id))
        .collect();
    described.sort_by(|left, right| left.name.cmp(&right.name));
    described
}

fn describe_one(values: &Values, variable: &Variable, broker_id: i32) -> Described {
    let kafka = KAFKA_NAMES.iter().find(|(named, _)| named.name == variable.name);
    let name = match kafka {
        Some((_, name)) => (*name).to_owned(),
        None => variable.name.to_ascii_lowercase().replace('_', "."),
    };
    let secret = table::SECRETS.contains(&variable.name);
    let value = if secret {
        None
    } else if variable.name == table::BROKER_ID.name {
        Some(broker_id.to_string())
    } else {
        values.text(variable)
    };
    let kind = match variable.kind {
        Kind::Text | Kind::Url | Kind::Address | Kind::Choice(_) => SettingKind::Text,
        Kind::Integer { .. } => SettingKind::Integer,
        Kind::Real { .. } => SettingKind::Real,
        Kind::Boolean => SettingKind::Boolean,
    };
    Described {
        name,
        value,
        given: values.given(variable).is_some(),
        secret,
        kind,
        meaning: variable.meaning,
    }
}
