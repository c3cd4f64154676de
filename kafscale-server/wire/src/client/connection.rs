//! The two ends of a connection: a task that writes queued requests, and one that hands responses to who waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::ClientError;
use crate::frame::FrameReader;
use crate::response::write_chunks;

/// Requests that wait for the socket. Beyond it, whoever sends waits.
const QUEUE: usize = 64;

#[derive(Debug)]
pub(super) struct Connection {
    queue: mpsc::Sender<Bytes>,
    waiting: Arc<Waiting>,
    correlation_id: AtomicI32,
    tasks: [AbortHandle; 2],
}

/// Who waits for which response.
#[derive(Debug, Default)]
struct Waiting {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_correlation_id: HashMap<i32, oneshot::Sender<Bytes>>,
    /// Why there will be no further response.
    closed: Option<String>,
}

impl Connection {
    pub(super) fn start(stream: TcpStream, max_response: usize) -> Self {
        let (reader, writer) = stream.into_split();
        let (queue, queued) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting::default());
        let write = tokio::spawn(write(writer, queued, Arc::clone(&waiting)));
        let read = tokio::spawn(read(
            FrameReader::of_responses(reader, max_response),
            Arc::clone(&waiting),
        ));
        let tasks = [write.abort_handle(), read.abort_handle()];
        Self {
            queue,
            waiting,
            correlation_id: AtomicI32::new(0),
            tasks,
        }
    }

    pub(super) fn next_correlation_id(&self) -> i32 {
        self.correlation_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a request and says where its response will arrive.
    pub(super) async fn ask(&self, id: i32, frame: Bytes) -> Result<oneshot::Receiver<Bytes>, ClientError> {
        // The place in the queue first: whoever gives up waiting for it leaves nothing behind.
        let place = self.queue.reserve().await.map_err(|_| self.reason())?;
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.waiting.lock();
            if state.closed.is_some() {
                drop(state);
                return Err(self.reason());
            }
            state.by_correlation_id.insert(id, sender);
        }
        place.send(frame);
        Ok(receiver)
    }

    /// Queues a request that has no response.
    pub(super) async fn tell(&self, frame: Bytes) -> Result<(), ClientError> {
        self.queue.send(frame).await.map_err(|_| self.reason())
    }

    /// Why the connection is closed.
    pub(super) fn reason(&self) -> ClientError {
        let reason = self.waiting.lock().closed.clone();
        ClientError::Closed(reason.unwrap_or_else(|| "the client was dropped".to_owned()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in this file panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every wait. The first reason stays.
    fn close(&self, reason: String) {
        let mut state = self.lock();
        state.closed.get_or_insert(reason);
        state.by_correlation_id.clear();
    }
}

async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Bytes>, waiting: Arc<Waiting>) {
    let mut frames = Vec::with_capacity(QUEUE);
    while queue.recv_many(&mut frames, QUEUE).await > 0 {
        if let Err(error) = write_chunks(&mut writer, &frames).await {
            return waiting.close(format!("writing failed: {error}"));
        }
        frames.clear();
    }
}

async fn read(mut reader: FrameReader<OwnedReadHalf>, waiting: Arc<Waiting>) {
    loop {
        let frame = match reader.read().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return waiting.close("the broker closed it".to_owned()),
            Err(error) => return waiting.close(error.to_string()),
        };
        let Some(id) = frame.first_chunk().map(|id| i32::from_be_bytes(*id)) else {
            return waiting.close("a response without a correlation id".to_owned());
        };
        let sender = waiting.lock().by_correlation_id.remove(&id);
        match sender {
            // Whoever asked may have given up; then nobody wants the answer.
            Some(sender) => drop(sender.send(frame)),
            None => return waiting.close(format!("a response with the unknown correlation id {id}")),
        }
    }
}
