//! A small client for tests, tools and the load generator.
//!
//! One [`Client`] is one connection to one broker. It is cheap to clone, several requests may be in flight on it,
//! and responses are matched by their correlation id. There is no retrying, no routing to leaders and no rebalancing
//! in it: callers decide. Every wait has a deadline.
//!
//! Responses are bounded by [`ClientOptions::max_response`] but otherwise trusted, as one trusts a broker that one
//! chose: unlike requests in the broker, they pass no guard before they are decoded.

mod connection;
mod operations;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};
use thiserror::Error;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error_code::ErrorCode;
use connection::Connection;

pub use operations::{CommittedOffset, Coordinator, FetchFrom, Fetched, produced};

/// The version of ApiVersions to begin with. Brokers that do not know it answer in version 0.
const FIRST_API_VERSIONS: i16 = 3;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The name that the client gives itself.
    pub client_id: String,
    /// How long to wait for the connection, and for each response. Default 30 seconds.
    pub deadline: Duration,
    /// The largest response, in bytes. Default 128 MiB.
    pub max_response: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            client_id: "kafscale".to_owned(),
            deadline: Duration::from_secs(30),
            max_response: 128 * 1024 * 1024,
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The broker could not be reached.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection is closed, for the reason given.
    #[error("the connection is closed: {0}")]
    Closed(String),
    /// The deadline passed.
    #[error("no answer from the broker within {0:?}")]
    Deadline(Duration),
    /// The broker and this client have no version of the API in common.
    #[error("the broker serves no version of {0:?} that this client knows")]
    NoCommonVersion(ApiKey),
    /// The request cannot be encoded in the version.
    #[error("the request cannot be encoded in version {version}: {reason}")]
    Encode {
        /// The version.
        version: i16,
        /// The codec's own words.
        reason: String,
    },
    /// The answer cannot be decoded, or lacks what was asked for.
    #[error("unusable answer: {0}")]
    Answer(String),
    /// The broker answered with an error.
    #[error("{what}: {error}")]
    Refused {
        /// What was refused.
        what: String,
        /// The broker's error.
        error: ErrorCode,
    },
}

/// A connection to a broker.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Arc<Connection>,
    options: Arc<ClientOptions>,
    /// Lowest and highest version of each API that the broker serves.
    versions: Arc<BTreeMap<i16, (i16, i16)>>,
}

/// An answer that has been asked for and not yet arrived.
#[derive(Debug)]
#[must_use = "the answer is lost if nobody waits for it"]
pub struct Pending<T> {
    frame: oneshot::Receiver<Bytes>,
    connection: Arc<Connection>,
    version: i16,
    allowed: Duration,
    deadline: Instant,
    answer: PhantomData<fn() -> T>,
}

impl Client {
    /// Connects and asks the broker which versions it serves.
    ///
    /// # Errors
    /// [`ClientError::Connect`], [`ClientError::Deadline`], and those of the ApiVersions request.
    pub async fn connect(address: impl ToSocketAddrs, options: ClientOptions) -> Result<Self, ClientError> {
        let stream = timeout(options.deadline, TcpStream::connect(address))
            .await
            .map_err(|_| ClientError::Deadline(options.deadline))?
            .map_err(|error| ClientError::Connect(error.to_string()))?;
        stream
            .set_nodelay(true)
            .map_err(|error| ClientError::Connect(error.to_string()))?;
        let connection = Arc::new(Connection::start(stream, options.max_response));
        let mut client = Self {
            connection,
            options: Arc::new(options),
            versions: Arc::default(),
        };
        let versions = client.ask_versions().await?;
        let ranges = versions
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)));
        client.versions = Arc::new(ranges.collect());
        Ok(client)
    }

    /// The highest version of the API that the broker and this client have in common, at most `most`.
    ///
    /// # Errors
    /// [`ClientError::NoCommonVersion`].
    pub fn version_of<R: Request>(&self, most: i16) -> Result<i16, ClientError> {
        let key = ApiKey::try_from(R::KEY).map_err(|()| ClientError::Answer(format!("no API {}", R::KEY)))?;
        let (min, max) = self
            .versions
            .get(&R::KEY)
            .copied()
            .ok_or(ClientError::NoCommonVersion(key))?;
        let version = max.min(<R as Message>::VERSIONS.max).min(most);
        let lowest = min.max(<R as Message>::VERSIONS.min);
        if version < lowest {
            Err(ClientError::NoCommonVersion(key))
        } else {
            Ok(version)
        }
    }

    /// Sends a request in the highest common version and waits for its answer.
    ///
    /// # Errors
    /// [`ClientError`], except `Refused`: errors inside the answer are the caller's to read.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.dispatch(self.version_of::<R>(i16::MAX)?, request)
            .await?
            .answer()
            .await
    }

    /// Sends a request in the highest common version up to `most` and waits for its answer.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_up_to<R: Request>(&self, most: i16, request: &R) -> Result<R::Response, ClientError> {
        self.dispatch(self.version_of::<R>(most)?, request)
            .await?
            .answer()
            .await
    }

    /// Sends a request in this version and returns as soon as it is queued behind the earlier ones, so that more
    /// requests can follow before the answer arrives.
    ///
    /// # Errors
    /// As [`Client::send`]; [`ClientError::Deadline`] if the broker does not take what is queued already.
    pub async fn dispatch<R: Request>(
        &self,
        version: i16,
        request: &R,
    ) -> Result<Pending<R::Response>, ClientError> {
        let correlation_id = self.connection.next_correlation_id();
        let frame = self.encode(correlation_id, version, request)?;
        let allowed = self.options.deadline;
        let deadline = Instant::now() + allowed;
        let queued = self.connection.ask(correlation_id, frame);
        let frame = timeout_at(deadline, queued)
            .await
            .map_err(|_| ClientError::Deadline(allowed))??;
        let connection = Arc::clone(&self.connection);
        Ok(Pending {
            frame,
            connection,
            version,
            allowed,
            deadline,
            answer: PhantomData,
        })
    }

    /// Sends a request that the broker does not answer: Produce with acks=0.
    ///
    /// # Errors
    /// As [`Client::dispatch`].
    pub async fn post<R: Request>(&self, version: i16, request: &R) -> Result<(), ClientError> {
        let frame = self.encode(self.connection.next_correlation_id(), version, request)?;
        let allowed = self.options.deadline;
        timeout(allowed, self.connection.tell(frame))
            .await
            .map_err(|_| ClientError::Deadline(allowed))?
    }

    async fn ask_versions(&self) -> Result<ApiVersionsResponse, ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("kafscale"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let pending = self.dispatch(FIRST_API_VERSIONS, &request).await?;
        let frame = pending.frame().await?;
        // The error stands first in every version, and an unknown version is answered in version 0 (KIP-511).
        let error = frame.get(4..).and_then(|mut body| body.try_get_i16().ok());
        let answer = if error == Some(ErrorCode::UnsupportedVersion.code()) {
            self.dispatch(0, &ApiVersionsRequest::default())
                .await?
                .answer()
                .await?
        } else {
            decode::<ApiVersionsResponse>(frame, FIRST_API_VERSIONS)?
        };
        refused(answer.error_code, || "ApiVersions".to_owned())?;
        Ok(answer)
    }

    fn encode<R: Request>(
        &self,
        correlation_id: i32,
        version: i16,
        request: &R,
    ) -> Result<Bytes, ClientError> {
        let failed = |reason: String| ClientError::Encode { version, reason };
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_string(self.options.client_id.clone())));
        let header_version = R::header_version(version);
        let size = header
            .compute_size(header_version)
            .and_then(|size| Ok(size + request.compute_size(version)?));
        let size = size.map_err(|error| failed(format!("{error:#}")))?;
        let mut frame = BytesMut::with_capacity(4 + size);
        frame.put_i32(i32::try_from(size).map_err(|_| failed(format!("{size} bytes are no frame")))?);
        let encoded = header
            .encode(&mut frame, header_version)
            .and_then(|()| request.encode(&mut frame, version));
        encoded.map_err(|error| failed(format!("{error:#}")))?;
        Ok(frame.freeze())
    }
}

impl<T: Decodable + HeaderVersion> Pending<T> {
    /// Gives the answer `more` time, for a request that the broker may hold, such as a Fetch with a long poll.
    pub fn extend(mut self, more: Duration) -> Self {
        self.allowed += more;
        self.deadline += more;
        self
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Deadline`] and [`ClientError::Answer`].
    pub async fn answer(self) -> Result<T, ClientError> {
        let version = self.version;
        decode(self.frame().await?, version)
    }

    async fn frame(self) -> Result<Bytes, ClientError> {
        match timeout_at(self.deadline, self.frame).await {
            Err(_) => Err(ClientError::Deadline(self.allowed)),
            Ok(Err(_)) => Err(self.connection.reason()),
            Ok(Ok(frame)) => Ok(frame),
        }
    }
}

/// Decodes a response with its header.
fn decode<T: Decodable + HeaderVersion>(mut frame: Bytes, version: i16) -> Result<T, ClientError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        kafka_protocol::messages::ResponseHeader::decode(&mut frame, T::header_version(version))
            .and_then(|_| T::decode(&mut frame, version))
    }));
    match decoded {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(ClientError::Answer(format!("{error:#}"))),
        Err(_) => Err(ClientError::Answer("the codec panicked".to_owned())),
    }
}

/// Turns an error number of the broker into an error.
fn refused(code: i16, what: impl FnOnce() -> String) -> Result<(), ClientError> {
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        Some(error) => Err(ClientError::Refused { what: what(), error }),
        None => Err(ClientError::Answer(format!(
            "{}: unknown error number {code}",
            what()
        ))),
    }
}

#[cfg(test)]
mod tests;
