//! Settings of the store.

use std::time::Duration;

use crate::store::StoreSettings;

#[test]
fn the_defaults_hold_and_what_cannot_work_is_refused() {
    let good = StoreSettings::default();
    good.validate().unwrap();
    let bad = [
        StoreSettings {
            concurrency: 0,
            ..good.clone()
        },
        StoreSettings {
            concurrency: usize::MAX,
            ..good.clone()
        },
        StoreSettings {
            min_bytes_per_second: 0,
            ..good.clone()
        },
        StoreSettings {
            request_timeout_max_ms: 10,
            ..good.clone()
        },
        StoreSettings {
            backoff_cap_ms: 10,
            ..good.clone()
        },
        StoreSettings {
            retry_attempts: 0,
            ..good.clone()
        },
        StoreSettings {
            health: crate::health::HealthSettings {
                min_samples: 0,
                ..Default::default()
            },
            ..good
        },
    ];
    for settings in bad {
        assert!(settings.validate().is_err(), "{settings:?}");
    }
}

#[test]
fn a_larger_try_may_take_longer_up_to_a_limit() {
    let settings = StoreSettings::default();
    assert_eq!(settings.timeout_for(0), Duration::from_secs(5));
    assert_eq!(settings.timeout_for(4 << 20), Duration::from_secs(9));
    assert_eq!(settings.timeout_for(u64::MAX), Duration::from_secs(60));
}

#[test]
fn settings_that_are_not_known_are_not_ignored() {
    let read: StoreSettings = serde_json::from_str("{\"concurrency\": 8}").unwrap();
    assert_eq!(
        read,
        StoreSettings {
            concurrency: 8,
            ..StoreSettings::default()
        }
    );
    assert!(serde_json::from_str::<StoreSettings>("{\"concurency\": 8}").is_err());
}
