//! Reads whole batches out of a segment, block by block.

use std::sync::Arc;

use bytes::Bytes;

use super::list::Segment;
use crate::cache::BlockCache;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{self, BatchHeader};
use crate::format::index::Index;
use crate::format::segment;
use crate::store::Purpose;

/// A place in a segment.
pub(crate) struct Cursor<'a> {
    cache: &'a BlockCache,
    segment: &'a Segment,
    purpose: Purpose,
    /// First byte after the batches.
    body_end: u64,
    block: Bytes,
    block_at: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(cache: &'a BlockCache, segment: &'a Segment, purpose: Purpose) -> Cursor<'a> {
        let body_end = segment.size.saturating_sub(segment::FOOTER_LEN as u64);
        Cursor {
            cache,
            segment,
            purpose,
            body_end,
            block: Bytes::new(),
            block_at: 0,
        }
    }

    /// First byte of the first batch.
    pub(crate) fn start() -> u64 {
        segment::HEADER_LEN as u64
    }

    /// The header of the batch at `position`; `None` at the end.
    pub(crate) async fn header(&mut self, position: u64) -> Result<Option<BatchHeader>> {
        if position >= self.body_end {
            return Ok(None);
        }
        let mut bytes = [0; batch::HEADER_LEN];
        let mut filled = 0;
        while filled < bytes.len() {
            let piece = self.from(position + filled as u64).await?;
            let take = piece.len().min(bytes.len() - filled);
            if let (Some(to), Some(from)) = (bytes.get_mut(filled..filled + take), piece.get(..take)) {
                to.copy_from_slice(from);
            }
            filled += take;
        }
        let header = BatchHeader::parse(&bytes).map_err(|e| self.damaged(position, &e.to_string()))?;
        if position + header.total_len() as u64 > self.body_end {
            return Err(self.damaged(position, "a batch reaches over the segment's end"));
        }
        Ok(Some(header))
    }

    /// The bytes from `start` to `end`, in pieces.
    pub(crate) async fn pieces(&mut self, start: u64, end: u64) -> Result<Vec<Bytes>> {
        let mut pieces = Vec::new();
        let mut position = start;
        while position < end {
            let piece = self.from(position).await?;
            let take = piece
                .len()
                .min(usize::try_from(end - position).unwrap_or(usize::MAX));
            position += take as u64;
            pieces.push(piece.slice(..take));
        }
        Ok(pieces)
    }

    async fn from(&mut self, position: u64) -> Result<Bytes> {
        let within = position
            .checked_sub(self.block_at)
            .and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = within
            && skip < self.block.len()
        {
            return Ok(self.block.slice(skip..));
        }
        self.block = self
            .cache
            .at(&self.segment.key, self.segment.size, position, self.purpose)
            .await?;
        self.block_at = position;
        Ok(self.block.clone())
    }

    pub(crate) fn damaged(&self, position: u64, what: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "segment {} is damaged at byte {position}: {what}",
                self.segment.key
            ),
        )
    }
}

/// The batches from the one that holds `offset` on: whole ones, `max_bytes` at the most, the first one whatever its size. In
/// pieces, which need not be batches.
pub(crate) async fn read(
    cache: &BlockCache,
    segment: &Arc<Segment>,
    offset: i64,
    max_bytes: usize,
    purpose: Purpose,
) -> Result<Vec<Bytes>> {
    let mut cursor = Cursor::new(cache, segment, purpose);
    let mut position = start_position(cache, segment, offset, purpose).await?;
    let first = loop {
        let Some(header) = cursor.header(position).await? else {
            return Err(cursor.damaged(
                position,
                &format!("offset {offset} is missing at the segment's end"),
            ));
        };
        if header.last_offset() >= offset {
            break header;
        }
        position += header.total_len() as u64;
    };
    if first.base_offset > offset {
        return Err(cursor.damaged(position, &format!("offset {offset} is missing")));
    }
    let begin = position;
    let mut end = begin + first.total_len() as u64;
    while let Some(header) = cursor.header_if_within(end, begin, max_bytes).await? {
        end += header.total_len() as u64;
    }
    cursor.pieces(begin, end).await
}

impl Cursor<'_> {
    /// The next batch, if it ends within `max_bytes` from `begin`.
    async fn header_if_within(
        &mut self,
        at: u64,
        begin: u64,
        max_bytes: usize,
    ) -> Result<Option<BatchHeader>> {
        let limit = begin.saturating_add(max_bytes as u64);
        if at + batch::HEADER_LEN as u64 > limit {
            return Ok(None);
        }
        let header = self.header(at).await?;
        Ok(header.filter(|header| at + header.total_len() as u64 <= limit))
    }
}

/// Where to begin to look for `offset`, by the segment's index. Without its index a segment is read from its start.
async fn start_position(
    cache: &BlockCache,
    segment: &Arc<Segment>,
    offset: i64,
    purpose: Purpose,
) -> Result<u64> {
    let Some(bytes) = cache.whole(&segment.index_key, purpose).await? else {
        tracing::warn!(index = %segment.index_key, "the index is missing: its segment is read from the start");
        return Ok(Cursor::start());
    };
    match Index::parse(&bytes) {
        Ok(index) => Ok(index.position_for(offset, segment.size)),
        Err(damage) => {
            tracing::warn!(index = %segment.index_key, %damage, "the index is damaged: its segment is read from the start");
            Ok(Cursor::start())
        }
    }
}

/// The first batch whose largest timestamp is at least `timestamp`, with its bytes.
pub(crate) async fn first_at_or_after(
    cache: &BlockCache,
    segment: &Arc<Segment>,
    timestamp: i64,
    from_offset: i64,
) -> Result<Option<Bytes>> {
    let mut cursor = Cursor::new(cache, segment, Purpose::CatchUp);
    let mut position = Cursor::start();
    while let Some(header) = cursor.header(position).await? {
        let end = position + header.total_len() as u64;
        if header.max_timestamp >= timestamp && header.last_offset() >= from_offset {
            let pieces = cursor.pieces(position, end).await?;
            return Ok(Some(join(pieces)));
        }
        position = end;
    }
    Ok(None)
}

/// The largest timestamp of a segment's records.
pub(crate) async fn max_timestamp(cache: &BlockCache, segment: &Arc<Segment>) -> Result<i64> {
    segment
        .max_timestamp
        .get_or_try_init(|| async {
            let mut cursor = Cursor::new(cache, segment, Purpose::CatchUp);
            let (mut position, mut largest) = (Cursor::start(), -1);
            while let Some(header) = cursor.header(position).await? {
                largest = largest.max(header.max_timestamp);
                position += header.total_len() as u64;
            }
            Ok(largest)
        })
        .await
        .copied()
}

/// Pieces as one.
pub(crate) fn join(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.pop().unwrap_or_default(),
        _ => pieces.concat().into(),
    }
}
