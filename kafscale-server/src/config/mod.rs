//! The broker's configuration: one table of settings, read from flags and environment, checked before anything starts.

mod broker;
mod document;
mod nearest;
pub mod table;
mod values;
pub mod variable;

pub use broker::{
    GroupSettings, HealthConfig, LogFormat, LogSettings, NetSettings, S3Config, ServerConfig, StoreConfig,
    TopicSettings,
};
pub use document::markdown;
pub use values::Values;

use thiserror::Error;

/// A configuration that cannot be used, in words that say what to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> ConfigError {
        ConfigError(message.into())
    }
}

#[cfg(test)]
mod tests;
