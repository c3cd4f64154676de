//! All groups of this broker: finds them, drives their state machines, and holds the channels of whoever waits.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use kafscale_core::Random;
use kafscale_wire::Uuid;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::effects::{Effects, JoinRefused, JoinReply, ReplyTo, SyncReply};
use super::error::GroupError;
use super::join::JoinRequest;
use super::session::{Leaving, MemberClaim};
use super::settings::CoordinatorSettings;
use super::state::{Group, GroupState};
use super::sync::SyncRequest;
use super::timers::Timers;
use super::view::{DescribedGroup, ListedGroup};

/// Locks among which the groups are spread.
const SHARDS: usize = 16;

/// The group coordinator of a broker. Every operation takes effect before it returns; only answers to JoinGroup and
/// SyncGroup may come later. Dropping the last handle ends its timer task.
pub(crate) struct GroupCoordinator {
    registry: Arc<Registry>,
    random: Random,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// An answer that is there, or comes later. Whoever drops the future says that nobody waits for it any more.
pub(crate) enum Answer<T> {
    /// It is there.
    Now(T),
    /// It comes later.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Now(_) => "Now",
            Answer::Later(_) => "Later",
        })
    }
}

/// Some of the groups, by id.
type Shard = Mutex<HashMap<Arc<str>, Arc<Mutex<Slot>>>>;

struct Registry {
    settings: Arc<CoordinatorSettings>,
    origin: Instant,
    shards: Vec<Shard>,
    groups: AtomicUsize,
    bytes: AtomicUsize,
    next_reply: AtomicU64,
    timers: Timers,
    closed: AtomicBool,
}

/// A group with what the outside world has to do with it. Lock order: a slot, then a shard or the timers; nobody who
/// holds one of the latter takes another lock.
struct Slot {
    group: Group,
    joins: HashMap<ReplyTo, oneshot::Sender<JoinReply>>,
    syncs: HashMap<ReplyTo, oneshot::Sender<SyncReply>>,
    /// The time for which the timer task has this group.
    armed: Option<Duration>,
}

impl GroupCoordinator {
    /// A coordinator without groups. Starts its timer task on the current runtime.
    pub(crate) fn start(settings: CoordinatorSettings, random: Random) -> GroupCoordinator {
        let registry = Arc::new(Registry {
            settings: Arc::new(settings),
            origin: Instant::now(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            groups: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            next_reply: AtomicU64::new(0),
            timers: Timers::default(),
            closed: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        tokio::spawn(run_timers(Arc::clone(&registry), stop.clone()));
        GroupCoordinator {
            registry,
            random,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &CoordinatorSettings {
        &self.registry.settings
    }

    /// An id that no member has had: `prefix` (the instance id or the client's name) and a random UUID, as in Kafka.
    pub(crate) fn new_member_id(&self, prefix: &str) -> Arc<str> {
        let mut bytes = self.random.bytes16();
        // A version 4 UUID, RFC 9562 section 5.4.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Arc::from(format!("{prefix}-{}", Uuid::from_bytes(bytes).hyphenated()))
    }

    /// JoinGroup.
    pub(crate) fn join(&self, group_id: &str, request: JoinRequest) -> Answer<JoinReply> {
        let refused = |member_id: &Arc<str>, error| {
            Answer::Now(Err(JoinRefused {
                member_id: Arc::clone(member_id),
                error,
            }))
        };
        let member_id = Arc::clone(&request.member_id);
        let settings = self.settings();
        if group_id.is_empty() {
            return refused(&member_id, GroupError::InvalidGroupId);
        }
        let session = request.session_timeout;
        if session < settings.min_session_timeout || session > settings.max_session_timeout {
            return refused(&member_id, GroupError::InvalidSessionTimeout);
        }
        if !self.registry.has_memory_for(request.bytes()) {
            return refused(&member_id, GroupError::CoordinatorNotAvailable);
        }
        // A member that brings an id was in a group that this broker does not know any more: it starts over.
        let create = member_id.is_empty();
        let outcome = self.registry.with(group_id, create, |slot, now, to, fx| {
            let (sender, receiver) = oneshot::channel();
            slot.joins.insert(to, sender);
            slot.group.join(now, request, to, fx);
            (to, receiver)
        });
        match outcome {
            Ok((to, receiver)) => self.answer(group_id, to, receiver, move || {
                Err(JoinRefused {
                    member_id,
                    error: GroupError::NotCoordinator,
                })
            }),
            Err(GroupError::GroupIdNotFound) => refused(&member_id, GroupError::UnknownMemberId),
            Err(error) => refused(&member_id, error),
        }
    }

    /// SyncGroup.
    pub(crate) fn sync(&self, group_id: &str, request: SyncRequest) -> Answer<SyncReply> {
        if group_id.is_empty() {
            return Answer::Now(Err(GroupError::InvalidGroupId));
        }
        if !self.registry.has_memory_for(request.bytes()) {
            return Answer::Now(Err(GroupError::CoordinatorNotAvailable));
        }
        let outcome = self.registry.with(group_id, false, |slot, now, to, fx| {
            let (sender, receiver) = oneshot::channel();
            slot.syncs.insert(to, sender);
            slot.group.sync(now, request, to, fx);
            (to, receiver)
        });
        match outcome {
            Ok((to, receiver)) => self.answer(group_id, to, receiver, || Err(GroupError::NotCoordinator)),
            Err(error) => Answer::Now(Err(unknown_member(error))),
        }
    }

    /// Heartbeat.
    pub(crate) fn heartbeat(&self, group_id: &str, claim: MemberClaim<'_>) -> Result<(), GroupError> {
        if group_id.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        self.registry
            .with(group_id, false, |slot, now, _, fx| {
                slot.group.heartbeat(now, claim, fx)
            })
            .unwrap_or_else(|error| Err(unknown_member(error)))
    }

    /// LeaveGroup: one outcome for each who leaves, in the same order; or an error of the whole request.
    pub(crate) fn leave(
        &self,
        group_id: &str,
        leaving: &[Leaving],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if group_id.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        match self.registry.with(group_id, false, |slot, now, _, fx| {
            slot.group.leave(now, leaving, fx)
        }) {
            Err(GroupError::GroupIdNotFound) => Ok(vec![Err(GroupError::UnknownMemberId); leaving.len()]),
            outcome => outcome,
        }
    }

    /// Whether offsets may be committed by this member, or by a client that is none. Counts as a heartbeat.
    ///
    /// A member of a group that is not here was in it before this broker started. It is told that it is unknown, in every
    /// version, so that it joins again. (Kafka, whose groups outlive a restart, has GROUP_ID_NOT_FOUND for groups that
    /// never were, on which clients give up.)
    pub(crate) fn check_commit(&self, group_id: &str, claim: MemberClaim<'_>) -> Result<(), GroupError> {
        let outcome = self.registry.with(group_id, false, |slot, now, _, fx| {
            slot.group.check_commit(now, claim, fx)
        });
        match outcome {
            Ok(outcome) => outcome,
            Err(GroupError::GroupIdNotFound) if claim.generation < 0 => Ok(()),
            Err(error) => Err(unknown_member(error)),
        }
    }

    /// The group with its members; `None` when it has had none since this broker started, or for a while.
    pub(crate) fn describe(&self, group_id: &str) -> Option<DescribedGroup> {
        self.registry
            .with(group_id, false, |slot, _, _, _| slot.group.describe())
            .ok()
    }

    /// All groups that have members, or had some lately; in no order.
    pub(crate) fn list(&self) -> Vec<ListedGroup> {
        let mut groups = Vec::new();
        for shard in &self.registry.shards {
            let slots: Vec<(Arc<str>, Arc<Mutex<Slot>>)> = shard
                .lock()
                .iter()
                .map(|(id, slot)| (Arc::clone(id), Arc::clone(slot)))
                .collect();
            for (group_id, slot) in slots {
                let slot = slot.lock();
                if slot.group.state != GroupState::Dead {
                    groups.push(ListedGroup {
                        group_id,
                        state: slot.group.state,
                        protocol_type: slot.group.shown_protocol_type(),
                        members: slot.group.members.len(),
                    });
                }
            }
        }
        groups
    }

    /// Removes a group without members. `GroupIdNotFound` when it is not here; it may have committed offsets still.
    pub(crate) fn delete(&self, group_id: &str) -> Result<(), GroupError> {
        self.registry
            .with(group_id, false, |slot, _, _, _| slot.group.delete())?
    }

    /// For each topic, whether its offsets may be deleted: not while a consumer group consumes it, nor anything of
    /// another group that has members. `GroupIdNotFound` when the group is not here; it may have committed offsets still.
    pub(crate) fn check_offset_delete(
        &self,
        group_id: &str,
        topics: &[&str],
    ) -> Result<Vec<bool>, GroupError> {
        if group_id.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        self.registry.with(group_id, false, |slot, _, _, _| {
            let group = &slot.group;
            if group.state != GroupState::Empty && !group.is_consumer_group() {
                return Err(GroupError::NonEmptyGroup);
            }
            Ok(topics
                .iter()
                .map(|topic| !group.subscription.contains(topic))
                .collect())
        })?
    }

    /// Takes no more groups and sends away whoever waits.
    pub(crate) fn close(&self) {
        self.registry.closed.store(true, Ordering::SeqCst);
        self.stop.cancel();
        for shard in &self.registry.shards {
            let ids: Vec<Arc<str>> = shard.lock().keys().cloned().collect();
            for id in ids {
                // Err: it went by itself meanwhile.
                let _gone = self
                    .registry
                    .with_known(&id, |slot, _, _, fx| slot.group.close(fx));
            }
        }
    }

    fn answer<T: Send + 'static>(
        &self,
        group_id: &str,
        to: ReplyTo,
        mut receiver: oneshot::Receiver<T>,
        if_dropped: impl FnOnce() -> T + Send + 'static,
    ) -> Answer<T> {
        match receiver.try_recv() {
            Ok(reply) => Answer::Now(reply),
            Err(oneshot::error::TryRecvError::Closed) => Answer::Now(if_dropped()),
            Err(oneshot::error::TryRecvError::Empty) => {
                let waiting = Waiting {
                    receiver,
                    registry: Arc::clone(&self.registry),
                    group_id: Arc::from(group_id),
                    to,
                    answered: false,
                };
                Answer::Later(Box::pin(
                    async move { waiting.await.unwrap_or_else(|_| if_dropped()) },
                ))
            }
        }
    }
}

impl fmt::Debug for GroupCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCoordinator")
            .field("groups", &self.registry.groups.load(Ordering::Relaxed))
            .field("bytes", &self.registry.bytes.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// A member of a group that is not here is an unknown member.
fn unknown_member(error: GroupError) -> GroupError {
    match error {
        GroupError::GroupIdNotFound => GroupError::UnknownMemberId,
        other => other,
    }
}

impl Registry {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn has_memory_for(&self, bytes: usize) -> bool {
        let used = self.bytes.load(Ordering::Relaxed);
        let fits = used.saturating_add(bytes) <= self.settings.max_bytes;
        if !fits {
            tracing::warn!(
                used,
                bytes,
                limit = self.settings.max_bytes,
                "no memory left for consumer group members"
            );
        }
        fits
    }

    fn shard(&self, group_id: &str) -> &Shard {
        let mut hasher = DefaultHasher::new();
        group_id.hash(&mut hasher);
        let index = (hasher.finish() % SHARDS as u64) as usize;
        // There are SHARDS of them.
        &self.shards[index]
    }

    fn find(&self, group_id: &str, create: bool) -> Result<(Arc<str>, Arc<Mutex<Slot>>), GroupError> {
        let mut shard = self.shard(group_id).lock();
        if let Some((id, slot)) = shard.get_key_value(group_id) {
            return Ok((Arc::clone(id), Arc::clone(slot)));
        }
        if !create {
            return Err(GroupError::GroupIdNotFound);
        }
        if self.groups.load(Ordering::Relaxed) >= self.settings.max_groups {
            tracing::warn!(
                limit = self.settings.max_groups,
                group = group_id,
                "too many consumer groups"
            );
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let id: Arc<str> = Arc::from(group_id);
        let slot = Arc::new(Mutex::new(Slot {
            group: Group::new(Arc::clone(&self.settings)),
            joins: HashMap::new(),
            syncs: HashMap::new(),
            armed: None,
        }));
        shard.insert(Arc::clone(&id), Arc::clone(&slot));
        self.groups.fetch_add(1, Ordering::Relaxed);
        Ok((id, slot))
    }

    /// Runs a transition of a group, then hands out its answers and sets its timer.
    fn with<R>(
        &self,
        group_id: &str,
        create: bool,
        transition: impl FnOnce(&mut Slot, Duration, ReplyTo, &mut Effects) -> R,
    ) -> Result<R, GroupError> {
        loop {
            if self.closed.load(Ordering::SeqCst) {
                return Err(GroupError::NotCoordinator);
            }
            let (id, slot) = self.find(group_id, create)?;
            let mut guard = slot.lock();
            if guard.group.state == GroupState::Dead {
                // It was removed between the two locks: look again.
                self.forget(&id, &slot);
                continue;
            }
            return Ok(self.run(&id, &slot, &mut guard, transition));
        }
    }

    /// The same for a group that must exist, also while the coordinator closes.
    fn with_known<R>(
        &self,
        group_id: &str,
        transition: impl FnOnce(&mut Slot, Duration, ReplyTo, &mut Effects) -> R,
    ) -> Result<R, GroupError> {
        let (id, slot) = self.find(group_id, false)?;
        let mut guard = slot.lock();
        Ok(self.run(&id, &slot, &mut guard, transition))
    }

    fn run<R>(
        &self,
        id: &Arc<str>,
        shared: &Arc<Mutex<Slot>>,
        slot: &mut Slot,
        transition: impl FnOnce(&mut Slot, Duration, ReplyTo, &mut Effects) -> R,
    ) -> R {
        let before = (slot.group.bytes(), slot.group.state, slot.group.generation);
        let mut fx = Effects::default();
        let to = ReplyTo(self.next_reply.fetch_add(1, Ordering::Relaxed));
        let outcome = transition(slot, self.now(), to, &mut fx);
        self.log(id, before.1, before.2, &slot.group);
        for (to, reply) in fx.joins {
            if let Some(sender) = slot.joins.remove(&to) {
                // Err: its connection has just closed.
                let _gone = sender.send(reply);
            }
        }
        for (to, reply) in fx.syncs {
            if let Some(sender) = slot.syncs.remove(&to) {
                let _gone = sender.send(reply);
            }
        }
        if slot.group.state == GroupState::Dead || slot.group.is_unused() {
            slot.group.state = GroupState::Dead;
            self.bytes.fetch_sub(before.0, Ordering::Relaxed);
            if let Some(at) = slot.armed.take() {
                self.timers.cancel(at, id);
            }
            self.forget(id, shared);
            return outcome;
        }
        let after = slot.group.bytes();
        if after >= before.0 {
            self.bytes.fetch_add(after - before.0, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before.0 - after, Ordering::Relaxed);
        }
        // Deadlines that moved away are found out when the timer fires: a heartbeat must not cost a look at all members.
        if let Some(at) = fx.wake_at
            && slot.armed.is_none_or(|armed| at < armed)
        {
            self.timers.set(slot.armed.replace(at), at, id);
        }
        outcome
    }

    fn log(&self, id: &str, state: GroupState, generation: i32, group: &Group) {
        if group.state != state || group.generation != generation {
            tracing::debug!(
                group = id,
                from = state.name(),
                to = group.state.name(),
                generation = group.generation,
                members = group.members.len(),
                "consumer group changed"
            );
        }
    }

    /// Takes a dead group out of the map, unless a new one with the same id has its place already.
    fn forget(&self, id: &str, slot: &Arc<Mutex<Slot>>) {
        let mut shard = self.shard(id).lock();
        if let Entry::Occupied(entry) = shard.entry(Arc::from(id))
            && Arc::ptr_eq(entry.get(), slot)
        {
            entry.remove();
            self.groups.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The timer of a group has fired.
    fn fire(&self, id: &Arc<str>, at: Duration) {
        let Ok((id, slot)) = self.find(id, false) else {
            return;
        };
        let mut guard = slot.lock();
        if guard.armed != Some(at) {
            return;
        }
        guard.armed = None;
        self.run(&id, &slot, &mut guard, |slot, now, _, fx| {
            slot.group.on_time(now, fx);
            fx.wake_at = slot.group.next_deadline();
        });
    }

    fn abandon(&self, group_id: &str, to: ReplyTo) {
        // Err: the group is gone, and with it the waiting request.
        let _gone = self.with_known(group_id, |slot, now, _, fx| {
            let waited = slot.joins.remove(&to).is_some() | slot.syncs.remove(&to).is_some();
            if waited {
                slot.group.abandon(now, to, fx);
            }
        });
    }
}

/// Fires the timers of the groups until the coordinator closes.
async fn run_timers(registry: Arc<Registry>, stop: CancellationToken) {
    loop {
        let due = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            due = registry.timers.next(registry.origin) => due,
        };
        for (at, id) in due {
            registry.fire(&id, at);
        }
    }
}

/// The wait for an answer; gives notice to the group if it is dropped before.
struct Waiting<T> {
    receiver: oneshot::Receiver<T>,
    registry: Arc<Registry>,
    group_id: Arc<str>,
    to: ReplyTo,
    answered: bool,
}

impl<T> Future for Waiting<T> {
    type Output = Result<T, oneshot::error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.receiver).poll(cx);
        self.answered |= polled.is_ready();
        polled
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        if !self.answered {
            self.registry.abandon(&self.group_id, self.to);
        }
    }
}

#[cfg(test)]
mod tests;
