//! Appends big-endian fields to a buffer: the counterpart of the reader.

use super::error::FormatError;
use crate::checksum::crc32c;

/// Appends `bytes` as they are.
pub(crate) fn put(out: &mut Vec<u8>, bytes: impl AsRef<[u8]>) {
    out.extend_from_slice(bytes.as_ref());
}

/// Appends how many elements follow, in 32 bits.
pub(crate) fn put_count(
    out: &mut Vec<u8>,
    object: &'static str,
    field: &'static str,
    count: usize,
) -> Result<(), FormatError> {
    let count = u32::try_from(count).map_err(|_| FormatError::TooLarge {
        object,
        field,
        size: count as u64,
        limit: u64::from(u32::MAX),
    })?;
    put(out, count.to_be_bytes());
    Ok(())
}

/// Appends a text after its 16-bit length.
pub(crate) fn put_text16(
    out: &mut Vec<u8>,
    object: &'static str,
    field: &'static str,
    text: &str,
) -> Result<(), FormatError> {
    let len = u16::try_from(text.len()).map_err(|_| FormatError::TooLarge {
        object,
        field,
        size: text.len() as u64,
        limit: u64::from(u16::MAX),
    })?;
    put(out, len.to_be_bytes());
    put(out, text);
    Ok(())
}

/// Appends bytes after their 32-bit length.
pub(crate) fn put_bytes32(
    out: &mut Vec<u8>,
    object: &'static str,
    field: &'static str,
    bytes: &[u8],
) -> Result<(), FormatError> {
    put_count(out, object, field, bytes.len())?;
    put(out, bytes);
    Ok(())
}

/// Appends the CRC-32C of everything that is there.
pub(crate) fn put_crc(out: &mut Vec<u8>) {
    let crc = crc32c(out);
    put(out, crc.to_be_bytes());
}
