//! How well the store answers: a sliding window of calls, and the state that follows from it. Pure: time is an argument.

mod state;
mod window;

pub use state::{Health, HealthSettings, HealthState, HealthTracker};
pub use window::{Sample, Summary, Window};

#[cfg(test)]
mod tests;
