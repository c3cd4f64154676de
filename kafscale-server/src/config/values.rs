//! Collects the values of the settings from flags and environment, and checks each of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use super::ConfigError;
use super::nearest::nearest;
use super::table::{ALIASES, OTHER_PROGRAMS, SECRETS, UNSERVED, Unserved, VARIABLES};
use super::variable::{Fallback, Variable, parse_bool};

/// The values that were given, each of them checked, and what deserves a warning.
#[derive(Debug, Default)]
pub struct Values {
    given: BTreeMap<&'static str, Given>,
    /// What was given and has no effect, in words for the log.
    pub warnings: Vec<String>,
}

struct Given {
    value: String,
    /// What the user wrote it in: the variable, its older name, or the flag.
    origin: String,
}

/// Without the value, which may be a secret.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "given in {}", self.origin)
    }
}

impl Values {
    /// Takes the values from `flags` (pairs of a variable's name and the value of its flag), then from `environment`.
    /// A flag wins over its variable. An empty value counts as not set.
    ///
    /// # Errors
    /// The first value that is not allowed, or that asks for something this version does not have.
    pub fn collect(
        flags: impl IntoIterator<Item = (&'static str, String)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Values, ConfigError> {
        let environment = readable(environment)?;
        let mut values = Values::default();
        for (name, value) in flags {
            let flag = VARIABLES
                .iter()
                .find(|v| v.name == name)
                .and_then(|v| v.flag)
                .unwrap_or(name);
            values.give(name, value, format!("--{flag}"));
        }
        for variable in VARIABLES {
            if let Some(value) = environment.get(variable.name)
                && !is_service_link(variable.name, value)
            {
                values.give(variable.name, value.clone(), variable.name.to_owned());
            }
        }
        for (alias, name) in ALIASES {
            if let Some(value) = environment.get(*alias) {
                values.give(name, value.clone(), (*alias).to_owned());
            }
        }
        for variable in VARIABLES {
            values.check(variable)?;
        }
        values.check_unserved(&environment)?;
        values.warn_of_unknown(&environment);
        Ok(values)
    }

    fn give(&mut self, name: &'static str, value: String, origin: String) {
        let value = value.trim().to_owned();
        if !value.is_empty() {
            self.given.entry(name).or_insert(Given { value, origin });
        }
    }

    fn check(&self, variable: &Variable) -> Result<(), ConfigError> {
        let Some(given) = self.given.get(variable.name) else {
            return Ok(());
        };
        variable.kind.check(&given.value).map_err(|allowed| {
            let shown = if SECRETS.contains(&variable.name) {
                "(hidden)"
            } else {
                given.value.as_str()
            };
            ConfigError::new(format!("{} is {shown:?}; it must be {allowed}", given.origin))
        })
    }

    fn check_unserved(&mut self, environment: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        for (name, what, asks_for) in UNSERVED {
            let Some(value) = environment
                .get(*name)
                .map(|value| value.trim())
                .filter(|value| !value.is_empty())
            else {
                continue;
            };
            let refused = match what {
                Unserved::Refuse => true,
                Unserved::RefuseTrue => parse_bool(value) != Some(false),
                Unserved::RefuseOther(harmless) => !value.eq_ignore_ascii_case(harmless),
                Unserved::Warn => {
                    self.warnings.push(format!(
                        "{name} has no effect: this version does not have {asks_for}"
                    ));
                    false
                }
            };
            if refused {
                return Err(ConfigError::new(format!(
                    "{name} asks for {asks_for}, which this version does not have yet; unset it to start without"
                )));
            }
        }
        Ok(())
    }

    fn warn_of_unknown(&mut self, environment: &BTreeMap<String, String>) {
        for (name, value) in environment {
            let known = VARIABLES.iter().any(|variable| variable.name == name)
                || ALIASES.iter().any(|(alias, _)| alias == name)
                || UNSERVED.iter().any(|(unserved, ..)| unserved == name);
            let ours = name.starts_with("KAFSCALE_")
                && !OTHER_PROGRAMS.iter().any(|prefix| name.starts_with(prefix));
            if known || !ours || is_service_link(name, value) {
                continue;
            }
            let hint = match nearest(name, VARIABLES.iter().map(|variable| variable.name)) {
                Some(meant) => format!("; did you mean {meant}?"),
                None => "; `kafscale broker --help` lists those that are".to_owned(),
            };
            self.warnings
                .push(format!("{name} is set but is not a setting of the broker{hint}"));
        }
    }

    /// The value of `variable`: as given, else its default, else none.
    pub fn text(&self, variable: &Variable) -> Option<String> {
        match (self.given.get(variable.name), variable.fallback) {
            (Some(given), _) => Some(given.value.clone()),
            (None, Fallback::Value(default)) => Some(default.to_owned()),
            (None, Fallback::Unset(_) | Fallback::Derived(_)) => None,
        }
    }

    /// The value that was given, without the default.
    pub fn given(&self, variable: &Variable) -> Option<&str> {
        self.given.get(variable.name).map(|given| given.value.as_str())
    }

    /// The variable, alias or flag in which the value was given, for messages.
    pub fn origin<'a>(&'a self, variable: &'a Variable) -> &'a str {
        self.given
            .get(variable.name)
            .map_or(variable.name, |given| given.origin.as_str())
    }

    /// A number.
    ///
    /// # Errors
    /// When the value does not fit the type.
    pub fn number<T: std::str::FromStr>(&self, variable: &Variable) -> Result<Option<T>, ConfigError> {
        self.text(variable)
            .map(|value| {
                value.parse().map_err(|_| {
                    let origin = self.origin(variable);
                    ConfigError::new(format!("{origin} is {value:?}; it must be {}", variable.kind))
                })
            })
            .transpose()
    }

    /// A number that has a default.
    ///
    /// # Errors
    /// When the value does not fit the type.
    pub fn required<T: std::str::FromStr>(&self, variable: &Variable) -> Result<T, ConfigError> {
        self.number(variable)?
            .ok_or_else(|| ConfigError::new(format!("{} is not set and has no default", variable.name)))
    }

    /// A boolean; false when there is neither value nor default.
    pub fn flag(&self, variable: &Variable) -> bool {
        self.text(variable)
            .and_then(|value| parse_bool(&value))
            .unwrap_or(false)
    }
}

/// The variables of the environment that are text. One of ours that is not is an error.
fn readable(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut readable = BTreeMap::new();
    for (name, value) in environment {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => {
                readable.insert(name, value);
            }
            Err(_) if VARIABLES.iter().any(|variable| variable.name == name) => {
                return Err(ConfigError::new(format!("{name} is not valid UTF-8")));
            }
            Err(_) => {}
        }
    }
    Ok(readable)
}

/// Whether Kubernetes set this variable to describe a Service: a Service that is called `kafscale-broker` gives every
/// pod of its namespace `KAFSCALE_BROKER_PORT=tcp://10.0.0.7:9092` and more of the kind.
fn is_service_link(name: &str, value: &str) -> bool {
    let protocols = ["tcp://", "udp://", "sctp://"];
    protocols.iter().any(|protocol| value.starts_with(protocol))
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
            name.split_once(protocol).is_some_and(|(before, after)| {
                before.ends_with(|c: char| c.is_ascii_digit()) && (after.is_empty() || after.starts_with('_'))
            })
        })
}
