//! Frames with a length prefix, read from a connection without trusting the length.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::Limits;

/// Bytes that one read may take beyond what the current frame needs: enough for many small requests at once.
const READ_AHEAD: usize = 8 * 1024;
/// What a frame gets before its first byte has arrived; beyond it, the buffer doubles as bytes arrive. Memory that is
/// not written to costs address space only, so that this can be as large as usual frames.
const FIRST_ALLOCATION: usize = 1024 * 1024;
/// Length prefix and API number: what must be known to know the limit.
const PREFIX: usize = 4;
const PREFIX_AND_KEY: usize = 6;
/// API number, version and correlation id stand in every request.
const SMALLEST_REQUEST: usize = 8;
/// A correlation id and an error or a throttle time stand in every response.
#[cfg(feature = "client")]
const SMALLEST_RESPONSE: usize = 6;

/// Why no further frame can be read from a connection.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The connection failed, or ended within a frame (`UnexpectedEof`).
    #[error("reading a frame failed: {0}")]
    Io(#[from] io::Error),
    /// The length prefix is negative or too small for a request header.
    #[error("a frame of {0} bytes is too small to hold a header")]
    TooSmall(i32),
    /// The length prefix exceeds the limit.
    #[error("a frame of {size} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Bytes that the prefix claims.
        size: usize,
        /// Bytes that are allowed, for this API if the frame got so far as to name it.
        limit: usize,
    },
}

/// Reads frames from a connection.
///
/// Both methods may be cancelled (by a deadline, in a `select!`) and called again without losing bytes.
/// A connection with deadlines waits in [`FrameReader::wait`] as long as the client may idle, then takes the frame
/// with [`FrameReader::read`] under the deadline for a request that has begun:
///
/// ```
/// # use std::time::Duration;
/// # use kafscale_wire::frame::{FrameError, FrameReader};
/// # async fn serve(mut reader: FrameReader<&[u8]>) -> Result<(), FrameError> {
/// while reader.wait().await? {
///     match tokio::time::timeout(Duration::from_secs(30), reader.read()).await {
///         Ok(frame) => drop(frame?), // decode and answer
///         Err(_) => break,           // the client never finished its request
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrameReader<R> {
    reader: R,
    limits: Limits,
    smallest: usize,
    /// Bytes that were read but belong to no frame yet.
    ahead: BytesMut,
    frame: Option<Partial>,
}

/// What the beginning of a frame says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Its size without the length prefix, within the limit of its API.
    pub size: usize,
    /// The API's number, which may be one that is not served.
    pub api_key: i16,
}

/// A frame that has begun.
#[derive(Debug)]
struct Partial {
    size: usize,
    bytes: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Frames from `reader`, bounded by `limits`.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            reader,
            limits,
            smallest: SMALLEST_REQUEST,
            ahead: BytesMut::new(),
            frame: None,
        }
    }

    /// Responses from `reader`, none of them longer than `limit` bytes.
    #[cfg(feature = "client")]
    pub(crate) fn of_responses(reader: R, limit: usize) -> Self {
        // A response names no API: all of them have the same limit.
        let limits = Limits {
            max_produce_frame: limit,
            max_other_frame: limit,
            ..Limits::default()
        };
        Self {
            smallest: SMALLEST_RESPONSE,
            ..Self::new(reader, limits)
        }
    }

    /// Waits for the first byte of the next frame. `false`: the connection ended between two frames.
    ///
    /// # Errors
    /// [`FrameError::Io`].
    pub async fn wait(&mut self) -> Result<bool, FrameError> {
        if self.frame.is_some() || !self.ahead.is_empty() {
            return Ok(true);
        }
        Ok(self.fill().await? > 0)
    }

    /// Reads as far as the size of the next frame and the number of its API, so that memory can be reserved before the
    /// frame is read. `None`: the connection ended between two frames.
    ///
    /// # Errors
    /// As [`FrameReader::read`].
    pub async fn announced(&mut self) -> Result<Option<Announced>, FrameError> {
        if let Some(Partial { size, bytes }) = &self.frame
            && let Some(key) = bytes.first_chunk()
        {
            return Ok(Some(Announced {
                size: *size,
                api_key: i16::from_be_bytes(*key),
            }));
        }
        loop {
            if let (Some(size), Some([.., high, low])) =
                (self.claimed()?, self.ahead.first_chunk::<PREFIX_AND_KEY>())
            {
                let api_key = i16::from_be_bytes([*high, *low]);
                return Ok(Some(Announced { size, api_key }));
            }
            if self.fill().await? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(ended())
                };
            }
        }
    }

    /// Reads the next frame, without its length prefix. `None`: the connection ended between two frames.
    ///
    /// The frame has an allocation of its own, which it shares with no other frame.
    ///
    /// # Errors
    /// [`FrameError`]; the connection is of no use afterwards.
    pub async fn read(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.read_up_to(usize::MAX).await?.is_none() {
            return Ok(None);
        }
        Ok(self.frame.take().map(|frame| frame.bytes.freeze()))
    }

    /// Reads the next frame until `size` bytes of it are here, or all of it, and says how many are. A frame that came
    /// together with the one before it may be further than that. [`FrameReader::read`] goes on from there.
    /// `None`: the connection ended between two frames.
    ///
    /// # Errors
    /// As [`FrameReader::read`].
    pub async fn read_up_to(&mut self, size: usize) -> Result<Option<usize>, FrameError> {
        loop {
            if let Some(frame) = &mut self.frame {
                let size = size.min(frame.size);
                while frame.bytes.len() < size {
                    read_some(&mut self.reader, frame, size).await?;
                }
                return Ok(Some(frame.bytes.len()));
            }
            if let Some(size) = self.claimed()? {
                self.ahead.advance(PREFIX);
                let here = self.ahead.len().min(size);
                let mut bytes = BytesMut::with_capacity(size.min(FIRST_ALLOCATION));
                bytes.extend_from_slice(&self.ahead.split_to(here));
                self.frame = Some(Partial { size, bytes });
            } else if self.fill().await? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(ended())
                };
            }
        }
    }

    /// The size of the next frame, checked against the limit, once its prefix and its API number are here.
    fn claimed(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.ahead.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let claimed = i32::from_be_bytes(*prefix);
        let size = usize::try_from(claimed).unwrap_or(0);
        if size < self.smallest {
            return Err(FrameError::TooSmall(claimed));
        }
        let within = |limit: usize| match size <= limit {
            true => Ok(()),
            false => Err(FrameError::TooLarge { size, limit }),
        };
        within(self.limits.largest_frame())?;
        match self.ahead.first_chunk::<PREFIX_AND_KEY>() {
            None => Ok(None),
            Some([_, _, _, _, high, low]) => {
                within(self.limits.frame(i16::from_be_bytes([*high, *low])))?;
                Ok(Some(size))
            }
        }
    }

    async fn fill(&mut self) -> Result<usize, FrameError> {
        if self.ahead.capacity() < READ_AHEAD / 2 {
            self.ahead.reserve(READ_AHEAD);
        }
        Ok(self.reader.read_buf(&mut self.ahead).await?)
    }
}

/// Reads bytes of this frame up to `size`, never of the next one.
async fn read_some<R>(reader: &mut R, frame: &mut Partial, size: usize) -> Result<(), FrameError>
where
    R: AsyncRead + Unpin,
{
    let missing = size.saturating_sub(frame.bytes.len());
    if frame.bytes.capacity() == frame.bytes.len() {
        frame.bytes.reserve(missing.min(frame.bytes.len()));
    }
    let read = reader.take(missing as u64).read_buf(&mut frame.bytes).await?;
    if read == 0 { Err(ended()) } else { Ok(()) }
}

fn ended() -> FrameError {
    FrameError::Io(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the connection ended within a frame",
    ))
}

#[cfg(test)]
mod tests;
