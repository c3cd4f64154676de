//! KafScale's storage engine: a Kafka log whose only state is a bucket.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod clock;
mod error;
mod ids;
mod random;

pub use error::{Error, ErrorKind, Result};
pub use ids::{PartitionId, TopicId};
pub use random::Random;
