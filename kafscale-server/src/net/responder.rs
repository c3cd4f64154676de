//! One client's answers: waits for each in turn and writes them, several with one system call.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafscale_wire::{RequestHeader, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Memory, outlasts_draining};
use crate::api::ResponseBody;
use crate::broker::Broker;

/// Bytes of answers beyond which no further one is gathered for the same write.
const GATHER_BYTES: usize = 256 * 1024;
/// Pieces that one system call takes.
const PIECES_PER_WRITE: usize = 64;
/// How long a draining broker waits for answers that are not about accepted records: a long poll ends at once, a join
/// may never.
const DRAINING_GRACE: Duration = Duration::from_secs(1);

/// A request whose answer has not been sent.
#[derive(Debug)]
pub(super) struct Pending {
    header: RequestHeader,
    answer: Answer,
    /// When its handler began.
    pub(super) started: Instant,
    /// The memory of the request, given back when the answer is known.
    memory: Memory,
}

/// An answer on its way.
#[derive(Debug)]
pub(super) enum Answer {
    /// The whole frame.
    Encoded(Response),
    /// Its body is known.
    Ready(ResponseBody),
    /// Its body will be known.
    Later(AbortOnDropHandle<ResponseBody>),
}

impl Pending {
    /// An answer to the request with this header, which holds `memory`.
    pub(super) fn new(header: RequestHeader, answer: Answer, memory: Memory) -> Pending {
        Pending {
            header,
            answer,
            started: Instant::now(),
            memory,
        }
    }

    /// Whether the answer is known now.
    fn is_known(&self) -> bool {
        match &self.answer {
            Answer::Encoded(_) | Answer::Ready(_) => true,
            Answer::Later(task) => task.is_finished(),
        }
    }

    /// Waits for the answer and encodes it.
    async fn resolve(self, broker: &Broker) -> Result<Response, String> {
        let api_key = self.header.api_key;
        let body = match self.answer {
            Answer::Encoded(response) => return Ok(response),
            Answer::Ready(body) => body,
            Answer::Later(task) => {
                let body = tokio::select! {
                    biased;
                    body = task => body,
                    () = give_up(broker), if !outlasts_draining(api_key) => {
                        return Err("the broker is stopping".to_owned());
                    }
                };
                body.map_err(|error| format!("the handler of API {api_key} failed: {error}"))?
            }
        };
        broker.metrics.answered(api_key, self.started.elapsed());
        drop(self.memory);
        body.encode(&self.header)
            .map_err(|error| format!("the answer of API {api_key} cannot be sent: {error}"))
    }
}

async fn give_up(broker: &Broker) {
    broker.draining.cancelled().await;
    tokio::time::sleep(DRAINING_GRACE).await;
}

/// Writes the answers in their order until there are no more.
pub(super) async fn respond(
    mut write: OwnedWriteHalf,
    mut answers: mpsc::Receiver<Pending>,
    broker: Arc<Broker>,
) -> Result<(), String> {
    let limit = broker.config.net.write_timeout;
    let mut next = answers.recv().await;
    while let Some(pending) = next.take() {
        let mut pieces = pending.resolve(&broker).await?;
        let mut bytes: usize = pieces.iter().map(Bytes::len).sum();
        // Answers that are known already go out with the same system call.
        let (mut waiting, mut failed) = (None, None);
        while bytes < GATHER_BYTES
            && let Ok(pending) = answers.try_recv()
        {
            if !pending.is_known() {
                waiting = Some(pending);
                break;
            }
            match pending.resolve(&broker).await {
                Ok(more) => {
                    bytes += more.iter().map(Bytes::len).sum::<usize>();
                    pieces.extend(more);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        write_all(&mut write, &pieces, limit).await?;
        broker.metrics.sent(bytes);
        if let Some(error) = failed {
            return Err(error);
        }
        next = match waiting {
            Some(pending) => Some(pending),
            None => answers.recv().await,
        };
    }
    // The client reads the end of the stream after the last answer.
    match write.shutdown().await {
        Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Writes all pieces; fails when the client takes no byte for `limit`.
async fn write_all(write: &mut OwnedWriteHalf, pieces: &[Bytes], limit: Duration) -> Result<(), String> {
    for group in pieces.chunks(PIECES_PER_WRITE) {
        let filled = group.iter().filter(|piece| !piece.is_empty());
        let mut slices: Vec<IoSlice<'_>> = filled.map(|piece| IoSlice::new(piece)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            let written = match timeout(limit, write.write_vectored(left)).await {
                Ok(Ok(0)) => return Err("the client takes no more bytes".to_owned()),
                Ok(Ok(written)) => written,
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err(format!("the client took no byte for {} s", limit.as_secs())),
            };
            IoSlice::advance_slices(&mut left, written);
        }
    }
    Ok(())
}
