//! How much memory one request frame may claim.

use kafka_protocol::messages::ApiKey;

/// Bounds on one request, in bytes. The defaults admit everything that Kafka's own clients send with default settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest Produce frame. Default 101 MiB: Kafka's `socket.request.max.bytes` of 100 MiB for the records, and
    /// 1 MiB for what surrounds them.
    pub max_produce_frame: usize,
    /// Largest frame of any other request. Default 1 MiB.
    pub max_other_frame: usize,
    /// Most memory that decoding one frame may allocate beside the frame itself. Default 32 MiB, which is 32 times
    /// the largest frame that is not a Produce; see [`DECODED_PER_FRAME_BYTE`](crate::guard::DECODED_PER_FRAME_BYTE).
    pub max_decoded: usize,
}

impl Limits {
    /// The largest frame, without its length prefix, that a request with this API number may have.
    pub const fn frame(&self, api_key: i16) -> usize {
        if api_key == ApiKey::Produce as i16 {
            self.max_produce_frame
        } else {
            self.max_other_frame
        }
    }

    /// The largest frame that any request may have.
    pub const fn largest_frame(&self) -> usize {
        if self.max_produce_frame > self.max_other_frame {
            self.max_produce_frame
        } else {
            self.max_other_frame
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            max_produce_frame: 101 * MIB,
            max_other_frame: MIB,
            max_decoded: 32 * MIB,
        }
    }
}
