//! A store that delays, fails, throttles, answers late, loses answers, and waits at gates: on command, repeatably.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::gate::{Gate, GateAt};
use self::gate::{GateEntry, GateState, pass};
pub use self::rule::{Fault, FaultError, FaultRule};
use crate::clock::Clock;
use crate::random::Random;
use crate::store::Operation;

mod gate;
mod rule;

/// A call that came to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// The key; for a listing the prefix, without its last slash.
    pub key: String,
    /// When it came, on the monotonic clock.
    pub at: Duration,
}

/// Changes what a [`FaultStore`] does while it is in use.
#[derive(Clone, Debug)]
pub struct FaultControl(Arc<Shared>);

impl FaultControl {
    /// Adds a rule behind those that are there; all rules that match a call happen to it. Returns its number.
    pub fn add(&self, rule: FaultRule) -> u64 {
        let mut state = self.0.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.rules.push((id, rule));
        id
    }

    /// Takes a rule away. Calls that it has hung stay so.
    pub fn remove(&self, id: u64) {
        self.0.state.lock().rules.retain(|(rule, _)| *rule != id);
    }

    /// Takes all rules away. Calls that they have hung stay so; gates stay.
    pub fn clear(&self) {
        self.0.state.lock().rules.clear();
    }

    /// Puts a gate in the way of calls of `operation` (`None`: any) whose key contains `part`.
    pub fn gate(&self, at: GateAt, operation: Option<Operation>, part: impl Into<String>) -> Gate {
        let sender = Arc::new(watch::Sender::new(GateState::default()));
        let mut state = self.0.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.gates.push(GateEntry {
            id,
            at,
            operation,
            key_contains: part.into(),
            state: Arc::clone(&sender),
        });
        Gate {
            id,
            shared: Arc::clone(&self.0),
            state: sender,
        }
    }

    /// All calls that came so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.0.state.lock().calls.clone()
    }

    /// How many calls of `operation` came so far whose key contains `part`.
    pub fn count(&self, operation: Operation, part: &str) -> usize {
        let state = self.0.state.lock();
        state
            .calls
            .iter()
            .filter(|call| call.operation == operation && call.key.contains(part))
            .count()
    }

    /// Forgets the calls that came so far.
    pub fn forget_calls(&self) {
        self.0.state.lock().calls.clear();
    }
}

#[derive(Debug)]
struct Shared {
    objects: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    random: Random,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(u64, FaultRule)>,
    gates: Vec<GateEntry>,
    calls: Vec<Call>,
    next_id: u64,
}

/// What happens to one call, decided when it comes.
#[derive(Debug)]
struct Plan {
    key: String,
    faults: Vec<Fault>,
    gates_before: Vec<Arc<watch::Sender<GateState>>>,
    gates_after: Vec<Arc<watch::Sender<GateState>>>,
}

impl Plan {
    fn truncated(&self) -> Option<u64> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Truncate(keep) => Some(*keep),
            _ => None,
        })
    }

    fn hidden(&self) -> usize {
        let counts = self.faults.iter().map(|fault| match fault {
            Fault::HideLast(count) => *count,
            _ => 0,
        });
        counts.sum()
    }

    fn later(&self) -> Option<(Duration, FaultError)> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::ApplyLater(after, error) => Some((*after, *error)),
            _ => None,
        })
    }
}

impl Shared {
    fn plan(&self, operation: Operation, key: &str) -> Plan {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.calls.push(Call {
            operation,
            key: key.to_owned(),
            at: self.clock.elapsed(),
        });
        let faults = state
            .rules
            .iter_mut()
            .filter_map(|(_, rule)| rule.strikes(operation, key, &self.random).then_some(rule.fault))
            .collect();
        let gates = |at: GateAt| {
            let matching = state.gates.iter().filter(|gate| {
                gate.at == at
                    && gate.operation.is_none_or(|only| only == operation)
                    && key.contains(&gate.key_contains)
            });
            matching.map(|gate| Arc::clone(&gate.state)).collect()
        };
        Plan {
            key: key.to_owned(),
            faults,
            gates_before: gates(GateAt::Request),
            gates_after: gates(GateAt::Answer),
        }
    }

    async fn before(&self, plan: &Plan) -> Result<()> {
        for gate in &plan.gates_before {
            pass(Arc::clone(gate)).await;
        }
        for fault in &plan.faults {
            match fault {
                Fault::Delay(least, most) => self.sleep_between(*least, *most).await,
                Fault::FailBefore(error) => return Err(error.error(&plan.key)),
                Fault::Hang => std::future::pending::<()>().await,
                _ => {}
            }
        }
        Ok(())
    }

    async fn after(&self, plan: &Plan) -> Result<()> {
        for gate in &plan.gates_after {
            pass(Arc::clone(gate)).await;
        }
        for fault in &plan.faults {
            match fault {
                Fault::DelayAnswer(least, most) => self.sleep_between(*least, *most).await,
                Fault::FailAfter(error) => return Err(error.error(&plan.key)),
                Fault::HangAfter => std::future::pending::<()>().await,
                _ => {}
            }
        }
        Ok(())
    }

    async fn sleep_between(&self, least: Duration, most: Duration) {
        let more = self.random.jitter(most.saturating_sub(least));
        self.clock.sleep(least + more).await;
    }

    /// A call without special treatment: faults before, the call, faults after.
    async fn run<T>(&self, plan: &Plan, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.before(plan).await?;
        // An error of the store itself is an answer too, and can be lost.
        let outcome = call.await;
        self.after(plan).await?;
        outcome
    }
}

/// Any store, with faults.
#[derive(Debug)]
pub struct FaultStore(Arc<Shared>);

impl FaultStore {
    /// `objects` without faults yet; delays run on `clock`, chances come from `seed`.
    pub fn new(objects: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>, seed: u64) -> FaultStore {
        FaultStore(Arc::new(Shared {
            objects,
            clock,
            random: Random::seeded(seed),
            state: Mutex::new(State::default()),
        }))
    }

    /// What changes the faults.
    pub fn control(&self) -> FaultControl {
        FaultControl(Arc::clone(&self.0))
    }

    fn listing(
        &self,
        prefix: Option<&Path>,
        open: impl FnOnce(&dyn ObjectStore) -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let shared = Arc::clone(&self.0);
        let plan = shared.plan(Operation::List, prefix.map(Path::as_ref).unwrap_or_default());
        stream::once(async move {
            let objects = Arc::clone(&shared.objects);
            let mut found: Vec<ObjectMeta> = shared
                .run(&plan, async { open(&*objects).try_collect().await })
                .await?;
            hide_last(&mut found, plan.hidden(), |object| object.location.clone());
            Ok::<_, StoreError>(stream::iter(found).map(Ok))
        })
        .try_flatten()
        .boxed()
    }
}

fn hide_last<T>(found: &mut Vec<T>, count: usize, key: impl Fn(&T) -> Path) {
    if count > 0 {
        found.sort_by_key(key);
        found.truncate(found.len().saturating_sub(count));
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.0.objects)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> Result<PutResult> {
        let shared = &self.0;
        let create = opts.mode == PutMode::Create;
        let plan = shared.plan(
            if create { Operation::Create } else { Operation::Put },
            location.as_ref(),
        );
        if create && plan.faults.contains(&Fault::IgnoreCondition) {
            opts.mode = PutMode::Overwrite;
        }
        if let Some((after, error)) = plan.later() {
            shared.before(&plan).await?;
            let (shared, location) = (Arc::clone(shared), location.clone());
            tokio::spawn(async move {
                shared.clock.sleep(after).await;
                // Nobody waits for the outcome any more.
                let _ = shared.objects.put_opts(&location, payload, opts).await;
            });
            return Err(error.error(&plan.key));
        }
        shared
            .run(&plan, shared.objects.put_opts(location, payload, opts))
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let plan = self.0.plan(Operation::Put, location.as_ref());
        self.0
            .run(&plan, self.0.objects.put_multipart_opts(location, opts))
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let plan = self.0.plan(Operation::Get, location.as_ref());
        let answer = self
            .0
            .run(&plan, self.0.objects.get_opts(location, options))
            .await?;
        let Some(keep) = plan.truncated() else {
            return Ok(answer);
        };
        let (meta, range) = (answer.meta.clone(), answer.range.clone());
        let (attributes, extensions) = (answer.attributes.clone(), answer.extensions.clone());
        let mut body = answer.bytes().await?;
        body.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(body) }).boxed());
        Ok(GetResult {
            payload,
            meta,
            range,
            attributes,
            extensions,
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let plan = self.0.plan(Operation::Get, location.as_ref());
        let mut bodies = self
            .0
            .run(&plan, self.0.objects.get_ranges(location, ranges))
            .await?;
        if let Some(keep) = plan.truncated() {
            for body in &mut bodies {
                body.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
            }
        }
        Ok(bodies)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let shared = Arc::clone(&self.0);
        locations
            .then(move |location| {
                let shared = Arc::clone(&shared);
                async move {
                    let location = location?;
                    let plan = shared.plan(Operation::Delete, location.as_ref());
                    let one = stream::iter([Ok(location.clone())]).boxed();
                    let mut answers = shared.objects.delete_stream(one);
                    shared
                        .run(&plan, async move {
                            match answers.next().await {
                                Some(answer) => answer,
                                None => Ok(location),
                            }
                        })
                        .await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let asked = prefix.cloned();
        self.listing(prefix, move |objects| objects.list(asked.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (asked, offset) = (prefix.cloned(), offset.clone());
        self.listing(prefix, move |objects| {
            objects.list_with_offset(asked.as_ref(), &offset)
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let plan = self
            .0
            .plan(Operation::List, prefix.map(Path::as_ref).unwrap_or_default());
        let mut found = self
            .0
            .run(&plan, self.0.objects.list_with_delimiter(prefix))
            .await?;
        hide_last(&mut found.common_prefixes, plan.hidden(), Path::clone);
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let plan = self.0.plan(Operation::Put, to.as_ref());
        self.0
            .run(&plan, self.0.objects.copy_opts(from, to, options))
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let plan = self.0.plan(Operation::Put, to.as_ref());
        self.0
            .run(&plan, self.0.objects.rename_opts(from, to, options))
            .await
    }
}
