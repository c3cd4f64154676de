//! Create if absent, tried until the outcome is known: what slots, seals and segments stand on.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutPayload};

use super::retry::{Class, Failure};
use super::{ATTEMPT_RANGE, CreateLimit, CreateOutcome, HEAD_BYTES, Operation, Purpose, Store, path_of};
use crate::clock::within;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::StoreLabels;

impl Store {
    /// Creates `key` with the bytes of `chunks` if nothing is there.
    ///
    /// The bytes are frozen: time-outs, broken connections, throttling, refusals and conflicts are answered by the same PUT
    /// again, after a pause, until it is known whether the object is there and whose it is, or `limit` ends it.
    ///
    /// "Already exists" may be the echo of an earlier try whose answer was lost. `attempt` tells: 16 bytes that are ours
    /// alone and lie at [`ATTEMPT_RANGE`] of the object; the object's head is read back, and the same bytes there mean
    /// [`CreateOutcome::Created`]. Without `attempt` the caller compares. An object that is gone when it is read back is
    /// created again.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a key that cannot be, or when `chunks` do not carry `attempt`;
    /// [`ErrorKind::Precondition`] when this store cannot create on condition;
    /// with [`CreateLimit::Within`] also [`ErrorKind::Timeout`] (the outcome is not known) and
    /// [`ErrorKind::Unavailable`] (the store refused, nothing was written).
    pub async fn create(
        &self,
        key: &str,
        chunks: &[Bytes],
        attempt: Option<[u8; 16]>,
        limit: CreateLimit,
        purpose: Purpose,
    ) -> Result<CreateOutcome> {
        let path = path_of(key)?;
        if attempt.is_some_and(|ours| !carries(chunks, &ours)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("the bytes for {key} do not carry their attempt id: a lost answer could not be told"),
            ));
        }
        let mut creation = Creation {
            store: self,
            path,
            payload: chunks.iter().cloned().collect(),
            attempt,
            purpose,
            bounded: limit != CreateLimit::UntilKnown,
            unknown: false,
            last: None,
        };
        match limit {
            CreateLimit::UntilKnown => creation.run().await,
            CreateLimit::Within(limit) => {
                if let Some(outcome) = within(&*self.0.clock, limit, creation.run()).await {
                    return outcome;
                }
                let error = Error::new(
                    ErrorKind::Timeout,
                    format!("whether {key} was created is not known after {limit:?}"),
                );
                Err(match creation.last {
                    Some(failure) => error.with_source(failure.to_string()),
                    None => error,
                })
            }
        }
    }
}

struct Creation<'a> {
    store: &'a Store,
    path: Path,
    payload: PutPayload,
    attempt: Option<[u8; 16]>,
    purpose: Purpose,
    bounded: bool,
    /// Whether an earlier try may have taken effect, or still may.
    unknown: bool,
    last: Option<Failure>,
}

impl Creation<'_> {
    async fn run(&mut self) -> Result<CreateOutcome> {
        let store = self.store;
        let labels = StoreLabels {
            operation: Operation::Create,
            purpose: self.purpose,
        };
        let mut backoff = store.backoff();
        loop {
            let failure = match self.put().await {
                Ok(()) => {
                    store
                        .0
                        .metrics
                        .wrote(labels, self.payload.content_length() as u64);
                    return Ok(CreateOutcome::Created);
                }
                Err(failure) if failure.class == Class::Exists => match self.read_back().await {
                    Ok(Some(head)) => return Ok(self.judge(head)),
                    // It is gone again, or S3 answered 409 while another write of the key was under way.
                    Ok(None) => failure,
                    Err(unread) => unread,
                },
                Err(failure) => failure,
            };
            let class = failure.class;
            match class {
                Class::Unsupported => {
                    return Err(Error::new(
                        ErrorKind::Precondition,
                        format!(
                            "the store cannot create {} on the condition that it is absent",
                            self.path
                        ),
                    )
                    .with_source(failure.to_string()));
                }
                Class::Denied if self.bounded && !self.unknown => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        format!("the store refuses to create {}", self.path),
                    )
                    .with_source(failure.to_string()));
                }
                Class::Denied => {}
                _ => self.unknown = true,
            }
            let pause = backoff.next(class, &store.0.random);
            if class == Class::Denied || backoff.tries.is_power_of_two() {
                tracing::warn!(
                    key = %self.path, tries = backoff.tries - 1, ?pause, error = %failure,
                    "an object is not created yet, the same PUT is sent again"
                );
            }
            self.last = Some(failure);
            store.0.metrics.retried(labels);
            store.0.clock.sleep(pause).await;
        }
    }

    async fn put(&self) -> Result<(), Failure> {
        let store = self.store;
        let work = store.timed(self.payload.content_length() as u64, async {
            let options = PutOptions::from(PutMode::Create);
            store
                .0
                .objects
                .put_opts(&self.path, self.payload.clone(), options)
                .await
                .map(drop)
        });
        store.attempt(Operation::Create, self.purpose, work).await
    }

    async fn read_back(&self) -> Result<Option<Bytes>, Failure> {
        match self
            .store
            .read_once(&self.path, Some((0..HEAD_BYTES).into()), self.purpose)
            .await
        {
            Ok(head) => Ok(Some(head)),
            Err(failure) if failure.class == Class::NotFound => Ok(None),
            // An object of 0 bytes has no first byte to read.
            Err(failure) if failure.class == Class::OutOfRange => Ok(Some(Bytes::new())),
            Err(failure) => Err(failure),
        }
    }

    fn judge(&self, head: Bytes) -> CreateOutcome {
        let ours = self
            .attempt
            .is_some_and(|ours| head.get(ATTEMPT_RANGE) == Some(&ours[..]));
        if ours {
            CreateOutcome::Created
        } else {
            CreateOutcome::Exists { head }
        }
    }
}

/// Whether the bytes of `chunks` at [`ATTEMPT_RANGE`] are `ours`.
fn carries(chunks: &[Bytes], ours: &[u8; 16]) -> bool {
    chunks
        .iter()
        .flat_map(|chunk| chunk.iter())
        .skip(ATTEMPT_RANGE.start)
        .take(ATTEMPT_RANGE.len())
        .eq(ours.iter())
}
