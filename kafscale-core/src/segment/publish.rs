//! Writes a segment: index first, then the segment itself with create-if-absent, so that a `.kfs` that exists is complete.
//! Who loses the race for a name adopts the winner, but only after checking that it holds the same bytes.

use bytes::Bytes;

use super::list::SegmentPlace;
use crate::checksum::crc32c_append;
use crate::error::{Error, ErrorKind, Result};
use crate::format::segment::{self, BuiltSegment};
use crate::store::{CreateLimit, CreateOutcome, Purpose, Store};

/// Messages between two entries of an index, as the Go implementation has it.
const INDEX_INTERVAL: i32 = 100;

/// What became of a segment that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// It, or an equal one, is in the bucket.
    Done {
        last_offset: i64,
        size: u64,
        max_timestamp: i64,
    },
    /// One of that name is in the bucket that goes on to this offset; whether it holds the same bytes can only be said
    /// with all batches up to there.
    Longer { last_offset: i64 },
}

/// Writes the segment that `chunks` (whole batches in order) make.
pub(crate) async fn publish(
    store: &Store,
    place: &SegmentPlace,
    chunks: &[Bytes],
    created_ms: i64,
) -> Result<Published> {
    let built = segment::build_segment(chunks, created_ms, INDEX_INTERVAL).map_err(|e| {
        Error::new(ErrorKind::Corrupt, "batches of the log do not make a segment").with_source(e)
    })?;
    let base = built.header.base_offset;
    store
        .overwrite(&place.index_key(base), built.index.clone(), Purpose::Segment)
        .await?;
    let key = place.segment_key(base);
    match store
        .create(
            &key,
            &built.payload,
            None,
            CreateLimit::UntilKnown,
            Purpose::Segment,
        )
        .await?
    {
        CreateOutcome::Created => Ok(Published::Done {
            last_offset: built.footer.last_offset,
            size: built.len,
            max_timestamp: built.max_timestamp,
        }),
        CreateOutcome::Exists { .. } => adopt(store, place, &key, chunks, &built).await,
    }
}

/// A segment of this name is there already: from an earlier life of this process that ended between the segment and its
/// record, or from our own request whose answer was lost.
async fn adopt(
    store: &Store,
    place: &SegmentPlace,
    key: &str,
    chunks: &[Bytes],
    ours: &BuiltSegment,
) -> Result<Published> {
    let damaged = |what: String| Error::new(ErrorKind::Corrupt, format!("segment {key} {what}"));
    let bytes = store
        .get(key, Purpose::Segment)
        .await?
        .ok_or_else(|| damaged("was there and is gone: somebody else deletes from this bucket".to_owned()))?;
    let winner = segment::verify(&bytes).map_err(|e| damaged(format!("is damaged: {e}")))?;
    if winner.footer.last_offset > ours.footer.last_offset {
        return Ok(Published::Longer {
            last_offset: winner.footer.last_offset,
        });
    }
    let body = segment::body(&bytes).map_err(|e| damaged(format!("is damaged: {e}")))?;
    if winner.header.base_offset != ours.header.base_offset
        || prefix_crc(chunks, body.len()) != Some(winner.footer.body_crc)
    {
        return Err(damaged(
            "holds other records than the log has for these offsets: it would replace acknowledged records. Somebody \
             else writes into this bucket; move that object away and start again"
                .to_owned(),
        ));
    }
    let index = segment::rebuild_index(&bytes, INDEX_INTERVAL)
        .and_then(|index| index.encode())
        .map_err(|e| damaged(format!("cannot be indexed: {e}")))?;
    store
        .overwrite(
            &place.index_key(ours.header.base_offset),
            index.into(),
            Purpose::Segment,
        )
        .await?;
    Ok(Published::Done {
        last_offset: winner.footer.last_offset,
        size: bytes.len() as u64,
        max_timestamp: winner.max_timestamp,
    })
}

/// CRC-32C of the first `len` bytes; `None` when there are not as many.
fn prefix_crc(chunks: &[Bytes], len: usize) -> Option<u32> {
    let (mut crc, mut left) = (0, len);
    for chunk in chunks {
        let take = chunk.len().min(left);
        crc = crc32c_append(crc, chunk.get(..take)?);
        left -= take;
    }
    (left == 0).then_some(crc)
}

#[cfg(test)]
mod tests;
