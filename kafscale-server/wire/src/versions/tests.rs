#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn the_table_is_sorted_by_key_without_duplicates() {
    assert!(
        SERVED
            .windows(2)
            .all(|pair| (pair[0].key as i16) < (pair[1].key as i16))
    );
}

#[test]
fn every_served_api_is_found_and_others_are_not() {
    for entry in SERVED {
        assert_eq!(served(entry.key as i16), Some(entry));
    }
    for key in [-1, 4, 5, 6, 7, 1000, i16::MAX, i16::MIN] {
        assert_eq!(served(key), None);
    }
}

#[test]
fn our_versions_are_among_those_of_the_codec() {
    for entry in SERVED {
        let known = entry.key.valid_versions();
        assert!(
            known.min <= entry.min && entry.max <= known.max,
            "{:?}",
            entry.key
        );
        assert!(
            entry.advertised_min <= entry.min && entry.min <= entry.max,
            "{:?}",
            entry.key
        );
    }
}

#[test]
fn only_produce_advertises_versions_that_it_does_not_serve() {
    for entry in SERVED.iter().filter(|entry| entry.advertised_min != entry.min) {
        assert_eq!(entry.key, ApiKey::Produce);
    }
    assert_eq!(served(0).unwrap().advertised_min, 0);
}
