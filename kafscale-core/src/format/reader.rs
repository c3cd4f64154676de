//! Reads big-endian fields one after the other, and says where it stopped when the bytes do not allow it.

use super::error::FormatError;
use crate::checksum::crc32c;

/// A place in the bytes of one object.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    object: &'static str,
    rest: &'a [u8],
    at: u64,
}

impl<'a> Reader<'a> {
    /// At the front of `bytes`, which lie at `at` in the object.
    pub(crate) fn new(object: &'static str, bytes: &'a [u8], at: u64) -> Self {
        Self {
            object,
            rest: bytes,
            at,
        }
    }

    /// At the front of an object that ends with the CRC-32C of all its other bytes; the CRC is checked and cut off.
    pub(crate) fn with_trailing_crc(object: &'static str, bytes: &'a [u8]) -> Result<Self, FormatError> {
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(Self::new(object, bytes, 0).truncated("checksum", 4));
        };
        let (stored, computed) = (u32::from_be_bytes(*crc), crc32c(body));
        if stored != computed {
            return Err(FormatError::Checksum {
                object,
                at: body.len() as u64,
                stored,
                computed,
            });
        }
        Ok(Self::new(object, body, 0))
    }

    /// Where the next field begins, counted from the front of the object.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    fn truncated(&self, field: &'static str, needed: usize) -> FormatError {
        FormatError::Truncated {
            object: self.object,
            field,
            at: self.at,
            needed: needed as u64,
            left: self.rest.len() as u64,
        }
    }

    /// An error about the value that lies at `at`.
    pub(crate) fn invalid(&self, at: u64, reason: &'static str) -> FormatError {
        FormatError::Value {
            object: self.object,
            at,
            reason,
        }
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FormatError> {
        let Some((array, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(field, N));
        };
        self.rest = rest;
        self.at += N as u64;
        Ok(*array)
    }

    /// The next `len` bytes.
    pub(crate) fn slice(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], FormatError> {
        let Some((slice, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(field, len));
        };
        self.rest = rest;
        self.at += len as u64;
        Ok(slice)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, FormatError> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, FormatError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i16(&mut self, field: &'static str) -> Result<i16, FormatError> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, FormatError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, FormatError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, FormatError> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, FormatError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// A number that must not be negative.
    pub(crate) fn natural_i32(
        &mut self,
        field: &'static str,
        reason: &'static str,
    ) -> Result<i32, FormatError> {
        let at = self.at;
        let number = self.i32(field)?;
        if number < 0 {
            Err(self.invalid(at, reason))
        } else {
            Ok(number)
        }
    }

    /// A number that must not be negative.
    pub(crate) fn natural_i64(
        &mut self,
        field: &'static str,
        reason: &'static str,
    ) -> Result<i64, FormatError> {
        let at = self.at;
        let number = self.i64(field)?;
        if number < 0 {
            Err(self.invalid(at, reason))
        } else {
            Ok(number)
        }
    }

    /// A 32-bit count of elements that take at least `min_size` bytes each, so that room for them may be reserved.
    pub(crate) fn count(&mut self, field: &'static str, min_size: usize) -> Result<usize, FormatError> {
        let at = self.at;
        let count = self.u32(field)?;
        let most = self.rest.len() / min_size.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(FormatError::Count {
                object: self.object,
                field,
                at,
                count: u64::from(count),
                left: self.rest.len() as u64,
            }),
        }
    }

    /// UTF-8 text after its 16-bit length.
    pub(crate) fn text16(&mut self, field: &'static str) -> Result<&'a str, FormatError> {
        let len = self.u16(field)?;
        let at = self.at;
        let bytes = self.slice(field, usize::from(len))?;
        str::from_utf8(bytes).map_err(|_| self.invalid(at, "a text is not UTF-8"))
    }

    /// UTF-8 text after its 32-bit length.
    pub(crate) fn text32(&mut self, field: &'static str) -> Result<&'a str, FormatError> {
        let len = self.count(field, 1)?;
        let at = self.at;
        let bytes = self.slice(field, len)?;
        str::from_utf8(bytes).map_err(|_| self.invalid(at, "a text is not UTF-8"))
    }

    /// The four bytes that mark the kind of object.
    pub(crate) fn magic(&mut self, expected: [u8; 4]) -> Result<(), FormatError> {
        let at = self.at;
        let found = self.array::<4>("magic")?;
        if found == expected {
            Ok(())
        } else {
            Err(FormatError::Magic {
                object: self.object,
                at,
                found,
                expected,
            })
        }
    }

    /// The 16-bit version of the object.
    pub(crate) fn version(&mut self, supported: u16) -> Result<(), FormatError> {
        let at = self.at;
        let found = self.u16("version")?;
        if found == supported {
            Ok(())
        } else {
            Err(FormatError::Version {
                object: self.object,
                at,
                found,
                supported,
            })
        }
    }

    /// `N` bytes that are zero until a later version gives them a meaning.
    pub(crate) fn reserved<const N: usize>(&mut self) -> Result<(), FormatError> {
        let at = self.at;
        let bytes = self.array::<N>("reserved bytes")?;
        if bytes == [0; N] {
            Ok(())
        } else {
            Err(self.invalid(at, "reserved bytes are not zero"))
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(FormatError::Trailing {
            object: self.object,
            at: self.at,
            extra: self.rest.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests;
