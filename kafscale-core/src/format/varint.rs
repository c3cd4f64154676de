//! Zigzag variable-length integers, as inside the records of a batch (Protocol Buffers' `sint32` and `sint64`).

/// The most bytes that a varint takes.
pub const MAX_VARINT_LEN: usize = 5;
/// The most bytes that a varlong takes.
pub const MAX_VARLONG_LEN: usize = 10;

/// Why a variable-length integer could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end inside the number.
    #[error("the bytes end inside a variable-length integer")]
    Truncated,
    /// The number has more bits than its type.
    #[error("a variable-length integer does not fit into {bits} bits")]
    Overflow {
        /// 32 or 64.
        bits: u32,
    },
}

/// Reads a varint from the front of `bytes`: the number and how many bytes it took (1 to 5).
///
/// # Errors
/// The bytes end too early, or the number does not fit into 32 bits.
#[inline]
pub fn decode_varint(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    let (raw, length) = decode_unsigned(bytes, 32)?;
    let raw = u32::try_from(raw).map_err(|_| VarintError::Overflow { bits: 32 })?;
    Ok(((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), length))
}

/// Reads a varlong from the front of `bytes`: the number and how many bytes it took (1 to 10).
///
/// # Errors
/// The bytes end too early, or the number does not fit into 64 bits.
#[inline]
pub fn decode_varlong(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    let (raw, length) = decode_unsigned(bytes, 64)?;
    Ok(((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), length))
}

#[inline]
fn decode_unsigned(bytes: &[u8], bits: u32) -> Result<(u64, usize), VarintError> {
    let mut value = 0_u64;
    let mut shift = 0_u32;
    for (index, byte) in bytes.iter().enumerate() {
        let part = u64::from(byte & 0x7f);
        // The last group may hold fewer than seven bits of the type.
        if shift >= bits || (bits - shift < 7 && part >> (bits - shift) != 0) {
            return Err(VarintError::Overflow { bits });
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
        shift += 7;
    }
    if shift >= bits {
        Err(VarintError::Overflow { bits })
    } else {
        Err(VarintError::Truncated)
    }
}

/// Appends `value` to `out` as a varint.
#[inline]
pub fn encode_varint(value: i32, out: &mut Vec<u8>) {
    encode_varlong(i64::from(value), out);
}

/// Appends `value` to `out` as a varlong.
#[inline]
pub fn encode_varlong(value: i64, out: &mut Vec<u8>) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        // Masked to seven bits, so nothing is lost.
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// How many bytes `value` takes as a varint or varlong (the two agree where both can hold it).
#[inline]
#[must_use]
pub fn encoded_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests;
