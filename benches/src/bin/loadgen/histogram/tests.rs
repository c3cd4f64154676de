use super::*;

#[test]
fn buckets_follow_each_other_without_gap_or_overlap() {
    for number in 0..BUCKETS {
        let last = upper(number);
        assert_eq!(bucket(last), number);
        match last.checked_add(1) {
            Some(next) => assert_eq!(bucket(next), number + 1),
            None => assert_eq!(number, BUCKETS - 1),
        }
    }
}

#[test]
fn quantiles_are_within_a_percent_of_the_exact_ones() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut histogram = Histogram::default();
    let mut values: Vec<u64> = (0..50_000).map(|_| random.u64(..) >> random.u32(0..64)).collect();
    for &value in &values {
        histogram.record(value);
    }
    values.sort_unstable();
    for share in [0.001, 0.5, 0.9, 0.99, 0.999, 1.0] {
        let exact = values[(share * values.len() as f64).ceil() as usize - 1];
        let found = histogram.quantile(share);
        assert!(
            found >= exact && found as f64 <= exact as f64 * 1.01 + 1.0,
            "{share}: {found} for {exact}"
        );
    }
    assert_eq!(histogram.max(), values[values.len() - 1]);
    assert_eq!(histogram.total(), 50_000);
}

#[test]
fn an_empty_histogram_has_zeros() {
    let histogram = Histogram::default();
    assert_eq!(
        (histogram.total(), histogram.max(), histogram.quantile(0.99)),
        (0, 0, 0)
    );
}

#[test]
fn merging_is_counting_both() {
    let (mut left, mut right, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
    for value in 0..1000 {
        if value % 3 == 0 { &mut left } else { &mut right }.record(value * value);
        both.record(value * value);
    }
    left.merge(&right);
    assert_eq!(left.counts, both.counts);
    assert_eq!((left.total(), left.max()), (1000, 999 * 999));
}
