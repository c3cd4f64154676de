//! The compression codecs of record batches, with a hard limit on what comes out.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;

/// The first eight bytes of Snappy in the framing of the Java library, which Java clients send.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version and lowest compatible version.
const XERIAL_HEADER_LEN: usize = 16;
/// Input bytes of a block that we write: the Java library's default.
const XERIAL_BLOCK_LEN: usize = 32 * 1024;
/// An element of three bytes gives at most 64 bytes, so that no Snappy block grows more than this.
const SNAPPY_MAX_GROWTH: usize = 22;
/// The first guess at how much comes out of a byte that goes in; JSON and text rarely reach it.
const USUAL_GROWTH: usize = 8;
/// The least room taken for output.
const MIN_ROOM: usize = 4096;

/// Why bytes could not be decompressed or compressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More comes out than is allowed.
    #[error("more than {limit} bytes come out of the {} data", codec.name())]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// The most bytes allowed.
        limit: usize,
    },
    /// The bytes are not what the codec writes.
    #[error("the {} data is broken: {reason}", codec.name())]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What the codec's decoder says.
        reason: String,
    },
    /// The codec has no such level.
    #[error("{} has no compression level {level}, only {lowest} to {highest}", codec.name())]
    Level {
        /// The codec.
        codec: Compression,
        /// The level asked for.
        level: i32,
        /// The lowest that there is.
        lowest: i32,
        /// The highest that there is.
        highest: i32,
    },
    /// The encoder failed.
    #[error("{} cannot compress: {reason}", codec.name())]
    Encoder {
        /// The codec.
        codec: Compression,
        /// What the encoder says.
        reason: String,
    },
}

/// How the records of a batch are compressed: bits 0 to 2 of the batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in the framing of the Java client.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878 (KIP-110).
    Zstd,
}

impl Compression {
    /// The codec with this number (0 to 4), if there is one.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The codec's number in the attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Kafka's name of the codec, as in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Decompresses `input`, as far as at most `limit` bytes come out. Output never takes more memory than `limit`, however
/// small and hostile the input; LZ4 takes up to 9 MiB beside it for its blocks, as large as the frame says.
///
/// # Errors
/// [`CodecError::TooLarge`] or [`CodecError::Corrupt`].
pub fn decompress(codec: Compression, input: &[u8], limit: usize) -> Result<Bytes, CodecError> {
    let out = match codec {
        Compression::None if input.len() > limit => return Err(CodecError::TooLarge { codec, limit }),
        Compression::None => input.to_vec(),
        Compression::Gzip => read_all(codec, MultiGzDecoder::new(input), input.len(), limit)?,
        Compression::Lz4 => read_all(codec, FrameDecoder::new(input), input.len(), limit)?,
        Compression::Snappy => unsnap(input, limit)?,
        Compression::Zstd => unzstd(input, limit)?,
    };
    Ok(out.into())
}

/// Reads `reader` to its end into memory that grows as needed, but not beyond `limit`.
fn read_all(
    codec: Compression,
    mut reader: impl Read,
    input_len: usize,
    limit: usize,
) -> Result<Vec<u8>, CodecError> {
    let corrupt = |error: io::Error| CodecError::Corrupt {
        codec,
        reason: error.to_string(),
    };
    let mut out = Vec::with_capacity(first_room(input_len, limit));
    loop {
        let room = out.capacity().min(limit).saturating_sub(out.len());
        if room == 0 {
            if out.len() < limit {
                out.reserve_exact(out.capacity().max(MIN_ROOM).min(limit - out.len()));
                continue;
            }
            return match reader.read(&mut [0]).map_err(corrupt)? {
                0 => Ok(out),
                _ => Err(CodecError::TooLarge { codec, limit }),
            };
        }
        let read = reader
            .by_ref()
            .take(room as u64)
            .read_to_end(&mut out)
            .map_err(corrupt)?;
        if read < room {
            return Ok(out);
        }
    }
}

fn first_room(input_len: usize, limit: usize) -> usize {
    input_len.saturating_mul(USUAL_GROWTH).max(MIN_ROOM).min(limit)
}

/// One block with the length at its front, or blocks in the framing of the Java library.
fn unsnap(input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    if !input.starts_with(&XERIAL_MAGIC) {
        unsnap_block(input, &mut out, limit)?;
        return Ok(out);
    }
    let cut_off = || snappy_corrupt("it ends inside a block");
    let mut rest = input;
    while !rest.is_empty() {
        // The header may come again: the Java library reads streams that were put one behind the other.
        if rest.starts_with(&XERIAL_MAGIC) {
            rest = rest.get(XERIAL_HEADER_LEN..).ok_or_else(cut_off)?;
            continue;
        }
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let len = usize::try_from(i32::from_be_bytes(*len))
            .map_err(|_| snappy_corrupt("a block length is negative"))?;
        let (block, after) = after.split_at_checked(len).ok_or_else(cut_off)?;
        unsnap_block(block, &mut out, limit)?;
        rest = after;
    }
    Ok(out)
}

fn unsnap_block(block: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
    let broken = |error: snap::Error| snappy_corrupt(&error.to_string());
    let len = snap::raw::decompress_len(block).map_err(broken)?;
    if len > limit.saturating_sub(out.len()) {
        return Err(CodecError::TooLarge {
            codec: Compression::Snappy,
            limit,
        });
    }
    if len > block.len().saturating_mul(SNAPPY_MAX_GROWTH) {
        return Err(snappy_corrupt("a block says that it holds more than it can"));
    }
    let start = out.len();
    out.resize(start + len, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    snap::raw::Decoder::new()
        .decompress(block, room)
        .map_err(broken)?;
    Ok(())
}

fn snappy_corrupt(reason: &str) -> CodecError {
    CodecError::Corrupt {
        codec: Compression::Snappy,
        reason: reason.to_owned(),
    }
}

/// Decompresses in one go into one buffer: unlike a stream that takes no window beside it, which a hostile frame could
/// ask to be 128 MiB. Streams of the Java client do not say their size, so the room is found by trying.
fn unzstd(input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let codec = Compression::Zstd;
    let corrupt = |error: io::Error| CodecError::Corrupt {
        codec,
        reason: error.to_string(),
    };
    let mut decoder = zstd::bulk::Decompressor::new().map_err(corrupt)?;
    let mut room = first_room(input.len(), limit);
    loop {
        let mut out = Vec::with_capacity(room);
        match decoder.decompress_to_buffer(input, &mut out) {
            // The vector may have got more room than it was asked for.
            Ok(_) if out.len() <= limit => return Ok(out),
            Ok(_) => return Err(CodecError::TooLarge { codec, limit }),
            Err(error) if !is_too_small(&error) => return Err(corrupt(error)),
            Err(_) if room >= limit => return Err(CodecError::TooLarge { codec, limit }),
            Err(_) => room = room.saturating_mul(4).min(limit),
        }
    }
}

fn is_too_small(error: &io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<zstd::Error>());
    inner.is_some_and(|inner| inner.is(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall))
}

/// Compresses `input` in the form that Kafka's clients read: Snappy in the Java library's framing, LZ4 in frames of
/// independent blocks of 64 KiB. `level` is that of `compression.gzip.level` (1 to 9) or `compression.zstd.level`;
/// Snappy and LZ4 are written at the one level that there is.
///
/// # Errors
/// [`CodecError::Level`], or [`CodecError::Encoder`] when the codec's library fails.
pub fn compress(codec: Compression, level: Option<i32>, input: &[u8]) -> Result<Vec<u8>, CodecError> {
    let failed = |reason: String| CodecError::Encoder { codec, reason };
    match codec {
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => {
            let level = match level {
                None => flate2::Compression::default(),
                Some(level) => flate2::Compression::new(checked_level(codec, level, 1, 9)?.unsigned_abs()),
            };
            let mut encoder = GzEncoder::new(Vec::with_capacity(input.len() / 2), level);
            encoder
                .write_all(input)
                .map_err(|error| failed(error.to_string()))?;
            encoder.finish().map_err(|error| failed(error.to_string()))
        }
        Compression::Snappy => snap_xerial(input).map_err(|error| failed(error.to_string())),
        Compression::Lz4 => {
            let info = FrameInfo::new()
                .block_size(BlockSize::Max64KB)
                .block_mode(BlockMode::Independent);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(input.len() / 2));
            encoder
                .write_all(input)
                .map_err(|error| failed(error.to_string()))?;
            encoder.finish().map_err(|error| failed(error.to_string()))
        }
        Compression::Zstd => {
            let levels = zstd::compression_level_range();
            let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
            let level = checked_level(codec, level, *levels.start(), *levels.end())?;
            zstd::bulk::compress(input, level).map_err(|error| failed(error.to_string()))
        }
    }
}

fn checked_level(codec: Compression, level: i32, lowest: i32, highest: i32) -> Result<i32, CodecError> {
    if (lowest..=highest).contains(&level) {
        Ok(level)
    } else {
        Err(CodecError::Level {
            codec,
            level,
            lowest,
            highest,
        })
    }
}

fn snap_xerial(input: &[u8]) -> Result<Vec<u8>, snap::Error> {
    let mut out = Vec::with_capacity(XERIAL_HEADER_LEN + input.len() / 2);
    out.extend_from_slice(&XERIAL_MAGIC);
    // Version and lowest compatible version.
    out.extend_from_slice(&1_u32.to_be_bytes());
    out.extend_from_slice(&1_u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    let mut room = vec![0; snap::raw::max_compress_len(XERIAL_BLOCK_LEN.min(input.len()))];
    for block in input.chunks(XERIAL_BLOCK_LEN) {
        let len = encoder.compress(block, &mut room)?;
        // A block of 32 KiB stays far below 4 GiB.
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(room.get(..len).unwrap_or_default());
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
