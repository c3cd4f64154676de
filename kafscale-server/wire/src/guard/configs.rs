//! Tables of the requests about configurations.

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{alter_configs_request, incremental_alter_configs_request};

use super::schema::{Schema, boolean, int8, request, string, strings, structs};

pub(super) const SCHEMAS: &[Schema] = &[DESCRIBE_CONFIGS, ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS];

const DESCRIBE_CONFIGS: Schema = request(
    ApiKey::DescribeConfigs,
    4,
    &[
        structs::<DescribeConfigsResource>(
            "resources",
            &[
                int8("resource_type"),
                string("resource_name"),
                strings("configuration_keys").nullable(),
            ],
        ),
        boolean("include_synonyms"),
        boolean("include_documentation").since(3),
    ],
);

const ALTER_CONFIGS: Schema = request(
    ApiKey::AlterConfigs,
    2,
    &[
        structs::<alter_configs_request::AlterConfigsResource>(
            "resources",
            &[
                int8("resource_type"),
                string("resource_name"),
                structs::<alter_configs_request::AlterableConfig>(
                    "configs",
                    &[string("name"), string("value").nullable()],
                ),
            ],
        ),
        boolean("validate_only"),
    ],
);

const INCREMENTAL_ALTER_CONFIGS: Schema = request(
    ApiKey::IncrementalAlterConfigs,
    1,
    &[
        structs::<incremental_alter_configs_request::AlterConfigsResource>(
            "resources",
            &[
                int8("resource_type"),
                string("resource_name"),
                structs::<incremental_alter_configs_request::AlterableConfig>(
                    "configs",
                    &[
                        string("name"),
                        int8("config_operation"),
                        string("value").nullable(),
                    ],
                ),
            ],
        ),
        boolean("validate_only"),
    ],
);
