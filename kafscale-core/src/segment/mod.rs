//! Segments: what is cut from the log for good, and how it is read.

pub(crate) mod list;
pub(crate) mod publish;
pub(crate) mod reader;
