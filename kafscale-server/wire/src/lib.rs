//! Kafka's wire protocol for KafScale: what stands between a socket and a decoded request, and back.
//!
//! ```text
//! socket -> frame -> request (guard, then codec) -> the server
//! socket <- response, fetch_response            <- the server
//! ```
//!
//! - [`frame`]: frames with a length prefix, read without trusting the length
//! - [`limits`]: how much memory a frame may claim
//! - [`guard`]: the check of every length in a request before the codec sees it
//! - [`request`]: from a frame to a decoded request, or to the reason why there is none
//! - [`response`]: from a response to chunks of bytes, and from chunks to the socket
//! - [`fetch_response`]: the Fetch response without a copy of the records
//! - [`versions`]: the APIs and versions that are served
//! - [`error_code`]: Kafka's error numbers
//! - `client` (feature `client`): a small client for tests, tools and the load generator
//!
//! The message structs are those of [`kafka_protocol`], which is exported so that all users have the same version; so is
//! [`Uuid`], in which they hold topic ids.

#[cfg(feature = "client")]
pub mod client;
pub mod error_code;
pub mod fetch_response;
pub mod frame;
pub mod guard;
pub mod limits;
pub mod request;
pub mod response;
pub mod versions;

pub use error_code::ErrorCode;
pub use kafka_protocol;
pub use limits::Limits;
pub use request::{Request, RequestBody, RequestError, RequestHeader, decode_request};
pub use response::Response;
pub use uuid::Uuid;
