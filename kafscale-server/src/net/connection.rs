//! One client: reads its requests, hands them to their handlers in order, and queues the answers in the same order.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use kafka_protocol::messages::ApiKey;
use kafscale_wire::frame::FrameReader;
use kafscale_wire::{Limits, decode_request, response};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::budget::{Held, RequestBudget, Share};
use super::responder::{self, Answer, Pending};
use crate::api::{Reply, RequestContext};
use crate::broker::Broker;
use crate::dispatch::dispatch;

/// What a request has for the bytes behind its header, whatever their number.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes give it one second more: the slowest client that is not a stuck one.
const BYTES_PER_SECOND: usize = 256 * 1024;
/// What a request gets of the memory for requests before any of it has arrived; after that, a multiple of what has, in
/// steps that leave room for others.
const FIRST_STEP: usize = 16 * 1024;
const GROWTH: usize = 4;
const LARGEST_STEP: usize = 1024 * 1024;

/// How long answers are waited for after the last request: the client is probably gone.
const LINGER: Duration = Duration::from_secs(30);

/// Serves one client until it leaves, breaks the protocol, or the broker drains.
///
/// # Errors
/// Why the connection ended, when it was not the client's wish.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    broker: Arc<Broker>,
    budget: Arc<RequestBudget>,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (read, write) = stream.into_split();
    let net = &broker.config.net;
    let (queue, answers) = mpsc::channel(net.connection_requests);
    let responder = responder::respond(write, answers, Arc::clone(&broker));
    // The responder ends with the task of the connection, whichever way that ends.
    let mut responder = AbortOnDropHandle::new(tokio::spawn(responder));
    let limits = Limits {
        max_produce_frame: net.max_produce_bytes,
        max_other_frame: net.max_request_bytes,
        ..Limits::default()
    };
    let connection = Connection {
        reader: FrameReader::new(read, limits),
        limits,
        queue,
        peer,
        unanswered: Share::new(net.connection_bytes),
        budget,
        broker,
    };
    let read = connection.read().await;
    // What was accepted is answered, even when what came after it was not acceptable.
    let written = match timeout(LINGER, &mut responder).await {
        Ok(written) => written.unwrap_or_else(|error| Err(format!("answering failed: {error}"))),
        Err(_) => Err("answers were not known in time after the client's last request".to_owned()),
    };
    read.and(written)
}

struct Connection {
    reader: FrameReader<OwnedReadHalf>,
    limits: Limits,
    queue: mpsc::Sender<Pending>,
    peer: SocketAddr,
    /// Bytes of requests that have no answer yet.
    unanswered: Share,
    budget: Arc<RequestBudget>,
    broker: Arc<Broker>,
}

/// A request that has arrived, and the memory that it holds until it is answered.
struct Arrived {
    frame: Bytes,
    memory: Memory,
}

/// The memory of a request: of its connection's share and of the broker's.
pub(super) type Memory = (OwnedSemaphorePermit, Held);

impl Connection {
    async fn read(mut self) -> Result<(), String> {
        while self.has_next().await? {
            let Some(arrived) = self.next().await? else {
                return Ok(());
            };
            if !self.handle(arrived).await? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for the first byte of a request. False: there will be none.
    async fn has_next(&mut self) -> Result<bool, String> {
        let idle = self.broker.config.net.idle_timeout;
        loop {
            tokio::select! {
                biased;
                () = self.broker.draining.cancelled() => return Ok(false),
                () = self.queue.closed() => return Ok(false),
                waited = timeout(idle, self.reader.wait()) => match waited {
                    Ok(Ok(more)) => return Ok(more),
                    Ok(Err(error)) => return Err(error.to_string()),
                    // A client that waits for an answer is not idle.
                    Err(_) if !self.unanswered.is_free() => {}
                    Err(_) => return Err(format!("idle for {} s", idle.as_secs())),
                },
            }
        }
    }

    /// Reads the request that has begun, once there is memory for it. `None`: nobody waits for its answer any more.
    async fn next(&mut self) -> Result<Option<Arrived>, String> {
        let header_timeout = self.broker.config.net.header_timeout;
        let announced = match timeout(header_timeout, self.reader.announced()).await {
            Ok(announced) => announced.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("no request header within {} s", header_timeout.as_secs())),
        };
        let Some(announced) = announced else {
            return Ok(None);
        };
        let share = self.budget.share(announced.api_key).clone();
        let mut limit = BODY_TIMEOUT + Duration::from_secs((announced.size / BYTES_PER_SECOND) as u64);
        let (mut held, mut arrived) = (Held::default(), 0);
        let permits = self.unless_closed(self.unanswered.take(announced.size)).await?;
        let Some(unanswered) = permits else {
            return Ok(None);
        };
        while arrived < announced.size {
            let step = (arrived * GROWTH)
                .clamp(FIRST_STEP, arrived + LARGEST_STEP)
                .min(announced.size);
            if self.unless_closed(share.grow(&mut held, step)).await?.is_none() {
                return Ok(None);
            }
            // The wait for memory is not the client's fault; the wait for its bytes is.
            let started = Instant::now();
            arrived = match timeout(limit, self.reader.read_up_to(step)).await {
                Ok(Ok(Some(arrived))) => arrived,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => {
                    return Err(format!(
                        "{arrived} of a request's {} bytes arrived in time",
                        announced.size
                    ));
                }
            };
            limit = limit.saturating_sub(started.elapsed());
        }
        let frame = self.reader.read().await.map_err(|error| error.to_string())?;
        let memory = (unanswered, held);
        Ok(frame.map(|frame| Arrived { frame, memory }))
    }

    /// Waits for memory, unless nobody waits for answers any more.
    async fn unless_closed<T>(
        &self,
        memory: impl Future<Output = Result<T, AcquireError>>,
    ) -> Result<Option<T>, String> {
        tokio::select! {
            biased;
            () = self.queue.closed() => Ok(None),
            memory = memory => memory.map(Some).map_err(|error| error.to_string()),
        }
    }

    /// Runs the request's handler and queues its answer. False: no further request is read.
    async fn handle(&mut self, arrived: Arrived) -> Result<bool, String> {
        let Arrived { frame, memory } = arrived;
        let size = frame.len();
        let request = match decode_request(frame, &self.limits) {
            Ok(request) => request,
            Err(error) => {
                let Some(header) = error.unsupported_api_versions() else {
                    return Err(error.to_string());
                };
                let answer = response::unsupported_api_versions(header).map_err(|error| error.to_string())?;
                return Ok(self
                    .queue(Pending::new(header.clone(), Answer::Encoded(answer), memory))
                    .await);
            }
        };
        let header = request.header;
        self.broker.metrics.request(header.api_key, size);
        if self.broker.config.trace_requests {
            debug!(
                api = ?request.body.api_key(),
                version = header.api_version,
                correlation = header.correlation_id,
                client = header.client_id.as_deref().unwrap_or_default(),
                peer = %self.peer,
                size,
                "request"
            );
        }
        let context = RequestContext {
            broker: Arc::clone(&self.broker),
            api_version: header.api_version,
            client_id: header.client_id.clone(),
            peer: self.peer,
        };
        let started = Instant::now();
        let handler = AssertUnwindSafe(dispatch(context, request.body)).catch_unwind();
        let reply = handler
            .await
            .map_err(|_| format!("the handler of API {} panicked", header.api_key))?;
        let answer = match reply {
            Reply::Ready(body) => Answer::Ready(body),
            Reply::Later(body) => Answer::Later(AbortOnDropHandle::new(tokio::spawn(body))),
            Reply::None => return Ok(true),
            Reply::Close(reason) => return Err(reason),
        };
        let mut pending = Pending::new(header, answer, memory);
        pending.started = started;
        Ok(self.queue(pending).await)
    }

    async fn queue(&self, pending: Pending) -> bool {
        self.queue.send(pending).await.is_ok()
    }
}

/// Whether an answer is worth waiting for while the broker drains: records that were accepted are flushed anyway.
pub(super) fn outlasts_draining(api_key: i16) -> bool {
    api_key == ApiKey::Produce as i16
}
