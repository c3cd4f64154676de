use super::*;

fn rules() -> FlushRules {
    FlushRules {
        object_bytes: 100,
        gather: ms(2),
        flush_interval: ms(500),
        in_flight_objects: 2,
        stall: ms(1_000),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn idle() -> InFlight {
    InFlight::default()
}

fn busy(objects: usize, since: u64) -> InFlight {
    InFlight {
        objects,
        oldest_since: Some(ms(since)),
    }
}

fn paced() -> Pacer {
    Pacer::new(Some(1_000.0))
}

#[test]
fn a_waiting_producer_is_flushed_after_the_gather_time() {
    let mut gather = Gather::new();
    assert!(gather.push('a', 10, true, ms(5)));
    assert_eq!(gather.due(&rules(), &mut paced(), idle(), ms(5)), Due::In(ms(2)));
    assert_eq!(gather.due(&rules(), &mut paced(), idle(), ms(7)), Due::Now);
}

#[test]
fn what_nobody_waits_for_is_flushed_after_the_flush_interval() {
    let mut gather = Gather::new();
    assert!(gather.push('a', 10, false, ms(5)));
    assert_eq!(
        gather.due(&rules(), &mut paced(), idle(), ms(5)),
        Due::In(ms(500))
    );
    assert_eq!(gather.due(&rules(), &mut paced(), idle(), ms(505)), Due::Now);
}

#[test]
fn a_full_object_goes_at_once_while_there_is_a_place_for_it() {
    let mut gather = Gather::new();
    assert!(gather.push('a', 100, false, ms(0)));
    let mut spent = Pacer::new(Some(1.0));
    spent.spend(ms(0));
    assert_eq!(gather.due(&rules(), &mut spent, busy(1, 0), ms(0)), Due::Now);
    assert_eq!(gather.due(&rules(), &mut spent, busy(2, 0), ms(0)), Due::Later);
}

#[test]
fn without_a_budget_the_next_flush_starts_when_the_last_one_ends() {
    let mut gather = Gather::new();
    assert!(gather.push('a', 10, true, ms(0)));
    let mut free = Pacer::new(None);
    assert_eq!(gather.due(&rules(), &mut free, busy(1, 0), ms(9)), Due::Later);
    assert_eq!(gather.due(&rules(), &mut free, idle(), ms(9)), Due::Now);
    assert!(gather.push('b', 15, true, ms(9)));
    assert_eq!(
        gather.due(&rules(), &mut free, busy(1, 0), ms(9)),
        Due::Now,
        "a quarter of an object"
    );
}

#[test]
fn nothing_starts_while_the_oldest_object_is_stuck() {
    let mut gather = Gather::new();
    assert!(gather.push('a', 100, true, ms(0)));
    assert_eq!(
        gather.due(&rules(), &mut paced(), busy(1, 0), ms(1_001)),
        Due::Later
    );
}

#[test]
fn an_empty_gather_is_due_only_when_forced() {
    let mut gather: Gather<char> = Gather::new();
    assert_eq!(gather.due(&rules(), &mut paced(), idle(), ms(9_999)), Due::Later);
    gather.force();
    assert_eq!(gather.due(&rules(), &mut paced(), idle(), ms(0)), Due::Now);
    assert!(gather.take(100, ms(0)).is_empty());
    assert!(gather.is_empty());
}

#[test]
fn an_object_takes_what_fits_in_order_and_at_least_one() {
    let mut gather = Gather::new();
    for (entry, len) in [('a', 60), ('b', 60), ('c', 200), ('d', 1)] {
        assert!(gather.push(entry, len, true, ms(0)));
    }
    assert_eq!(gather.take(130, ms(0)), ['a', 'b']);
    assert_eq!(gather.take(130, ms(0)), ['c']);
    assert_eq!(gather.due(&rules(), &mut paced(), idle(), ms(2)), Due::Now);
    assert_eq!(gather.take(130, ms(0)), ['d']);
    assert!(gather.is_empty());
}
