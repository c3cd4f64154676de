//! Gates: calls wait at them until a test lets them through.

use std::sync::Arc;

use tokio::sync::watch;

use super::Shared;
use crate::store::Operation;

/// Where a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateAt {
    /// Calls wait before they reach the store.
    Request,
    /// Calls have taken effect; their answers wait.
    Answer,
}

/// Holds the calls that match it until they are let through. Dropping it lets all through.
#[derive(Debug)]
pub struct Gate {
    pub(super) id: u64,
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<watch::Sender<GateState>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GateState {
    arrived: u64,
    released: u64,
    open: bool,
}

impl Gate {
    /// How many calls have come to the gate so far, those let through included.
    pub fn arrived(&self) -> u64 {
        self.state.borrow().arrived
    }

    /// Waits until `count` calls have come to the gate in all.
    pub async fn wait_for(&self, count: u64) {
        // The sender lives in `self`: the wait cannot fail.
        let _ = self
            .state
            .subscribe()
            .wait_for(|state| state.arrived >= count)
            .await;
    }

    /// Lets the `count` longest waiting calls through, or the next to come.
    pub fn release(&self, count: u64) {
        self.state.send_modify(|state| state.released += count);
    }

    /// Lets all calls through from now on.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
        self.shared.state.lock().gates.retain(|gate| gate.id != self.id);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

#[derive(Debug)]
pub(super) struct GateEntry {
    pub(super) id: u64,
    pub(super) at: GateAt,
    pub(super) operation: Option<Operation>,
    pub(super) key_contains: String,
    pub(super) state: Arc<watch::Sender<GateState>>,
}

pub(super) async fn pass(gate: Arc<watch::Sender<GateState>>) {
    let mut ticket = 0;
    gate.send_modify(|state| {
        state.arrived += 1;
        ticket = state.arrived;
    });
    // `gate` is a sender: the wait cannot fail.
    let _ = gate
        .subscribe()
        .wait_for(|state| state.open || state.released >= ticket)
        .await;
}
