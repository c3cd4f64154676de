//! The check of every length in a request before the codec sees it.
//!
//! `kafka_protocol` passes array lengths from the network to the allocator: five hostile bytes ask for 150 GB and
//! abort the process, which no `catch_unwind` stops. The guard therefore walks the body of every request along a
//! table of its fields (`guard/schema.rs` has its vocabulary) and accepts it only if
//!
//! - every length and every array count fits in the bytes that are left,
//! - null stands only where the protocol allows it,
//! - every known tagged field fills exactly the size that it claims,
//! - what decoding will allocate, by the sizes of the codec's own structs, stays below a budget.
//!
//! Bytes after the last field are tolerated, as Kafka's broker does. Strings are not checked for UTF-8, since the
//! codec refuses those without allocating.

mod configs;
mod groups;
mod records;
mod schema;
mod topics;
mod walk;

use std::fmt;

use crate::limits::Limits;
use schema::Schema;

/// How many bytes decoding may allocate for each byte of a request body.
///
/// The hungriest honest requests are OffsetFetch 8 with one-letter groups and LeaveGroup 4 with one-letter members: 4
/// bytes become a struct of 120 bytes, a ratio of 30. The common ones lie between 1 and 8.
pub const DECODED_PER_FRAME_BYTE: usize = 32;

/// What decoding may allocate whatever the size of the body, in bytes: room for one node of a map of unknown tagged
/// fields at each level, and for an error message.
pub const DECODED_BASE: usize = 4096;

/// Why a request body was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardError {
    /// The field, by its name in Kafka's message definition: `topics[3].partitions`.
    pub path: String,
    /// Where in the body, in bytes from its start.
    pub position: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What the guard found wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no table for this API and version.
    NotServed {
        /// The API's number.
        api_key: i16,
        /// The version.
        version: i16,
    },
    /// A value or a length needs more bytes than are left.
    Truncated {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length below -1.
    NegativeLength(i32),
    /// Null where the protocol allows none.
    NotNullable,
    /// A variable-length integer that does not end within 32 bits.
    VarintTooLong,
    /// An array with more elements than the bytes left can hold.
    TooManyElements {
        /// Elements that the array claims.
        count: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A tagged field whose content is shorter or longer than its size says.
    TagSize {
        /// The tag.
        tag: u32,
        /// The size that it claims.
        claimed: usize,
        /// The size of its content.
        content: usize,
    },
    /// Decoding would allocate more than the budget.
    OverBudget {
        /// The budget, in bytes.
        budget: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotServed { api_key, version } => {
                write!(f, "version {version} of API {api_key} is not served")
            }
            Self::Truncated { needed, left } => write!(f, "needs {needed} bytes, {left} are left"),
            Self::NegativeLength(length) => write!(f, "length {length} is negative"),
            Self::NotNullable => f.write_str("must not be null"),
            Self::VarintTooLong => f.write_str("variable-length integer exceeds 32 bits"),
            Self::TooManyElements { count, left } => {
                write!(f, "claims {count} elements, {left} bytes are left")
            }
            Self::TagSize {
                tag,
                claimed,
                content,
            } => {
                write!(f, "tagged field {tag} claims {claimed} bytes but has {content}")
            }
            Self::OverBudget { budget } => write!(f, "would decode to more than {budget} bytes"),
        }
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.path, self.position, self.reason)
    }
}

impl std::error::Error for GuardError {}

/// Checks the body of a request: everything after the request header.
///
/// On success, decoding the body as this API and version allocates at most [`budget`] bytes beside the frame.
///
/// # Errors
/// The first field that breaks a rule of this module, or [`Reason::NotServed`] when the API or the version is not
/// in [`crate::versions::SERVED`].
pub fn check_request(api_key: i16, version: i16, body: &[u8], limits: &Limits) -> Result<(), GuardError> {
    let served = crate::versions::served(api_key).is_some_and(|api| api.serves(version));
    match schema_of(api_key) {
        Some(schema) if served => walk::walk(schema, version, body, budget(body.len(), limits)),
        _ => Err(GuardError {
            path: "api_key".to_owned(),
            position: 0,
            reason: Reason::NotServed { api_key, version },
        }),
    }
}

/// What decoding a body of `length` bytes may allocate, in bytes.
pub const fn budget(length: usize, limits: &Limits) -> usize {
    let budget = DECODED_BASE.saturating_add(DECODED_PER_FRAME_BYTE.saturating_mul(length));
    if budget < limits.max_decoded {
        budget
    } else {
        limits.max_decoded
    }
}

/// The tables, grouped by family.
const SCHEMAS: [&[Schema]; 4] = [
    records::SCHEMAS,
    topics::SCHEMAS,
    groups::SCHEMAS,
    configs::SCHEMAS,
];

fn schema_of(api_key: i16) -> Option<&'static Schema> {
    SCHEMAS
        .iter()
        .copied()
        .flatten()
        .find(|schema| schema.key as i16 == api_key)
}

#[cfg(test)]
mod tests;
