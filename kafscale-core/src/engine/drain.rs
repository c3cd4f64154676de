//! Ending: what was taken is written, the log is sealed, the metadata is closed.

use super::Engine;
use crate::error::Result;

impl Engine {
    /// Takes no new appends, writes everything that was taken, and ends the session. What waits for an answer gets it.
    ///
    /// # Errors
    /// `Fenced` when a newer session has taken over meanwhile; `Timeout` when the metadata does not answer in time.
    pub async fn close(&self) -> Result<()> {
        let inner = &self.0;
        let log = inner.wal.close().await;
        let metadata = inner.metadata.close().await;
        log.and(metadata)
    }
}
