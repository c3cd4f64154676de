//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, incremental_alter_configs_request,
    incremental_alter_configs_response,
};
use kafka_protocol::protocol::StrBytes;
use kafscale_core::settings::TopicDefaults;
use kafscale_core::topic_config::{self, ConfigType, TopicConfigKey};
use kafscale_core::{ConfigChange, ErrorKind, NewTopic, TopicInfo};
use kafscale_wire::ErrorCode;
use tokio::time::Instant;

use super::admin::{change, check_allowed, deadline};
use super::errors::{Asked, Refusal};
use super::{Reply, RequestContext};
use crate::broker::Broker;
use crate::config::{Described, SettingKind};

/// Kafka's numbers of resource types.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Kafka's numbers of config sources.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;
/// Kafka's numbers of config types.
const TYPE_BOOLEAN: i8 = 1;
const TYPE_STRING: i8 = 2;
const TYPE_LONG: i8 = 5;
const TYPE_DOUBLE: i8 = 6;
const TYPE_LIST: i8 = 7;
/// First version with config types and documentation (KIP-569).
const DOCUMENTED: i16 = 3;
/// Incremental operations (KIP-339).
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
/// How long a change may take: these requests have no timeout of their own.
const CHANGE_TIMEOUT_MS: i32 = 30_000;
/// Topics that are changed at the same time.
const AT_ONCE: usize = 32;

/// A topic config as it is in force.
#[derive(Debug)]
pub(super) struct Effective {
    key: &'static TopicConfigKey,
    own: Option<String>,
    default: String,
}

impl Effective {
    pub(super) fn name(&self) -> StrBytes {
        StrBytes::from_static_str(self.key.name)
    }

    pub(super) fn value(&self) -> StrBytes {
        StrBytes::from_string(self.own.clone().unwrap_or_else(|| self.default.clone()))
    }

    pub(super) fn source(&self) -> i8 {
        if self.own.is_some() {
            SOURCE_TOPIC
        } else {
            SOURCE_DEFAULT
        }
    }

    /// The places where a value stands, the one in force first.
    fn synonyms(&self) -> Vec<DescribeConfigsSynonym> {
        let own = self.own.as_ref().map(|value| (value, SOURCE_TOPIC));
        let values = own.into_iter().chain([(&self.default, SOURCE_DEFAULT)]);
        let synonym = |(value, source): (&String, i8)| {
            DescribeConfigsSynonym::default()
                .with_name(self.name())
                .with_value(Some(StrBytes::from_string(value.clone())))
                .with_source(source)
        };
        values.map(synonym).collect()
    }
}

/// All configs of a topic as they are in force.
pub(super) fn effective(topic: &TopicInfo, defaults: &TopicDefaults) -> Vec<Effective> {
    let configs = topic_config::keys().iter().map(|key| Effective {
        key,
        own: topic.configs.get(key.name).cloned(),
        default: key.default_value(defaults),
    });
    configs.collect()
}

/// What of an entry the client wants to see.
#[derive(Clone, Copy)]
struct Detail {
    version: i16,
    synonyms: bool,
    documentation: bool,
}

impl Detail {
    /// Adds what was asked for and the version can say.
    fn apply(
        self,
        entry: DescribeConfigsResourceResult,
        kind: i8,
        words: &'static str,
        synonyms: Vec<DescribeConfigsSynonym>,
    ) -> DescribeConfigsResourceResult {
        let entry = if self.synonyms {
            entry.with_synonyms(synonyms)
        } else {
            entry
        };
        if self.version < DOCUMENTED {
            return entry;
        }
        let words = self.documentation.then(|| StrBytes::from_static_str(words));
        entry.with_config_type(kind).with_documentation(words)
    }
}

/// Describes topics and this broker.
pub(crate) fn describe_configs(context: &RequestContext, request: DescribeConfigsRequest) -> Reply {
    let detail = Detail {
        version: context.api_version,
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let results = request.resources.into_iter().map(|resource| {
        let described = match resource.resource_type {
            TOPIC => describe_topic(&context.broker, &resource.resource_name, detail),
            BROKER => describe_broker(&context.broker, &resource.resource_name, detail),
            other => Err(unknown_resource(other)),
        };
        describe_result(resource, described)
    });
    Reply::ready(DescribeConfigsResponse::default().with_results(results.collect()))
}

fn unknown_resource(number: i8) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        format!("Unsupported resource type: {number}"),
    )
}

fn describe_result(
    resource: DescribeConfigsResource,
    described: Result<Vec<DescribeConfigsResourceResult>, Refusal>,
) -> DescribeConfigsResult {
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name);
    match described {
        Ok(mut configs) => {
            // No list means all; Kafka takes an empty one for the same.
            if let Some(keys) = resource.configuration_keys.filter(|keys| !keys.is_empty()) {
                let keys: HashSet<&str> = keys.iter().map(|key| &**key).collect();
                configs.retain(|config| keys.contains(&*config.name));
            }
            result.with_configs(configs)
        }
        Err(refusal) => result
            .with_error_code(refusal.error.code())
            .with_error_message(refusal.words()),
    }
}

fn describe_topic(
    broker: &Broker,
    name: &str,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let topic = find_topic(broker, name)?;
    let configs = effective(&topic, &broker.config.engine.topic)
        .into_iter()
        .map(|config| {
            let entry = DescribeConfigsResourceResult::default()
                .with_name(config.name())
                .with_value(Some(config.value()))
                .with_config_source(config.source());
            let kind = match config.key.kind {
                ConfigType::Long => TYPE_LONG,
                ConfigType::String => TYPE_STRING,
                ConfigType::List => TYPE_LIST,
            };
            detail.apply(entry, kind, config.key.doc, config.synonyms())
        });
    Ok(configs.collect())
}

fn find_topic(broker: &Broker, name: &str) -> Result<Arc<TopicInfo>, Refusal> {
    broker.engine.topic(name).ok_or_else(|| {
        Refusal::new(
            ErrorCode::UnknownTopicOrPartition,
            "This server does not host this topic-partition.",
        )
    })
}

/// The broker's settings, which nothing changes while it runs. An empty name means the defaults of all brokers, of
/// which there are none.
fn describe_broker(
    broker: &Broker,
    name: &str,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let node = broker.identity.node_id;
    if name.parse() != Ok(node) {
        let words = format!("Unexpected broker id, expected {node} or empty string, but received {name}");
        return Err(Refusal::new(ErrorCode::InvalidRequest, words));
    }
    let identity = &broker.identity;
    let listeners = Described {
        name: "advertised.listeners".to_owned(),
        value: Some(format!("PLAINTEXT://{}:{}", &*identity.host, identity.port)),
        given: true,
        secret: false,
        kind: SettingKind::Text,
        meaning: "Where clients are told to connect.",
    };
    let settings = [&listeners].into_iter().chain(&broker.config.described);
    Ok(settings
        .map(|setting| describe_setting(setting, detail))
        .collect())
}

fn describe_setting(setting: &Described, detail: Detail) -> DescribeConfigsResourceResult {
    let source = if setting.given {
        SOURCE_STATIC_BROKER
    } else {
        SOURCE_DEFAULT
    };
    let name = StrBytes::from_string(setting.name.clone());
    let value = setting.value.clone().map(StrBytes::from_string);
    let entry = DescribeConfigsResourceResult::default()
        .with_name(name.clone())
        .with_value(value.clone())
        .with_read_only(true)
        .with_config_source(source)
        .with_is_sensitive(setting.secret);
    let kind = match setting.kind {
        SettingKind::Text => TYPE_STRING,
        SettingKind::Boolean => TYPE_BOOLEAN,
        SettingKind::Integer => TYPE_LONG,
        SettingKind::Real => TYPE_DOUBLE,
    };
    let synonym = DescribeConfigsSynonym::default()
        .with_name(name)
        .with_value(value)
        .with_source(source);
    detail.apply(entry, kind, setting.meaning, vec![synonym])
}

/// Replaces all configs of topics by those that are named.
pub(crate) fn alter_configs(context: RequestContext, request: AlterConfigsRequest) -> Reply {
    Reply::later(async move {
        let validate_only = request.validate_only;
        let deadline = deadline(CHANGE_TIMEOUT_MS);
        let broker = context.broker;
        let responses = stream::iter(request.resources).map(|resource| {
            let broker = Arc::clone(&broker);
            async move {
                let named = resource
                    .configs
                    .iter()
                    .map(|config| (config.name.to_string(), config.value.clone()));
                let plan = plan_replacement(&broker, resource.resource_type, &resource.resource_name, named);
                let outcome = apply(&broker, plan, validate_only, deadline).await;
                let response = AlterConfigsResourceResponse::default()
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name);
                match outcome {
                    Ok(()) => response,
                    Err(refusal) => response
                        .with_error_code(refusal.error.code())
                        .with_error_message(refusal.words()),
                }
            }
        });
        AlterConfigsResponse::default().with_responses(responses.buffered(AT_ONCE).collect().await)
    })
}

/// Changes the configs of topics that are named, and no others (KIP-339).
pub(crate) fn incremental_alter_configs(
    context: RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> Reply {
    use incremental_alter_configs_response::AlterConfigsResourceResponse;
    Reply::later(async move {
        let validate_only = request.validate_only;
        let deadline = deadline(CHANGE_TIMEOUT_MS);
        let broker = context.broker;
        let responses = stream::iter(request.resources).map(|resource| {
            let broker = Arc::clone(&broker);
            async move {
                let plan = plan_increments(&broker, &resource);
                let outcome = apply(&broker, plan, validate_only, deadline).await;
                let response = AlterConfigsResourceResponse::default()
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name);
                match outcome {
                    Ok(()) => response,
                    Err(refusal) => response
                        .with_error_code(refusal.error.code())
                        .with_error_message(refusal.words()),
                }
            }
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.buffered(AT_ONCE).collect().await)
    })
}

/// A topic, and what is to change.
type Plan = (Arc<TopicInfo>, Vec<ConfigChange>);

fn topic_to_change(broker: &Broker, resource_type: i8, name: &str) -> Result<Arc<TopicInfo>, Refusal> {
    check_allowed(broker)?;
    match resource_type {
        TOPIC => find_topic(broker, name),
        BROKER => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "a broker's settings are environment variables and flags; they cannot be changed while it runs",
        )),
        other => Err(unknown_resource(other)),
    }
}

fn plan_replacement(
    broker: &Broker,
    resource_type: i8,
    name: &str,
    named: impl Iterator<Item = (String, Option<StrBytes>)>,
) -> Result<Plan, Refusal> {
    let topic = topic_to_change(broker, resource_type, name)?;
    let mut wanted = BTreeMap::new();
    for (name, value) in named {
        let Some(value) = value else {
            return Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Null value not supported for : {name}"),
            ));
        };
        if wanted.insert(name.clone(), value.to_string()).is_some() {
            return Err(repeated(&name));
        }
    }
    let gone = topic
        .configs
        .keys()
        .filter(|name| !wanted.contains_key(*name))
        .cloned();
    let mut changes: Vec<ConfigChange> = gone.map(ConfigChange::Unset).collect();
    changes.extend(
        wanted
            .into_iter()
            .map(|(name, value)| ConfigChange::Set(name, value)),
    );
    Ok((topic, changes))
}

fn repeated(name: &str) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        format!("the request names the config {name} more than once"),
    )
}

fn plan_increments(
    broker: &Broker,
    resource: &incremental_alter_configs_request::AlterConfigsResource,
) -> Result<Plan, Refusal> {
    let topic = topic_to_change(broker, resource.resource_type, &resource.resource_name)?;
    let mut seen = HashSet::new();
    let mut changes = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let name = config.name.to_string();
        if !seen.insert(name.clone()) {
            return Err(repeated(&name));
        }
        if config.config_operation == DELETE {
            // Deleting what is not there is no error, but a name that does not exist is.
            known(&name)?;
            changes.push(ConfigChange::Unset(name));
            continue;
        }
        let Some(value) = config.value.as_deref() else {
            return Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Null value not supported for : {name}"),
            ));
        };
        let value = match config.config_operation {
            SET => value.to_owned(),
            APPEND => edit_list(broker, &topic, &name, value, true)?,
            SUBTRACT => edit_list(broker, &topic, &name, value, false)?,
            other => {
                let words = format!("Unknown operation {other} for config {name}");
                return Err(Refusal::new(ErrorCode::InvalidRequest, words));
            }
        };
        changes.push(ConfigChange::Set(name, value));
    }
    Ok((topic, changes))
}

fn known(name: &str) -> Result<&'static TopicConfigKey, Refusal> {
    topic_config::key(name).ok_or_else(|| {
        Refusal::new(
            ErrorCode::InvalidConfig,
            format!("Unknown topic config name: {name}"),
        )
    })
}

/// Adds words to a config that is a list, or takes them away.
fn edit_list(
    broker: &Broker,
    topic: &TopicInfo,
    name: &str,
    value: &str,
    add: bool,
) -> Result<String, Refusal> {
    let key = known(name)?;
    if key.kind != ConfigType::List {
        let words = format!("Config value append or subtract is not allowed for config key: {name}");
        return Err(Refusal::new(ErrorCode::InvalidConfig, words));
    }
    let now = topic.configs.get(name).cloned();
    let now = now.unwrap_or_else(|| key.default_value(&broker.config.engine.topic));
    let words = |text: &str| -> Vec<String> {
        text.split(',')
            .map(|word| word.trim().to_owned())
            .filter(|word| !word.is_empty())
            .collect()
    };
    let (mut list, named) = (words(&now), words(value));
    if add {
        for word in named {
            if !list.contains(&word) {
                list.push(word);
            }
        }
    } else {
        list.retain(|word| !named.contains(word));
    }
    Ok(list.join(","))
}

async fn apply(
    broker: &Arc<Broker>,
    plan: Result<Plan, Refusal>,
    validate_only: bool,
    deadline: Instant,
) -> Result<(), Refusal> {
    let (topic, changes) = plan?;
    let mut configs = topic.configs.clone();
    for change in &changes {
        match change {
            ConfigChange::Set(name, value) => configs.insert(name.clone(), value.clone()),
            ConfigChange::Unset(name) => configs.remove(name),
        };
    }
    let changed = NewTopic {
        name: topic.name.to_string(),
        partitions: topic.partitions,
        configs,
    };
    if let Err(error) = broker.engine.check_topic(&changed)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(Refusal::from_engine(&error, Asked::Admin));
    }
    if validate_only || changes.is_empty() {
        return Ok(());
    }
    let engine = broker.engine.clone();
    change(deadline, async move {
        engine.alter_topic_configs(&topic.name, changes).await
    })
    .await
}
