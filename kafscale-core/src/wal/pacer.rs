//! How many PUT requests a second the log may spend: a token bucket. Pure: the time is an argument.

use std::time::Duration;

/// A token bucket that holds one second's worth of requests.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// Tokens per second; `None` has no limit.
    rate: Option<f64>,
    tokens: f64,
    filled_at: Duration,
}

impl Pacer {
    pub(crate) fn new(rate: Option<f64>) -> Pacer {
        Pacer {
            rate,
            tokens: rate.map_or(0.0, burst),
            filled_at: Duration::ZERO,
        }
    }

    /// Whether requests cost nothing here.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.rate.is_none()
    }

    /// How long from `now` until there is a token; zero when there is one.
    pub(crate) fn wait(&mut self, now: Duration) -> Duration {
        self.fill(now);
        match self.rate {
            Some(rate) if self.tokens < 1.0 => Duration::from_secs_f64((1.0 - self.tokens) / rate),
            _ => Duration::ZERO,
        }
    }

    /// Spends a token. A request that does not wait for one (a full object) leaves a debt of one burst at the most.
    pub(crate) fn spend(&mut self, now: Duration) {
        self.fill(now);
        if let Some(rate) = self.rate {
            self.tokens = (self.tokens - 1.0).max(-burst(rate));
        }
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled_at);
        self.filled_at = self.filled_at.max(now);
        if let Some(rate) = self.rate {
            self.tokens = (self.tokens + passed.as_secs_f64() * rate).min(burst(rate));
        }
    }
}

fn burst(rate: f64) -> f64 {
    rate.max(1.0)
}

#[cfg(test)]
mod tests;
