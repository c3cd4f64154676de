//! Reading record batches, with a long poll that is told and never asks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::stream;
use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;

use super::{Engine, FetchPartition, FetchRequest, Fetched};
use crate::error::Result;
use crate::partition::Partition;

/// Partitions of one request that are read at the same time.
const PARALLEL_READS: usize = 8;

impl Engine {
    /// Reads partitions from given offsets on, as Kafka's Fetch does: whole batches up to the high watermark, at least
    /// one batch if there is any (KIP-74), and if there is less than `min_bytes` it waits for more, up to `max_wait`.
    /// One answer for each partition, in the request's order; an error of one does not concern the others.
    ///
    /// # Errors
    /// For each partition: `NotFound`, `OffsetOutOfRange`, `Unavailable`, `Corrupt`, `Closed`.
    pub async fn fetch(&self, request: FetchRequest) -> Vec<Result<Fetched>> {
        let inner = &self.0;
        let deadline = inner.clock.elapsed() + request.max_wait;
        loop {
            // Registered before the read: what comes between the read and the wait is not missed.
            let waiter = Waiter::new(self, &request);
            let answers = self.read_once(&request).await;
            let bytes: usize = answers.iter().flatten().map(Fetched::len).sum();
            let now = inner.clock.elapsed();
            if bytes >= request.min_bytes || now >= deadline || answers.iter().any(Result::is_err) {
                inner.metrics.fetched(bytes);
                return answers;
            }
            tokio::select! {
                biased;
                () = waiter.reader.notified() => {}
                () = inner.clock.sleep(deadline - now) => {}
            }
        }
    }

    async fn read_once(&self, request: &FetchRequest) -> Vec<Result<Fetched>> {
        // Nearly always everything is in memory. Only what is not becomes a future, which is large and has to be moved.
        let mut answers = Vec::with_capacity(request.partitions.len());
        let mut elsewhere = Vec::new();
        for (at, wanted) in request.partitions.iter().enumerate() {
            let answer = self.read_resident(wanted, request.max_bytes);
            if answer.is_none() {
                elsewhere.push((at, *wanted));
            }
            answers.push(answer);
        }
        let mut reads = stream::iter(elsewhere)
            .map(|(at, wanted)| {
                let read = self.read_partition(wanted, request.max_bytes);
                async move { (at, read.await) }.boxed()
            })
            .buffer_unordered(PARALLEL_READS);
        while let Some((at, answer)) = reads.next().await {
            if let Some(place) = answers.get_mut(at) {
                *place = Some(answer);
            }
        }
        let mut left = request.max_bytes;
        let mut answers: Vec<Result<Fetched>> = answers.into_iter().flatten().collect();
        for fetched in answers.iter_mut().flatten() {
            let bytes = fetched.len();
            if bytes > left && left < request.max_bytes {
                fetched.records.clear();
            } else {
                left = left.saturating_sub(bytes);
            }
        }
        answers
    }

    /// What memory has to say; `None` when the bucket has to be asked.
    fn read_resident(&self, wanted: &FetchPartition, max_bytes: usize) -> Option<Result<Fetched>> {
        match self.partition(wanted.topic, wanted.partition) {
            Ok(partition) => partition.read_resident(wanted.offset, wanted.max_bytes.min(max_bytes)),
            Err(unknown) => Some(Err(unknown)),
        }
    }

    async fn read_partition(&self, wanted: FetchPartition, max_bytes: usize) -> Result<Fetched> {
        let partition = self.partition(wanted.topic, wanted.partition)?;
        partition.ensure_loaded(&self.0.store).await?;
        partition
            .read(&self.0.cache, wanted.offset, wanted.max_bytes.min(max_bytes))
            .await
    }
}

/// A reader that waits at partitions; it leaves them when it is dropped.
struct Waiter {
    id: u64,
    reader: Arc<Notify>,
    partitions: Vec<Arc<Partition>>,
}

impl Waiter {
    fn new(engine: &Engine, request: &FetchRequest) -> Waiter {
        let id = engine.0.next_reader.fetch_add(1, Ordering::Relaxed);
        let reader = Arc::new(Notify::new());
        let mut partitions = Vec::new();
        if !request.max_wait.is_zero() {
            for wanted in &request.partitions {
                if let Ok(partition) = engine.partition(wanted.topic, wanted.partition) {
                    partition.state().register_reader(id, Arc::clone(&reader));
                    partitions.push(partition);
                }
            }
        }
        Waiter {
            id,
            reader,
            partitions,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        for partition in &self.partitions {
            partition.state().unregister_reader(self.id);
        }
    }
}
