//! From a frame to a decoded request, or to the reason why there is none.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, Bytes};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, StrBytes};
use thiserror::Error;

use crate::guard::{self, GuardError};
use crate::limits::Limits;
use crate::versions;

/// A decoded request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Who asks, and what to answer to.
    pub header: RequestHeader,
    /// What is asked.
    pub body: RequestBody,
}

/// The header of a request. Tagged fields of the header, of which Kafka defines none, are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API's number.
    pub api_key: i16,
    /// The version in which the body is encoded.
    pub api_version: i16,
    /// The number that the response must repeat.
    pub correlation_id: i32,
    /// The name that the client gives itself, if any.
    pub client_id: Option<StrBytes>,
}

macro_rules! request_body {
    ($($variant:ident($request:ident),)*) => {
        /// The body of a request, one variant for each served API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum RequestBody {
            $(#[doc = concat!("A request of the API ", stringify!($variant), ".")] $variant($request),)*
        }

        impl RequestBody {
            /// The API to which the request belongs.
            pub const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$variant(_) => ApiKey::$variant,)*
                }
            }

            /// Decodes a body that the guard has accepted. `None`: no such API here.
            pub(crate) fn decode(key: ApiKey, version: i16, body: &mut Bytes) -> Option<Result<Self, String>> {
                let decoded = match key {
                    $(ApiKey::$variant => $request::decode(body, version).map(Self::$variant),)*
                    _ => return None,
                };
                Some(decoded.map_err(|error| format!("{error:#}")))
            }

            /// Encodes the body, so that tests can compare.
            #[cfg(test)]
            pub(crate) fn encode(&self, version: i16) -> Result<Vec<u8>, String> {
                use kafka_protocol::protocol::Encodable;
                let mut bytes = Vec::new();
                let encoded = match self {
                    $(Self::$variant(request) => request.encode(&mut bytes, version),)*
                };
                encoded.map(|()| bytes).map_err(|error| format!("{error:#}"))
            }
        }
    };
}

request_body! {
    Produce(ProduceRequest),
    Fetch(FetchRequest),
    ListOffsets(ListOffsetsRequest),
    Metadata(MetadataRequest),
    OffsetCommit(OffsetCommitRequest),
    OffsetFetch(OffsetFetchRequest),
    FindCoordinator(FindCoordinatorRequest),
    JoinGroup(JoinGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    SyncGroup(SyncGroupRequest),
    DescribeGroups(DescribeGroupsRequest),
    ListGroups(ListGroupsRequest),
    ApiVersions(ApiVersionsRequest),
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    InitProducerId(InitProducerIdRequest),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
    DescribeConfigs(DescribeConfigsRequest),
    AlterConfigs(AlterConfigsRequest),
    CreatePartitions(CreatePartitionsRequest),
    DeleteGroups(DeleteGroupsRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    OffsetDelete(OffsetDeleteRequest),
    DescribeCluster(DescribeClusterRequest),
}

/// Why a frame did not become a request.
///
/// Kafka's broker answers none of these but the ApiVersions request of an unknown version: it closes the connection.
/// [`RequestError::unsupported_api_versions`] tells the two apart.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The frame ends within the header, or the header is not what its version says.
    #[error("malformed request header: {0}")]
    Header(&'static str),
    /// No served API has this number.
    #[error("API {0} is not served")]
    UnknownApi(i16),
    /// The API is served, but not in this version.
    #[error("version {} of API {} is not served", .0.api_version, .0.api_key)]
    UnsupportedVersion(RequestHeader),
    /// The guard refused the body.
    #[error("malformed request of API {api_key} version {api_version}: {reason}")]
    Malformed {
        /// The API's number.
        api_key: i16,
        /// The version.
        api_version: i16,
        /// Where and what.
        reason: GuardError,
    },
    /// The codec refused the body, for instance a string that is not UTF-8.
    #[error("undecodable request of API {api_key} version {api_version}: {reason}")]
    Undecodable {
        /// The API's number.
        api_key: i16,
        /// The version.
        api_version: i16,
        /// The codec's own words.
        reason: String,
    },
}

impl RequestError {
    /// The header to answer in version 0 with `UNSUPPORTED_VERSION`, when the request is an ApiVersions of a version
    /// that we do not know (KIP-511). `None`: close the connection.
    pub fn unsupported_api_versions(&self) -> Option<&RequestHeader> {
        match self {
            Self::UnsupportedVersion(header) if header.api_key == ApiKey::ApiVersions as i16 => Some(header),
            _ => None,
        }
    }
}

impl RequestHeader {
    /// Reads the header at the start of `frame` and leaves the body in it.
    ///
    /// An ApiVersions request of an unknown version may have a header that we do not know either; then the client id
    /// is left out if it cannot be read, and what remains in `frame` means nothing.
    ///
    /// # Errors
    /// [`RequestError::Header`] and [`RequestError::UnknownApi`].
    pub fn parse(frame: &mut Bytes) -> Result<Self, RequestError> {
        const SHORT: RequestError = RequestError::Header("the frame ends within it");
        let api_key = frame.try_get_i16().map_err(|_| SHORT)?;
        let api_version = frame.try_get_i16().map_err(|_| SHORT)?;
        let correlation_id = frame.try_get_i32().map_err(|_| SHORT)?;
        let api = versions::served(api_key).ok_or(RequestError::UnknownApi(api_key))?;
        let rest = client_id(frame).and_then(|client_id| {
            if api.is_flexible(api_version) {
                skip_tagged_fields(frame)?;
            }
            Ok(client_id)
        });
        let client_id = match rest {
            Ok(client_id) => client_id,
            Err(_) if api.key == ApiKey::ApiVersions && !api.serves(api_version) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            api_key,
            api_version,
            correlation_id,
            client_id,
        })
    }
}

/// The client id has the same encoding in all header versions: a 16-bit length, -1 for null.
fn client_id(frame: &mut Bytes) -> Result<Option<StrBytes>, RequestError> {
    let length = frame
        .try_get_i16()
        .map_err(|_| RequestError::Header("no client id"))?;
    if length == -1 {
        return Ok(None);
    }
    let length =
        usize::try_from(length).map_err(|_| RequestError::Header("negative length of the client id"))?;
    let bytes = split(frame, length).ok_or(RequestError::Header("the client id is longer than the frame"))?;
    StrBytes::from_utf8(bytes)
        .map(Some)
        .map_err(|_| RequestError::Header("the client id is not UTF-8"))
}

fn skip_tagged_fields(frame: &mut Bytes) -> Result<(), RequestError> {
    const BROKEN: RequestError = RequestError::Header("broken tagged fields");
    // Ends at the latest when the frame does: every round takes at least two bytes.
    for _ in 0..varint(frame).ok_or(BROKEN)? {
        varint(frame).ok_or(BROKEN)?;
        let size = varint(frame).ok_or(BROKEN)?;
        split(frame, size as usize).ok_or(BROKEN)?;
    }
    Ok(())
}

fn varint(frame: &mut Bytes) -> Option<u32> {
    let mut value = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = frame.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).ok();
        }
    }
    None
}

fn split(frame: &mut Bytes, size: usize) -> Option<Bytes> {
    (size <= frame.len()).then(|| frame.split_to(size))
}

/// Decodes a frame without its length prefix. Strings and records are slices of the frame, not copies.
///
/// # Errors
/// See [`RequestError`]; all of them mean that the connection has to be closed, except
/// [`RequestError::unsupported_api_versions`].
pub fn decode_request(frame: Bytes, limits: &Limits) -> Result<Request, RequestError> {
    let mut body = frame;
    let header = RequestHeader::parse(&mut body)?;
    let (api_key, api_version) = (header.api_key, header.api_version);
    let api = versions::served(api_key).ok_or(RequestError::UnknownApi(api_key))?;
    if !api.serves(api_version) {
        return Err(RequestError::UnsupportedVersion(header));
    }
    guard::check_request(api_key, api_version, &body, limits).map_err(|reason| RequestError::Malformed {
        api_key,
        api_version,
        reason,
    })?;
    // The guard rules out what is known to go wrong in the codec. What is not known may cost this connection, but
    // not the others.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        RequestBody::decode(api.key, api_version, &mut body)
    }))
    .unwrap_or_else(|_| Some(Err("the codec panicked".to_owned())));
    match decoded {
        None => Err(RequestError::UnknownApi(api_key)),
        Some(Err(reason)) => Err(RequestError::Undecodable {
            api_key,
            api_version,
            reason,
        }),
        Some(Ok(body)) => Ok(Request { header, body }),
    }
}

#[cfg(test)]
mod tests;
