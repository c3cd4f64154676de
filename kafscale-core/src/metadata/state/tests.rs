use super::*;

fn put(state: &mut State, txn: Txn) -> TxnOutcome {
    let mut overlay = Overlay::new(state);
    let outcome = overlay.commit(&txn);
    let changes = overlay.into_changes();
    state.apply(changes);
    outcome
}

#[test]
fn a_later_transaction_of_a_batch_sees_the_earlier_ones() {
    let mut state = State::default();
    let _ = put(&mut state, Txn::new().put("a/1", "old").put("a/2", "old"));
    let mut overlay = Overlay::new(&state);
    assert!(overlay.commit(&Txn::new().put("a/3", "new")).is_committed());
    assert!(
        overlay
            .commit(&Txn::new().expect("a/3", Expect::Version(2)).delete_prefix("a/"))
            .is_committed()
    );
    assert_eq!(
        overlay.commit(&Txn::new().expect("a/1", Expect::Present).put("a/1", "x")),
        TxnOutcome::Conflict { key: "a/1".into() }
    );
    assert_eq!(
        overlay.commit(&Txn::new().expect("a/1", Expect::Absent).put("a/1", "x")),
        TxnOutcome::Committed { revision: 4 }
    );
    let changes = overlay.into_changes();
    assert_eq!(changes.revision, 4);
    let keys: Vec<_> = changes
        .entries
        .iter()
        .map(|(k, v)| (k.as_str(), v.is_some()))
        .collect();
    assert_eq!(
        keys,
        [("a/1", true), ("a/2", false)],
        "a key that came and went inside the batch leaves no trace"
    );
}

#[test]
fn a_version_never_comes_back() {
    let mut state = State::default();
    let TxnOutcome::Committed { revision: first } = put(&mut state, Txn::new().put("k", "1")) else {
        panic!()
    };
    let _ = put(&mut state, Txn::new().delete("k"));
    let _ = put(&mut state, Txn::new().put("k", "1"));
    assert_eq!(
        put(
            &mut state,
            Txn::new().expect("k", Expect::Version(first)).delete("k")
        ),
        TxnOutcome::Conflict { key: "k".into() }
    );
}

#[test]
fn a_prefix_ends_where_the_keys_differ() {
    let mut state = State::default();
    let _ = put(
        &mut state,
        Txn::new()
            .put("a", "")
            .put("a/", "")
            .put("a/b", "")
            .put("a0", "")
            .put("b", ""),
    );
    let keys: Vec<_> = state.range("a/").into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, ["a/", "a/b"]);
}
