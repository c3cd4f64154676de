//! Randomness, injected: the only place of the engine that asks for random bytes.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};

/// A source of random numbers, seeded once.
pub struct Random(Mutex<fastrand::Rng>);

impl Random {
    /// Seeded from the operating system.
    pub fn from_system() -> Result<Random> {
        let mut seed = [0u8; 8];
        getrandom::fill(&mut seed).map_err(|e| {
            Error::new(
                ErrorKind::Precondition,
                "the operating system gives no random bytes",
            )
            .with_source(e.to_string())
        })?;
        Ok(Random::seeded(u64::from_le_bytes(seed)))
    }

    /// The same seed gives the same numbers.
    pub fn seeded(seed: u64) -> Random {
        Random(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// 16 random bytes.
    pub fn bytes16(&self) -> [u8; 16] {
        let mut rng = self.0.lock();
        let mut out = [0; 16];
        rng.fill(&mut out);
        out
    }

    /// Any `u32`.
    pub fn u32(&self) -> u32 {
        self.0.lock().u32(..)
    }

    /// Any `u64`.
    pub fn u64(&self) -> u64 {
        self.0.lock().u64(..)
    }

    /// Between nothing and `limit`: full jitter for a back-off.
    pub fn jitter(&self, limit: Duration) -> Duration {
        limit.mul_f64(self.0.lock().f64())
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
