//! What can be wrong with a stored object.

use super::batch::BatchError;

/// Why the bytes of a stored object are not what they should be, or why an object cannot be built.
/// `object` names the kind of object, `at` the byte in it, counted from its first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes end too early.
    #[error("{object}: byte {at}: {field} needs {needed} bytes, {left} are left")]
    Truncated {
        /// The kind of object.
        object: &'static str,
        /// What was to be read.
        field: &'static str,
        /// Where it begins.
        at: u64,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that there are.
        left: u64,
    },
    /// The object does not begin, or end, with the four bytes that mark its kind.
    #[error("{object}: byte {at}: the magic is \"{}\", not \"{}\"", found.escape_ascii(), expected.escape_ascii())]
    Magic {
        /// The kind of object.
        object: &'static str,
        /// Where the magic is.
        at: u64,
        /// The four bytes there.
        found: [u8; 4],
        /// The four bytes that mark the object.
        expected: [u8; 4],
    },
    /// A version that this program does not read.
    #[error("{object}: byte {at}: version {found} is not supported, only {supported} is")]
    Version {
        /// The kind of object.
        object: &'static str,
        /// Where the version is.
        at: u64,
        /// The version there.
        found: u16,
        /// The version that is read.
        supported: u16,
    },
    /// The checksum does not match the bytes.
    #[error("{object}: byte {at}: the CRC-32C says {stored:#010x}, the bytes have {computed:#010x}")]
    Checksum {
        /// The kind of object.
        object: &'static str,
        /// Where the checksum is.
        at: u64,
        /// The checksum there.
        stored: u32,
        /// The checksum of the bytes that it covers.
        computed: u32,
    },
    /// More elements than the bytes that follow can hold.
    #[error("{object}: byte {at}: {count} {field} cannot lie in the {left} bytes that follow")]
    Count {
        /// The kind of object.
        object: &'static str,
        /// The elements.
        field: &'static str,
        /// Where the count is.
        at: u64,
        /// The count.
        count: u64,
        /// Bytes that follow.
        left: u64,
    },
    /// A field whose value is not possible.
    #[error("{object}: byte {at}: {reason}")]
    Value {
        /// The kind of object.
        object: &'static str,
        /// Where the field is.
        at: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Bytes after the end of the object.
    #[error("{object}: {extra} bytes follow after its end at byte {at}")]
    Trailing {
        /// The kind of object.
        object: &'static str,
        /// Where the object ends.
        at: u64,
        /// Bytes after it.
        extra: u64,
    },
    /// A record batch in the object is broken.
    #[error("{object}: the batch at byte {at}: {source}")]
    Batch {
        /// The kind of object.
        object: &'static str,
        /// Where the batch begins.
        at: u64,
        /// What is wrong with it.
        source: BatchError,
    },
    /// What was to be written does not fit into the format.
    #[error("{object}: {field} is {size}, the format holds at most {limit}")]
    TooLarge {
        /// The kind of object.
        object: &'static str,
        /// What is too large.
        field: &'static str,
        /// Its size or count.
        size: u64,
        /// The largest that the format can hold.
        limit: u64,
    },
    /// The parts of an object to be built contradict each other.
    #[error("{object}: {reason}")]
    Misuse {
        /// The kind of object.
        object: &'static str,
        /// The contradiction.
        reason: &'static str,
    },
}
