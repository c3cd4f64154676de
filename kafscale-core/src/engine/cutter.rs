//! Cutting: a partition's oldest runs become a segment, and its record in the metadata says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch;
use crate::metadata::schema::{self, PartitionRecord, WalSession};
use crate::metadata::{Expect, Txn, TxnOutcome};
use crate::partition::Partition;
use crate::segment::list::Segment;
use crate::segment::publish::{Published, publish};
use crate::store::{Purpose, RangeOf};
use crate::wal::object::LogRun;

impl Engine {
    /// Cuts one segment of `partition`, if there is anything to cut. Returns whether there was. A cut holds only durable
    /// records: the tail has no others.
    pub(super) async fn cut(&self, partition: &Arc<Partition>) -> Result<bool> {
        let inner = &self.0;
        let _one_at_a_time = partition.cutting.lock().await;
        partition.ensure_loaded(&inner.store).await?;
        let limit = partition.config().segment_bytes;
        let (mut runs, from) = {
            let state = partition.state();
            state.check_running()?;
            (state.tail.oldest(limit), state.segmented_end)
        };
        if runs.is_empty() {
            return Ok(false);
        }
        let (base, last_offset, size, max_timestamp) = loop {
            let chunks = match self.chunks(partition, &runs, from).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    // A successor trims what is our log no more.
                    self.confirm_session().await?;
                    return Err(error);
                }
                chunks => chunks?,
            };
            match publish(
                &inner.store,
                &partition.segments.place,
                &chunks,
                inner.clock.unix_ms(),
            )
            .await
            {
                Ok(Published::Done {
                    last_offset,
                    size,
                    max_timestamp,
                }) => {
                    break (from, last_offset, size, max_timestamp);
                }
                Ok(Published::Longer { last_offset }) => {
                    let covering = partition.state().tail.covering(last_offset);
                    let Some(covering) = covering else {
                        // A successor's segment goes on where our log has ended.
                        self.confirm_session().await?;
                        let what = format!("it ends at offset {last_offset}, which the log does not have");
                        return Err(self.foreign(partition, from, &what));
                    };
                    runs = covering;
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.confirm_session().await?;
                    return Err(self.foreign(partition, from, &error.to_string()));
                }
                Err(error) => return Err(error),
            }
        };
        self.record_end(partition, last_offset + 1).await?;
        partition.segments.add(Segment {
            base,
            key: partition.segments.place.segment_key(base).into(),
            index_key: partition.segments.place.index_key(base).into(),
            size,
            max_timestamp: tokio::sync::OnceCell::new_with(Some(max_timestamp)),
        });
        let unneeded = partition.state().segmented(last_offset + 1);
        for run in unneeded {
            run.object.release_run();
        }
        inner.metrics.cut(size);
        Ok(true)
    }

    /// The bytes of `runs` from offset `from` on, from memory or from the log.
    async fn chunks(&self, partition: &Partition, runs: &[LogRun], from: i64) -> Result<Vec<Bytes>> {
        let resident: Vec<Option<Bytes>> = runs.iter().map(LogRun::resident).collect();
        // Exactly the evicted runs: a slice of a larger piece would keep that in memory until the segment is written.
        let evicted = runs.iter().zip(&resident).filter(|(_, bytes)| bytes.is_none());
        let wanted = evicted
            .map(|(run, _)| RangeOf {
                key: Arc::clone(&run.object.key),
                range: run.position..run.position + run.length,
            })
            .collect();
        let mut read = self.0.store.get_many(wanted, Purpose::Segment).await?.into_iter();
        let mut chunks: Vec<Bytes> = resident
            .into_iter()
            .filter_map(|bytes| bytes.or_else(|| read.next()))
            .collect();
        if let (Some(run), Some(first)) = (runs.first(), chunks.first_mut())
            && run.base_offset < from
        {
            let skip = batch::skip_to_offset(first, from).ok().flatten().ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "partition {partition}: log object {} does not hold offset {from}",
                        run.object.key
                    ),
                )
            })?;
            *first = first.slice(skip..);
        }
        Ok(chunks)
    }

    /// Makes sure that no newer session has taken over, before the bucket is said to be damaged: by a change of the metadata,
    /// which only the newest session can make.
    async fn confirm_session(&self) -> Result<()> {
        let key = schema::wal_session_key(self.0.session);
        let value = schema::to_value(&WalSession { drained: false })?;
        let _ = self.0.metadata.commit(Txn::new().put(key, value)).await?;
        Ok(())
    }

    /// Foreign data would silently replace acknowledged records: the partition stops.
    fn foreign(&self, partition: &Partition, base: i64, what: &str) -> Error {
        let reason: Arc<str> = format!(
            "partition {partition} stops: its segment at offset {base} cannot be written over what is in the bucket: {what}"
        )
        .into();
        tracing::error!("{reason}");
        partition.stop(ErrorKind::Corrupt, &reason);
        Error::new(ErrorKind::Corrupt, &*reason)
    }

    /// Records in the metadata that segments hold everything below `end`. The recorded end only grows.
    async fn record_end(&self, partition: &Partition, end: i64) -> Result<()> {
        let inner = &self.0;
        let key = schema::partition_key(partition.id.topic, partition.id.partition);
        let record = {
            let state = partition.state();
            PartitionRecord {
                owner: Some(inner.session),
                leader_epoch: state.leader_epoch,
                epochs: state.epochs.pairs().to_vec(),
                log_start: state.log_start,
                segmented_end: end,
                tail_refs: Vec::new(),
            }
        };
        let value = schema::to_value(&record)?;
        let topic_key = schema::topic_key(&partition.topic);
        loop {
            partition.state().check_running()?;
            let version = partition.record_version.load(Ordering::Acquire);
            let expect = if version == 0 {
                Expect::Absent
            } else {
                Expect::Version(version)
            };
            match inner
                .metadata
                .commit(
                    Txn::new()
                        .expect(key.clone(), expect)
                        // A topic that was deleted meanwhile took its records with it: none may follow.
                        .expect(topic_key.clone(), Expect::Present)
                        .put(key.clone(), value.clone()),
                )
                .await
            {
                Ok(TxnOutcome::Committed { revision }) => {
                    partition.record_version.store(revision, Ordering::Release);
                    return Ok(());
                }
                Ok(TxnOutcome::Conflict { key }) if key == topic_key => {
                    return Err(Partition::unknown(&partition.topic, partition.id.partition));
                }
                // Our own change whose answer came too late, or a change by somebody else.
                Ok(TxnOutcome::Conflict { .. }) => {
                    let found = inner.metadata.get(&key).await?;
                    let Some(found) = found else {
                        partition.record_version.store(0, Ordering::Release);
                        continue;
                    };
                    let there: PartitionRecord = schema::from_value(&key, &found.value)?;
                    if there.leader_epoch > record.leader_epoch {
                        return Err(Error::new(
                            ErrorKind::Fenced,
                            format!(
                                "partition {partition} is led in epoch {} by another session",
                                there.leader_epoch
                            ),
                        ));
                    }
                    partition.record_version.store(found.version, Ordering::Release);
                    if there.segmented_end >= end {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    tracing::warn!(%partition, %error, "the metadata is slow: the cut waits");
                    inner.clock.sleep(std::time::Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
