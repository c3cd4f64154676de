//! Blocks of stored objects, kept by bytes; a block that many readers want is fetched once.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::segment::list::missing;
use crate::store::{Purpose, Store, StoreKind};

/// A cache of equally long blocks.
pub(crate) struct BlockCache {
    store: Store,
    blocks: moka::future::Cache<(Arc<str>, u64), Bytes>,
    block_bytes: u64,
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockCache")
            .field("block_bytes", &self.block_bytes)
            .finish_non_exhaustive()
    }
}

impl BlockCache {
    /// A cache of `capacity` bytes. Blocks are 4 MiB, so that a GET is worth its price; 1 MiB where a read costs nothing.
    pub(crate) fn new(store: Store, capacity: u64) -> BlockCache {
        let block_bytes = if store.kind() == StoreKind::Remote {
            4 << 20
        } else {
            1 << 20
        };
        let blocks = moka::future::Cache::builder()
            // Eviction is lazy and overshoots under load: leave room for it.
            .max_capacity(capacity / 10 * 8)
            .weigher(|(key, _): &(Arc<str>, u64), block: &Bytes| {
                u32::try_from(block.len() + key.len() + 64).unwrap_or(u32::MAX)
            })
            .build();
        BlockCache {
            store,
            blocks,
            block_bytes,
        }
    }

    /// The store whose blocks these are.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The block that holds byte `position` of an object of `size` bytes, from that byte on.
    pub(crate) async fn at(
        &self,
        key: &Arc<str>,
        size: u64,
        position: u64,
        purpose: Purpose,
    ) -> Result<Bytes> {
        let number = position / self.block_bytes;
        let start = number * self.block_bytes;
        let end = (start + self.block_bytes).min(size);
        if position >= end {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("object {key} has {size} bytes, but byte {position} is wanted"),
            ));
        }
        let block = self
            .blocks
            .try_get_with((Arc::clone(key), number), async {
                let block = self
                    .store
                    .get_range(key, start..end, purpose)
                    .await?
                    .ok_or_else(|| missing(key))?;
                if block.len() as u64 != end - start {
                    return Err(Error::new(
                        ErrorKind::Corrupt,
                        format!("object {key} is shorter than the {size} bytes it should have"),
                    ));
                }
                Ok(block)
            })
            .await
            .map_err(|error: Arc<Error>| error.duplicate())?;
        let skip = usize::try_from(position - start).unwrap_or(usize::MAX);
        Ok(block.slice(skip.min(block.len())..))
    }

    /// A small object as a whole, such as an index; `None` when it is not there.
    pub(crate) async fn whole(&self, key: &Arc<str>, purpose: Purpose) -> Result<Option<Bytes>> {
        if let Some(found) = self.blocks.get(&(Arc::clone(key), u64::MAX)).await {
            return Ok(Some(found));
        }
        let Some(bytes) = self.store.get(key, purpose).await? else {
            return Ok(None);
        };
        self.blocks
            .insert((Arc::clone(key), u64::MAX), bytes.clone())
            .await;
        Ok(Some(bytes))
    }
}
