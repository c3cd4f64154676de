//! CRC-32C (Castagnoli), the checksum of record batches, segments and every object of ours: the only door to it.

/// The CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// The CRC-32C of some earlier bytes, whose CRC is `crc`, followed by `bytes`. Start with 0.
#[must_use]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// The CRC-32C of two pieces put together, from the CRC of each and the length of the second in bytes.
/// Costs some microseconds whatever the length, so that known pieces of many kilobytes need not be read again.
#[must_use]
pub fn crc32c_combine(first: u32, second: u32, second_len: usize) -> u32 {
    ::crc32c::crc32c_combine(first, second, second_len)
}

#[cfg(test)]
mod tests;
