//! Who may call the store at the same time as whom.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Purpose;

/// Permits for calls to the store. A permit is held for one try, never through a pause between tries.
///
/// The acknowledgement path has permits of its own, because a WAL PUT that waits behind catch-up reads is latency that a
/// producer sees; its number of calls is bounded by the slots in flight. Catch-up reads and deletes take a second permit of
/// a smaller pool, so that they leave room for reads that a tailing consumer waits for.
#[derive(Debug)]
pub(crate) struct Budget {
    ack: Semaphore,
    general: Semaphore,
    background: Semaphore,
}

/// A permit; the call may run while it lives.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    _first: Option<SemaphorePermit<'a>>,
    _second: Option<SemaphorePermit<'a>>,
}

impl Budget {
    pub(crate) fn new(concurrency: usize) -> Budget {
        Budget {
            ack: Semaphore::new(concurrency),
            general: Semaphore::new(concurrency),
            background: Semaphore::new((concurrency / 2).max(1)),
        }
    }

    /// Waits until a call for `purpose` may run.
    pub(crate) async fn acquire(&self, purpose: Purpose) -> Permit<'_> {
        match purpose {
            Purpose::Wal | Purpose::Metadata | Purpose::Probe => Permit {
                _first: take(&self.ack).await,
                _second: None,
            },
            Purpose::Segment | Purpose::Tail | Purpose::Recovery => Permit {
                _first: take(&self.general).await,
                _second: None,
            },
            Purpose::CatchUp | Purpose::Delete => {
                // The smaller pool first: who waits for it must not hold a permit that others could use.
                let first = take(&self.background).await;
                Permit {
                    _first: first,
                    _second: take(&self.general).await,
                }
            }
        }
    }
}

async fn take(semaphore: &Semaphore) -> Option<SemaphorePermit<'_>> {
    // The semaphores are never closed, so `ok` never drops an error.
    semaphore.acquire().await.ok()
}
