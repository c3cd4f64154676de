//! From a response to chunks of bytes, and from chunks to the socket.

use std::io::{self, IoSlice};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use thiserror::Error;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error_code::ErrorCode;
use crate::request::RequestHeader;
use crate::versions::SERVED;

/// One response with its length prefix, in pieces that are written one after the other.
pub type Response = Vec<Bytes>;

/// Slices that one system call may take. Linux allows 1024 (`UIO_MAXIOV`); more than a few dozen gain nothing.
const SLICES_PER_WRITE: usize = 64;

/// Why a response could not be encoded: a mistake of the caller, not of the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The codec refused it, for instance because a field is set that the version does not have.
    #[error("response cannot be encoded in version {version}: {reason}")]
    Codec {
        /// The version.
        version: i16,
        /// The codec's own words.
        reason: String,
    },
    /// The response is longer than a length prefix can say.
    #[error("response of {0} bytes exceeds the largest frame")]
    TooLarge(usize),
    /// The version has no such response.
    #[error("version {0} is not served")]
    UnsupportedVersion(i16),
}

/// Encodes the response to the request with this header, in the version of the request.
///
/// # Errors
/// [`EncodeError::Codec`] and [`EncodeError::TooLarge`].
pub fn encode<M: Encodable + HeaderVersion>(
    header: &RequestHeader,
    body: &M,
) -> Result<Response, EncodeError> {
    encode_version(header.correlation_id, header.api_version, body)
}

/// Answers an ApiVersions request of a version that we do not know: version 0, `UNSUPPORTED_VERSION`, our table.
///
/// # Errors
/// As [`encode`].
pub fn unsupported_api_versions(header: &RequestHeader) -> Result<Response, EncodeError> {
    encode_version(
        header.correlation_id,
        0,
        &api_versions(ErrorCode::UnsupportedVersion),
    )
}

/// The ApiVersions response with our table.
pub fn api_versions(error: ErrorCode) -> ApiVersionsResponse {
    let entry = |api: &crate::versions::ServedApi| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.advertised_min)
            .with_max_version(api.max)
    };
    ApiVersionsResponse::default()
        .with_error_code(error.code())
        .with_api_keys(SERVED.iter().map(entry).collect())
}

fn encode_version<M: Encodable + HeaderVersion>(
    correlation_id: i32,
    version: i16,
    body: &M,
) -> Result<Response, EncodeError> {
    let refused = |error: &dyn std::fmt::Display| EncodeError::Codec {
        version,
        reason: error.to_string(),
    };
    // Version 1 of the response header adds tagged fields, of which there are none: one zero byte.
    let flexible_header = M::header_version(version) >= 1;
    let size =
        4 + usize::from(flexible_header) + body.compute_size(version).map_err(|error| refused(&error))?;
    let prefix = frame_prefix(size)?;
    let mut bytes = BytesMut::with_capacity(4 + size);
    bytes.put_i32(prefix);
    bytes.put_i32(correlation_id);
    if flexible_header {
        bytes.put_u8(0);
    }
    body.encode(&mut bytes, version)
        .map_err(|error| refused(&error))?;
    if bytes.len() != 4 + size {
        let reason = format!("the codec announced {} bytes and wrote {}", 4 + size, bytes.len());
        return Err(EncodeError::Codec { version, reason });
    }
    Ok(vec![bytes.freeze()])
}

/// The length prefix of a frame of `size` bytes.
pub(crate) fn frame_prefix(size: usize) -> Result<i32, EncodeError> {
    i32::try_from(size).map_err(|_| EncodeError::TooLarge(size))
}

/// Writes all chunks, several with one system call where the writer can do that. Does not flush.
///
/// # Errors
/// Those of the writer; `WriteZero` when it takes no more bytes.
pub async fn write_chunks<W: AsyncWrite + Unpin>(writer: &mut W, chunks: &[Bytes]) -> io::Result<()> {
    for group in chunks.chunks(SLICES_PER_WRITE) {
        let filled = group.iter().filter(|chunk| !chunk.is_empty());
        let mut slices: Vec<IoSlice<'_>> = filled.map(|chunk| IoSlice::new(chunk)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            let written = writer.write_vectored(left).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut left, written);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
