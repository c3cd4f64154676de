#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use super::{HealthSettings, HealthState, HealthTracker, Sample, Window};

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tracker() -> HealthTracker {
    HealthTracker::new(HealthSettings::default(), Duration::ZERO)
}

fn call(at_ms: u64, latency_ms: u64, failed: bool) -> Sample {
    Sample {
        at: at(at_ms),
        latency: Some(at(latency_ms)),
        failed,
    }
}

#[test]
fn a_window_forgets_what_is_a_span_old() {
    let mut window = Window::new(at(1000));
    window.push(call(0, 10, true));
    window.push(call(500, 30, false));
    assert_eq!(window.summary().samples, 2);
    assert_eq!(window.summary().error_rate, 0.5);
    assert_eq!(window.summary().latency_ms_avg, 20.0);
    window.expire(at(999));
    assert_eq!(window.summary().samples, 2);
    window.expire(at(1000));
    assert_eq!(window.summary().samples, 1);
    assert_eq!(window.summary().error_rate, 0.0);
    assert_eq!(window.summary().latency_ms_avg, 30.0);
    window.expire(at(5000));
    assert_eq!(window.summary(), super::Summary::default());
}

#[test]
fn a_window_has_a_bound_and_keeps_the_newest() {
    let mut window = Window::new(at(1_000_000));
    for i in 0..10_000 {
        window.push(call(i, 1, i < 9_000));
    }
    let summary = window.summary();
    assert_eq!(summary.samples, 4096);
    assert_eq!(summary.error_rate, 3096.0 / 4096.0);
}

#[test]
fn latency_is_the_mean_of_the_calls_that_have_one() {
    let mut window = Window::new(at(1000));
    window.push(Sample {
        at: at(0),
        latency: None,
        failed: false,
    });
    window.push(call(1, 40, false));
    assert_eq!((window.summary().samples, window.summary().timed_samples), (2, 1));
    assert_eq!(window.summary().latency_ms_avg, 40.0);
}

#[test]
fn too_few_calls_say_nothing() {
    let mut tracker = tracker();
    for i in 0..4 {
        assert_eq!(tracker.record(call(i, 10_000, true)).state, HealthState::Healthy);
    }
    let health = tracker.record(call(4, 10_000, true));
    assert_eq!(health.state, HealthState::Unavailable);
    assert_eq!(health.since, at(4));
}

#[test]
fn states_begin_at_their_thresholds() {
    for (failed_of_ten, latency_ms, state) in [
        (1, 499, HealthState::Healthy),
        (2, 0, HealthState::Degraded),
        (5, 0, HealthState::Degraded),
        (6, 0, HealthState::Unavailable),
        (0, 500, HealthState::Degraded),
        (0, 2999, HealthState::Degraded),
        (0, 3000, HealthState::Unavailable),
        (2, 3000, HealthState::Unavailable),
    ] {
        let mut tracker = tracker();
        // Good calls first, so that no state is passed through on the way.
        let last = (0..10)
            .map(|i| tracker.record(call(i, latency_ms, i >= 10 - failed_of_ten)))
            .last();
        assert_eq!(
            last.unwrap().state,
            state,
            "{failed_of_ten} of 10 failed, {latency_ms} ms"
        );
    }
}

#[test]
fn bad_calls_that_grow_old_are_forgiven() {
    let mut tracker = tracker();
    for i in 0..10 {
        tracker.record(call(i, 600, false));
    }
    assert_eq!(tracker.evaluate(at(59_999)).state, HealthState::Degraded);
    let health = tracker.evaluate(at(60_009));
    assert_eq!((health.state, health.since), (HealthState::Healthy, at(60_009)));
}

#[test]
fn good_calls_in_a_row_end_unavailable_before_the_window_does() {
    let mut tracker = tracker();
    for i in 0..1000 {
        tracker.record(call(i, 10, true));
    }
    for i in 0..4 {
        assert_eq!(
            tracker.record(call(1000 + i, 10, false)).state,
            HealthState::Unavailable
        );
    }
    tracker.record(call(1005, 10, true));
    for i in 0..4 {
        assert_eq!(
            tracker.record(call(1010 + i, 10, false)).state,
            HealthState::Unavailable,
            "counted anew"
        );
    }
    let health = tracker.record(call(1020, 10, false));
    assert_eq!((health.state, health.since), (HealthState::Healthy, at(1020)));
}

#[test]
fn calls_that_succeed_slowly_do_not_end_unavailable() {
    let mut tracker = tracker();
    for i in 0..100 {
        tracker.record(call(i, 4000, false));
    }
    assert_eq!(tracker.evaluate(at(100)).state, HealthState::Unavailable);
}

#[test]
fn settings_that_contradict_themselves_are_refused() {
    let good = HealthSettings::default();
    good.validate().unwrap();
    let bad = [
        HealthSettings {
            window_ms: 0,
            ..good.clone()
        },
        HealthSettings {
            latency_warn_ms: 4000,
            ..good.clone()
        },
        HealthSettings {
            error_rate_warn: 0.7,
            ..good.clone()
        },
        HealthSettings {
            error_rate_warn: 0.0,
            ..good.clone()
        },
        HealthSettings {
            error_rate_crit: 1.5,
            ..good.clone()
        },
        HealthSettings {
            error_rate_crit: f64::NAN,
            ..good.clone()
        },
        HealthSettings {
            min_samples: 0,
            ..good.clone()
        },
        HealthSettings {
            recover_after: 0,
            ..good
        },
    ];
    for settings in bad {
        assert!(settings.validate().is_err(), "{settings:?}");
    }
}
