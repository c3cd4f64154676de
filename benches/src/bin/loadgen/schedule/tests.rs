#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const MS: Duration = Duration::from_millis(1);

/// 1,000 records a second from `phase` to 1 s, at most 10 in a batch, 5 ms of linger.
fn schedule(phase: Duration) -> Schedule {
    Schedule::new(Some(1000.0), phase, 1000 * MS, 10, 5 * MS)
}

fn nanos(times: &[u64]) -> Vec<u64> {
    times.iter().map(|ms| ms * 1_000_000).collect()
}

#[test]
fn a_batch_is_ready_when_its_linger_is_over() {
    let mut schedule = schedule(Duration::ZERO);
    assert_eq!(schedule.ready_at(), Some(5 * MS));
    assert_eq!(schedule.take(4 * MS), None);
    let batch = schedule.take(5 * MS).unwrap();
    assert_eq!(batch.times().collect::<Vec<_>>(), nanos(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(schedule.ready_at(), Some(11 * MS));
}

#[test]
fn a_batch_is_ready_when_it_is_full() {
    let mut schedule = Schedule::new(Some(1000.0), Duration::ZERO, 1000 * MS, 3, 100 * MS);
    assert_eq!(schedule.ready_at(), Some(2 * MS));
    assert_eq!(
        schedule.take(2 * MS).unwrap().times().collect::<Vec<_>>(),
        nanos(&[0, 1, 2])
    );
    assert_eq!(schedule.ready_at(), Some(5 * MS));
}

#[test]
fn without_linger_each_record_goes_at_its_time() {
    let mut schedule = Schedule::new(Some(1000.0), 7 * MS, 10 * MS, 10, Duration::ZERO);
    let mut sent = Vec::new();
    while let Some(at) = schedule.ready_at() {
        sent.extend(schedule.take(at).unwrap().times());
    }
    assert_eq!(sent, nanos(&[7, 8, 9]));
}

#[test]
fn after_a_stall_the_times_are_those_that_were_planned() {
    let mut schedule = schedule(Duration::ZERO);
    let now = 100 * MS;
    assert_eq!(schedule.due(now), 101);
    let mut times = Vec::new();
    while let Some(batch) = schedule.take(now) {
        assert!(
            batch.count == 10 || times.len() == 100,
            "overdue records make full batches"
        );
        times.extend(batch.times());
        if schedule.due(now) == 0 {
            break;
        }
    }
    // The hundred-and-first is due now and has its linger before it.
    assert_eq!(times, nanos(&(0..100).collect::<Vec<_>>()));
    assert_eq!(schedule.due(now), 1);
    assert_eq!(schedule.ready_at(), Some(105 * MS));
}

#[test]
fn every_record_is_taken_once_whatever_the_times_of_asking() {
    let mut random = fastrand::Rng::with_seed(3);
    for rate in [7.0, 999.9, 123_456.7] {
        let mut schedule = Schedule::new(Some(rate), 3 * MS, 500 * MS, 16, 2 * MS);
        let (mut now, mut times) = (Duration::ZERO, Vec::new());
        while schedule.ready_at().is_some() {
            now += Duration::from_micros(random.u64(0..3000));
            while let Some(batch) = schedule.take(now) {
                assert!(batch.count > 0);
                times.extend(batch.times());
                assert!(
                    times
                        .last()
                        .is_none_or(|&last| u128::from(last) <= now.as_nanos())
                );
            }
        }
        let expected = (0.497 * rate).ceil();
        assert_eq!(times.len() as f64, expected, "{rate}");
        assert!(times.is_sorted_by(|a, b| a < b));
        assert!(times.iter().all(|&at| (3_000_000..500_000_000).contains(&at)));
    }
}

#[test]
fn without_a_rate_a_full_batch_is_always_due_now() {
    let mut schedule = Schedule::new(None, Duration::ZERO, 10 * MS, 4, 5 * MS);
    assert_eq!(schedule.ready_at(), Some(Duration::ZERO));
    assert_eq!(
        schedule.take(3 * MS).unwrap().times().collect::<Vec<_>>(),
        nanos(&[3, 3, 3, 3])
    );
    assert_eq!(schedule.due(5 * MS), 0);
    assert_eq!(schedule.take(10 * MS), None);
    assert_eq!(schedule.ready_at(), None);
}
