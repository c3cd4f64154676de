//! One file per family of Kafka APIs: each turns a decoded request into calls of the engine and an answer.
//!
//! A handler is `async fn name(context: RequestContext, request: NameRequest) -> Reply`. The connection awaits it in
//! the order of the requests, so what a handler does before it returns happens in that order, and a handler that waits
//! stops the connection from reading on. Whatever waits long (durability, long polls, joins) belongs in
//! [`Reply::later`], which runs beside the requests that follow. Answers leave in the order of the requests either way.

pub(crate) mod admin;
pub(crate) mod configs;
pub(crate) mod coordinator;
pub(crate) mod errors;
pub(crate) mod fetch;
pub(crate) mod group_admin;
pub(crate) mod groups;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offsets;
pub(crate) mod produce;
pub(crate) mod topics;
pub(crate) mod versions;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use kafscale_wire::fetch_response::{self, FetchResponse};
use kafscale_wire::response::{self, EncodeError};
use kafscale_wire::{ErrorCode, RequestHeader};

use crate::broker::Broker;
use errors::{Asked, error_code};

/// Kafka's error for an engine's error about records or offsets.
pub(crate) fn records_error(error: &kafscale_core::Error) -> ErrorCode {
    error_code(error, Asked::Records)
}

/// Kafka's error for an engine's error about topics or producer ids.
pub(crate) fn admin_error(error: &kafscale_core::Error) -> ErrorCode {
    error_code(error, Asked::Admin)
}

/// What a handler knows beside the request.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    /// The broker that serves the request.
    pub(crate) broker: Arc<Broker>,
    /// In which version the request came and the answer goes.
    pub(crate) api_version: i16,
    /// How the client calls itself.
    pub(crate) client_id: Option<StrBytes>,
    /// Where the client's end of the connection is.
    pub(crate) peer: SocketAddr,
}

impl RequestContext {
    /// The client's own name, empty when it has none.
    pub(crate) fn client_name(&self) -> &str {
        self.client_id.as_deref().unwrap_or_default()
    }
}

/// A handler's answer.
pub(crate) enum Reply {
    /// It is known.
    Ready(ResponseBody),
    /// It will be known; the requests that follow do not wait for it.
    Later(BoxFuture<'static, ResponseBody>),
    /// There is none: produce with acks=0.
    None,
    /// There is none, and the connection closes: the only way to report an error to a client that wants no answer.
    /// The text says why, for the log.
    Close(String),
}

impl Reply {
    /// An answer that is known.
    pub(crate) fn ready(response: impl Response) -> Reply {
        Reply::Ready(ResponseBody::message(response))
    }

    /// An answer that will be known.
    pub(crate) fn later<R: Response>(response: impl Future<Output = R> + Send + 'static) -> Reply {
        Reply::Later(Box::pin(async move { ResponseBody::message(response.await) }))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reply::Ready(_) => "Ready",
            Reply::Later(_) => "Later",
            Reply::None => "None",
            Reply::Close(_) => "Close",
        })
    }
}

/// The body of an answer: all that follows the response header.
pub(crate) enum ResponseBody {
    /// A message of the codec.
    Message(Box<dyn Response>),
    /// Fetched records, which are sent without a copy.
    Fetched(FetchResponse),
}

impl ResponseBody {
    /// A message of the codec.
    pub(crate) fn message(response: impl Response) -> ResponseBody {
        ResponseBody::Message(Box::new(response))
    }

    /// The whole frame, in pieces that are sent one after the other.
    pub(crate) fn encode(&self, header: &RequestHeader) -> Result<response::Response, EncodeError> {
        match self {
            ResponseBody::Message(message) => message.encode(header),
            ResponseBody::Fetched(fetched) => fetch_response::encode(header, fetched),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResponseBody::Message(_) => "Message",
            ResponseBody::Fetched(_) => "Fetched",
        })
    }
}

/// A response message of the codec, whichever it is.
pub(crate) trait Response: Send + Sync + 'static {
    /// The whole frame of the answer to the request with this header.
    fn encode(&self, header: &RequestHeader) -> Result<response::Response, EncodeError>;
}

impl<T: Encodable + HeaderVersion + Send + Sync + 'static> Response for T {
    fn encode(&self, header: &RequestHeader) -> Result<response::Response, EncodeError> {
        response::encode(header, self)
    }
}
