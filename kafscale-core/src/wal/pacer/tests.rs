use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn an_idle_log_has_a_token_at_once() {
    let mut pacer = Pacer::new(Some(20.0));
    assert_eq!(pacer.wait(at(0)), Duration::ZERO);
}

#[test]
fn in_the_long_run_the_rate_is_kept() {
    let mut pacer = Pacer::new(Some(20.0));
    let (mut now, mut spent) = (at(0), 0);
    while now < at(10_000) {
        let wait = pacer.wait(now);
        if wait.is_zero() {
            pacer.spend(now);
            spent += 1;
        } else {
            now += wait.max(at(1));
        }
    }
    assert!((200..=221).contains(&spent), "{spent}");
}

#[test]
fn a_full_object_does_not_wait_but_its_token_is_owed() {
    let mut pacer = Pacer::new(Some(1.0));
    pacer.spend(at(0));
    pacer.spend(at(0));
    assert_eq!(pacer.wait(at(0)), at(2_000));
}

#[test]
fn without_a_rate_nothing_waits() {
    let mut pacer = Pacer::new(None);
    for _ in 0..1_000 {
        pacer.spend(at(0));
    }
    assert!(pacer.is_unlimited());
    assert_eq!(pacer.wait(at(0)), Duration::ZERO);
}
