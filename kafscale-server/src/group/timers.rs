//! One timer for all groups: the earliest deadline of each, in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// At most one deadline for each group.
#[derive(Default, Debug)]
pub(super) struct Timers {
    queue: Mutex<BTreeSet<(Duration, Arc<str>)>>,
    earlier: Notify,
}

impl Timers {
    /// Sets the deadline of a group, in the place of its former one.
    pub(super) fn set(&self, former: Option<Duration>, at: Duration, group: &Arc<str>) {
        let is_first = {
            let mut queue = self.queue.lock();
            if let Some(former) = former {
                queue.remove(&(former, Arc::clone(group)));
            }
            queue.insert((at, Arc::clone(group)));
            queue
                .first()
                .is_some_and(|(first, id)| *first == at && id == group)
        };
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Takes the deadline of a group away.
    pub(super) fn cancel(&self, at: Duration, group: &Arc<str>) {
        self.queue.lock().remove(&(at, Arc::clone(group)));
    }

    /// Waits until a deadline has come, and takes out all that have. `origin` is the moment from which they count.
    pub(super) async fn next(&self, origin: Instant) -> Vec<(Duration, Arc<str>)> {
        loop {
            let first = self.queue.lock().first().map(|(at, _)| *at);
            match first {
                None => self.earlier.notified().await,
                Some(at) if at > origin.elapsed() => {
                    tokio::select! {
                        biased;
                        () = self.earlier.notified() => {}
                        () = sleep_until(origin + at) => {}
                    }
                }
                Some(_) => return self.take_due(origin.elapsed()),
            }
        }
    }

    fn take_due(&self, now: Duration) -> Vec<(Duration, Arc<str>)> {
        let mut queue = self.queue.lock();
        let mut due = Vec::new();
        while queue.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(queue.pop_first());
        }
        due
    }
}
