use proptest::prelude::*;

use super::*;

fn data(slot: u64, trim: u64) -> SlotSeen {
    SlotSeen {
        slot,
        kind: SlotKind::Data,
        trim,
    }
}

fn seal(slot: u64) -> SlotSeen {
    // What a sealer saw of the trim point never counts.
    SlotSeen {
        slot,
        kind: SlotKind::Seal,
        trim: 99,
    }
}

fn view(trim: u64, end: u64, sealed: Option<u64>, slots: &[u64]) -> LogView {
    LogView {
        trim,
        end,
        sealed,
        slots: slots.to_vec(),
    }
}

#[test]
fn an_empty_log_begins_and_ends_at_zero() {
    assert_eq!(decide(&[]), view(0, 0, None, &[]));
    assert_eq!(decide(&[seal(0)]), view(0, 0, Some(0), &[]));
}

#[test]
fn without_a_seal_the_log_runs_to_the_first_gap() {
    assert_eq!(
        decide(&[data(0, 0), data(1, 0), data(3, 0)]),
        view(0, 2, None, &[0, 1])
    );
    assert_eq!(decide(&[data(1, 0), data(2, 0)]), view(0, 0, None, &[]));
}

#[test]
fn trimmed_slots_do_not_count_even_when_they_came_back() {
    assert_eq!(
        decide(&[data(0, 0), data(2, 0), data(3, 2)]),
        view(2, 4, None, &[2, 3])
    );
    assert_eq!(
        decide(&[data(0, 0), data(2, 0), data(3, 2), seal(4)]),
        view(2, 4, Some(4), &[2, 3])
    );
}

#[test]
fn below_a_seal_every_slot_counts_whatever_the_gaps() {
    assert_eq!(
        decide(&[data(1, 0), data(3, 0), seal(5)]),
        view(0, 5, Some(5), &[1, 3])
    );
}

#[test]
fn beyond_a_seal_data_is_void() {
    assert_eq!(
        decide(&[data(0, 0), seal(1), data(2, 0), data(3, 1)]),
        view(1, 1, Some(1), &[])
    );
    assert_eq!(
        decide(&[data(0, 0), data(1, 0), seal(2), data(3, 0)]),
        view(0, 2, Some(2), &[0, 1])
    );
}

#[test]
fn a_seal_that_missed_its_log_is_ignored() {
    assert_eq!(
        decide(&[seal(1), data(4, 2), data(5, 4)]),
        view(4, 6, None, &[4, 5])
    );
    assert_eq!(
        decide(&[seal(1), data(4, 2), data(5, 4), seal(6)]),
        view(4, 6, Some(6), &[4, 5])
    );
}

#[test]
fn the_highest_seal_counts_when_the_data_is_gone() {
    assert_eq!(decide(&[seal(1), seal(6)]), view(0, 6, Some(6), &[]));
}

/// The rule, said the other way round: slot by slot.
fn oracle(objects: &[SlotSeen]) -> LogView {
    let at = |slot: u64| objects.iter().find(|o| o.slot == slot);
    let mut trim = 0;
    for slot in 0..16 {
        if let Some(o) = at(slot)
            && o.kind == SlotKind::Data
            && o.trim > trim
        {
            trim = o.trim;
        }
    }
    let mut sealed = None;
    for slot in trim..16 {
        if at(slot).is_some_and(|o| o.kind == SlotKind::Seal) {
            sealed = Some(slot);
        }
    }
    let mut end = trim;
    match sealed {
        Some(slot) => end = slot,
        None => {
            while at(end).is_some() {
                end += 1;
            }
        }
    }
    let slots = (trim..end)
        .filter(|slot| at(*slot).is_some_and(|o| o.kind == SlotKind::Data))
        .collect();
    LogView {
        trim,
        end,
        sealed,
        slots,
    }
}

#[test]
fn all_small_logs_are_decided_by_the_rule() {
    // Each of five slots is free, a seal, or data with any trim point up to its own number.
    let choices: Vec<Vec<Option<SlotSeen>>> = (0..5u64)
        .map(|slot| {
            let mut all = vec![None, Some(seal(slot))];
            all.extend((0..=slot).map(|trim| Some(data(slot, trim))));
            all
        })
        .collect();
    let total: usize = choices.iter().map(Vec::len).product();
    assert_eq!(total, 3 * 4 * 5 * 6 * 7);
    for mut number in 0..total {
        let mut objects = Vec::new();
        for slot in &choices {
            objects.extend(slot[number % slot.len()]);
            number /= slot.len();
        }
        let decided = decide(&objects);
        assert_eq!(decided, oracle(&objects), "{objects:?}");
        objects.reverse();
        assert_eq!(
            decide(&objects),
            decided,
            "the order of the listing does not matter: {objects:?}"
        );
        objects.retain(|o| o.slot >= decided.trim);
        // Of the data below the trim point nothing but that point matters, and one writer's highest data has it.
        if objects
            .iter()
            .any(|o| o.kind == SlotKind::Data && o.trim == decided.trim)
        {
            assert_eq!(decide(&objects), decided, "{objects:?}");
        }
    }
}

proptest! {
    #[test]
    fn trim_end_and_slots_are_in_order(
        raw in proptest::collection::btree_map(0..16u64, (0..4u8, 0..16u64), 0..12)
    ) {
        let objects: Vec<SlotSeen> = raw
            .into_iter()
            .map(|(slot, (kind, trim))| if kind == 0 { seal(slot) } else { data(slot, trim.min(slot)) })
            .collect();
        let view = decide(&objects);
        prop_assert_eq!(&view, &oracle(&objects));
        prop_assert!(view.trim <= view.end);
        prop_assert!(view.slots.iter().all(|slot| (view.trim..view.end).contains(slot)));
        prop_assert!(view.slots.windows(2).all(|w| w[0] < w[1]));
    }
}
