//! The broker's configuration: one table of settings, read from flags and environment, checked before anything starts.

mod broker;
mod described;
mod document;
mod nearest;
mod store;
pub mod table;
mod values;
pub mod variable;

pub use broker::{GroupSettings, LogFormat, LogSettings, NetSettings, ServerConfig, TopicSettings};
pub use described::{Described, SettingKind};
pub use document::markdown;
pub use store::StoreConfig;
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
