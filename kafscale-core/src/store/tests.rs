#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(
    clippy::disallowed_methods,
    reason = "these tests move Tokio's paused time themselves"
)]

use std::sync::Arc;

use object_store::memory::InMemory;

use crate::clock::SimClock;
use crate::metrics::StoreMetrics;
use crate::random::Random;
use crate::store::{Store, StoreKind, StoreSettings};
use crate::testing::fault_store::{FaultControl, FaultStore};

mod conformance;
mod create;
mod health;
mod local;
mod location;
mod probe;
mod read;
#[cfg(feature = "s3")]
mod s3;
mod settings;

/// A store in memory whose faults are under control, on Tokio's clock.
fn faulty_with(kind: StoreKind, settings: StoreSettings) -> (Store, FaultControl) {
    let clock = Arc::new(SimClock::new(1_700_000_000_000));
    let faults = FaultStore::new(Arc::new(InMemory::new()), clock.clone(), 11);
    let control = faults.control();
    let (random, metrics) = (Arc::new(Random::seeded(5)), Arc::new(StoreMetrics::new()));
    (
        Store::new(Arc::new(faults), kind, settings, clock, random, metrics),
        control,
    )
}

fn faulty() -> (Store, FaultControl) {
    faulty_with(StoreKind::Remote, StoreSettings::default())
}
