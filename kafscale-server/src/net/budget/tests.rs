use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::config::ServerConfig;

fn settings() -> NetSettings {
    ServerConfig::in_memory().unwrap().net
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

#[test]
fn connections_are_limited_in_total_and_per_address_until_they_close() {
    let limits = NetSettings {
        max_connections: 3,
        max_connections_per_ip: 2,
        ..settings()
    };
    let limits = Arc::new(ConnectionLimits::new(&limits));
    let first = limits.admit(ip(1)).unwrap();
    let _second = limits.admit(ip(1)).unwrap();
    assert_eq!(limits.admit(ip(1)).unwrap_err(), Refused::PerIp);
    let _third = limits.admit(ip(2)).unwrap();
    assert_eq!(limits.admit(ip(3)).unwrap_err(), Refused::Total);
    drop(first);
    let _again = limits.admit(ip(1)).unwrap();
    assert_eq!(limits.open.lock().by_ip.len(), 2);
}

#[tokio::test]
async fn a_request_larger_than_the_share_takes_all_of_it() {
    let share = Share::new(100);
    let whole = share.take(1_000).await.unwrap();
    assert!(timeout(Duration::from_millis(5), share.take(1)).await.is_err());
    drop(whole);
    assert!(share.is_free());
    let _some = share.take(60).await.unwrap();
    assert!(!share.is_free());
}

#[tokio::test]
async fn produce_requests_do_not_take_the_memory_of_others() {
    let settings = NetSettings {
        request_bytes: 400,
        ..settings()
    };
    let budget = RequestBudget::new(&settings);
    let _records = budget.share(ApiKey::Produce as i16).take(400).await.unwrap();
    let _heartbeat = budget.share(ApiKey::Heartbeat as i16).take(100).await.unwrap();
    let full = budget.share(ApiKey::Fetch as i16).take(1);
    assert!(timeout(Duration::from_millis(5), full).await.is_err());
}

#[tokio::test]
async fn a_request_takes_memory_as_it_arrives() {
    let share = Share::new(100);
    let mut request = Held::default();
    for (size, free) in [(10, 90), (40, 60), (40, 60), (30, 60), (1_000, 0)] {
        share.grow(&mut request, size).await.unwrap();
        assert_eq!(share.free.available_permits(), free);
    }
    drop(request);
    assert!(share.is_free());
}

#[tokio::test]
async fn one_request_may_go_on_when_nothing_is_free_and_no_other() {
    let share = Share::new(100);
    let (mut first, mut second) = (Held::default(), Held::default());
    share.grow(&mut first, 50).await.unwrap();
    share.grow(&mut second, 50).await.unwrap();
    for size in [60, 1_000] {
        timeout(Duration::from_secs(5), share.grow(&mut first, size))
            .await
            .unwrap()
            .unwrap();
        assert!(
            timeout(Duration::from_millis(5), share.grow(&mut second, size))
                .await
                .is_err()
        );
    }
    drop(first);
    share.grow(&mut second, 90).await.unwrap();
    assert!(second.excess.is_none());
    drop(second);
    assert!(share.is_free());
    assert_eq!(share.excess.available_permits(), 1);
}
