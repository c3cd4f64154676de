//! Handing out producer ids from claimed blocks.

use std::ops::RangeInclusive;

use tokio::sync::Mutex;

use super::Engine;
use crate::error::Result;
use crate::metadata::claim_producer_ids;

/// The rest of the block that was claimed last.
#[derive(Debug)]
pub(crate) struct ProducerIds(Mutex<Option<RangeInclusive<i64>>>);

impl ProducerIds {
    pub(crate) fn new() -> ProducerIds {
        ProducerIds(Mutex::new(None))
    }
}

impl Engine {
    /// A producer id that was never handed out before.
    ///
    /// # Errors
    /// `Timeout` or `Unavailable` when the metadata cannot be changed now; `Fenced`, `Closed`.
    pub async fn allocate_producer_id(&self) -> Result<i64> {
        let mut block = self.0.producer_ids.0.lock().await;
        loop {
            if let Some(id) = block.as_mut().and_then(Iterator::next) {
                return Ok(id);
            }
            *block = Some(claim_producer_ids(&*self.0.metadata, &self.0.random, self.0.session).await?);
        }
    }
}
