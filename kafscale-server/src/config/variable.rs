//! What one environment variable is: its name, its flag, what it may hold and what it means.

use std::fmt;

/// One setting of the broker. The variable, its flag, the check of its value, `--help` and
/// `docs/configuration.md` all come from here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variable {
    /// The environment variable.
    pub name: &'static str,
    /// The command line flag without its dashes. Secrets have none: command lines are visible to other users.
    pub flag: Option<&'static str>,
    /// What it may hold.
    pub kind: Kind,
    /// What holds when it is not set.
    pub fallback: Fallback,
    /// Under which heading it is documented.
    pub section: Section,
    /// What it means, in words that stand alone.
    pub meaning: &'static str,
}

/// What a variable may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Something with a scheme and a colon.
    Url,
    /// `host:port`, or `:port` for all interfaces.
    Address,
    /// A whole number.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
        /// What it counts.
        unit: Unit,
    },
    /// A number.
    Real {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
        /// What it counts.
        unit: Unit,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words, whatever their case.
    Choice(&'static [&'static str]),
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// A part of 1.
    Fraction,
    /// Requests per second.
    PerSecond,
}

/// What holds when a variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing; the text says what that means.
    Unset(&'static str),
    /// This value, in the form that the variable itself takes.
    Value(&'static str),
    /// A value found in another way, which the text describes.
    Derived(&'static str),
}

/// The headings of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Where the broker listens and how clients reach it.
    Network,
    /// Where the data is.
    Store,
    /// When the store counts as slow or down.
    Health,
    /// When records are flushed and what that costs.
    Durability,
    /// How much memory is used, and for what.
    Memory,
    /// What topics look like unless they say otherwise.
    Topics,
    /// How much one client may take.
    Limits,
    /// Consumer groups.
    Groups,
    /// Start, stop and logs.
    Process,
}

impl Section {
    /// Every section, in the order of the documentation.
    pub const ALL: &'static [Section] = &[
        Section::Network,
        Section::Store,
        Section::Health,
        Section::Durability,
        Section::Memory,
        Section::Topics,
        Section::Groups,
        Section::Limits,
        Section::Process,
    ];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Section::Network => "Network and identity",
            Section::Store => "Object store",
            Section::Health => "Store health",
            Section::Durability => "Durability and cost",
            Section::Memory => "Memory",
            Section::Topics => "Topics",
            Section::Limits => "Limits for clients",
            Section::Groups => "Consumer groups",
            Section::Process => "Start, stop and logs",
        }
    }
}

impl Unit {
    /// How the unit is written after a number; empty for a plain count.
    pub const fn word(self) -> &'static str {
        match self {
            Unit::Count => "",
            Unit::Bytes => "bytes",
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
            Unit::Fraction => "of 1",
            Unit::PerSecond => "per second",
        }
    }
}

impl Kind {
    /// What stands for the value in `--help`.
    pub const fn placeholder(&self) -> &'static str {
        match self {
            Kind::Text => "TEXT",
            Kind::Url => "URL",
            Kind::Address => "HOST:PORT",
            Kind::Integer {
                unit: Unit::Bytes, ..
            } => "BYTES",
            Kind::Integer {
                unit: Unit::Milliseconds,
                ..
            } => "MS",
            Kind::Integer {
                unit: Unit::Seconds, ..
            } => "SECONDS",
            Kind::Integer { .. } => "N",
            Kind::Real { .. } => "NUMBER",
            Kind::Boolean => "BOOL",
            Kind::Choice(_) => "WORD",
        }
    }

    /// Checks a value that was given, spaces around it removed.
    ///
    /// # Errors
    /// What is allowed, in words that follow "must be".
    pub fn check(&self, value: &str) -> Result<(), String> {
        let fits = match self {
            Kind::Text => true,
            Kind::Url => value
                .split_once(':')
                .is_some_and(|(scheme, _)| !scheme.is_empty()),
            Kind::Address => split_address(value).is_some(),
            Kind::Integer { min, max, .. } => value.parse().is_ok_and(|n: i64| (*min..=*max).contains(&n)),
            Kind::Real { min, max, .. } => value.parse().is_ok_and(|n: f64| (*min..=*max).contains(&n)),
            Kind::Boolean => parse_bool(value).is_some(),
            Kind::Choice(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
        };
        if fits { Ok(()) } else { Err(self.to_string()) }
    }
}

/// What is allowed, in words that follow "must be".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self {
            Kind::Integer { unit, .. } | Kind::Real { unit, .. } => unit.word(),
            _ => "",
        };
        let gap = if unit.is_empty() { "" } else { " " };
        match self {
            Kind::Text => f.write_str("text"),
            Kind::Url => f.write_str("a URL"),
            Kind::Address => f.write_str("host:port, or :port for all interfaces"),
            Kind::Integer { min, max, .. } if *max == i64::MAX => {
                write!(f, "a whole number of at least {min}{gap}{unit}")
            }
            Kind::Integer { min, max, .. } => write!(f, "a whole number from {min} to {max}{gap}{unit}"),
            Kind::Real { min, max, .. } => write!(f, "a number from {min} to {max}{gap}{unit}"),
            Kind::Boolean => f.write_str("true or false (also 1, 0, yes, no, on, off)"),
            Kind::Choice(words) => write!(f, "one of {}", words.join(", ")),
        }
    }
}

/// Reads a boolean as every KafScale program does.
pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Splits `host:port`; the host may be empty, and an IPv6 address stands in brackets.
pub(crate) fn split_address(value: &str) -> Option<(&str, u16)> {
    let (host, port) = value.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host, port.parse().ok()?))
}
