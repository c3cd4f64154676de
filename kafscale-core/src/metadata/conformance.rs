//! What every metadata store must do: one suite that each of them runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test suite, shared by the tests of several stores"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Expect, MAX_TXN_OPS, MetadataStore, Txn, TxnOutcome, Versioned};
use crate::error::ErrorKind;
use crate::random::Random;

/// One set of data that can be opened again and again.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A new handle on the data, without a session.
    async fn handle(&self) -> Arc<dyn MetadataStore>;
}

/// Runs the whole suite; `fresh` gives a subject without data. Panics where the store does not conform.
pub async fn run<S: Subject>(fresh: impl Fn() -> S) {
    values_are_read_back(&fresh()).await;
    comparisons_decide(&fresh()).await;
    a_transaction_happens_whole_or_not_at_all(&fresh()).await;
    prefixes_are_deleted_whole(&fresh()).await;
    a_new_session_sees_all_that_was_committed(&fresh()).await;
    a_new_session_of_the_broker_fences_the_old_one(&fresh()).await;
    a_session_has_a_beginning_and_an_end(&fresh()).await;
    limits_are_kept(&fresh()).await;
    one_of_many_concurrent_claims_wins(&fresh()).await;
    concurrent_increments_all_count(&fresh()).await;
    large_ranges_come_back_sorted(&fresh()).await;
    for seed in 0..8 {
        random_histories_match_a_map(&fresh(), seed).await;
    }
}

async fn open(subject: &dyn Subject) -> Arc<dyn MetadataStore> {
    let store = subject.handle().await;
    store.open_session(1).await.unwrap();
    store
}

async fn committed(store: &dyn MetadataStore, txn: Txn) -> u64 {
    match store.commit(txn).await.unwrap() {
        TxnOutcome::Committed { revision } => revision,
        TxnOutcome::Conflict { key } => panic!("a conflict at {key:?}"),
    }
}

async fn values_are_read_back(subject: &dyn Subject) {
    let store = open(subject).await;
    assert_eq!(store.get("a").await.unwrap(), None);
    let first = committed(&*store, Txn::new().put("a", "1").put("b", "")).await;
    assert_eq!(
        store.get("a").await.unwrap(),
        Some(Versioned {
            version: first,
            value: Bytes::from("1")
        })
    );
    assert_eq!(
        store.get("b").await.unwrap(),
        Some(Versioned {
            version: first,
            value: Bytes::new()
        })
    );
    let second = committed(&*store, Txn::new().put("a", "2")).await;
    assert!(second > first);
    assert_eq!(
        store.get("a").await.unwrap(),
        Some(Versioned {
            version: second,
            value: Bytes::from("2")
        })
    );
    let odd = "ü/ \u{0}\"\\\n%2F";
    committed(&*store, Txn::new().put(odd, vec![0u8, 255, 10])).await;
    assert_eq!(store.get(odd).await.unwrap().unwrap().value, vec![0u8, 255, 10]);
    store.close().await.unwrap();
}

async fn comparisons_decide(subject: &dyn Subject) {
    let store = open(subject).await;
    let conflict = Ok(TxnOutcome::Conflict { key: "k".to_owned() });
    let answer = async |expect| {
        let outcome = store.commit(Txn::new().expect("k", expect).put("k", "x")).await;
        outcome.map_err(|e| e.kind())
    };
    assert_eq!(answer(Expect::Present).await, conflict);
    assert_eq!(answer(Expect::Version(1)).await, conflict);
    assert!(answer(Expect::Absent).await.unwrap().is_committed());
    assert_eq!(answer(Expect::Absent).await, conflict);
    assert!(answer(Expect::Present).await.unwrap().is_committed());
    let version = store.get("k").await.unwrap().unwrap().version;
    assert_eq!(answer(Expect::Version(version + 1)).await, conflict);
    assert!(answer(Expect::Version(version)).await.unwrap().is_committed());
    assert_eq!(answer(Expect::Version(version)).await, conflict);

    // A key that was deleted and put again is not the key that it was.
    let version = store.get("k").await.unwrap().unwrap().version;
    committed(&*store, Txn::new().delete("k")).await;
    assert_eq!(store.get("k").await.unwrap(), None);
    committed(&*store, Txn::new().put("k", "x")).await;
    assert_eq!(answer(Expect::Version(version)).await, conflict);
    store.close().await.unwrap();
}

async fn a_transaction_happens_whole_or_not_at_all(subject: &dyn Subject) {
    let store = open(subject).await;
    committed(&*store, Txn::new().put("a", "1").put("b", "1").put("c/1", "1")).await;
    let txn = Txn::new()
        .expect("a", Expect::Present)
        .expect("b", Expect::Absent)
        .put("a", "2")
        .delete("b")
        .delete_prefix("c/")
        .put("d", "2");
    let before = store.range("").await.unwrap();
    assert_eq!(
        store.commit(txn).await.unwrap(),
        TxnOutcome::Conflict { key: "b".to_owned() }
    );
    assert_eq!(store.range("").await.unwrap(), before);
    let txn = Txn::new()
        .expect("a", Expect::Present)
        .put("a", "2")
        .delete("b")
        .delete_prefix("c/")
        .put("d", "2");
    let version = committed(&*store, txn).await;
    let two = Versioned {
        version,
        value: Bytes::from("2"),
    };
    assert_eq!(
        store.range("").await.unwrap(),
        [("a".to_owned(), two.clone()), ("d".to_owned(), two)]
    );
    store.close().await.unwrap();
}

async fn prefixes_are_deleted_whole(subject: &dyn Subject) {
    let store = open(subject).await;
    for start in (0..500).step_by(MAX_TXN_OPS) {
        let txn =
            (start..(start + MAX_TXN_OPS).min(500)).fold(Txn::new(), |t, i| t.put(format!("p/{i:03}"), "v"));
        committed(&*store, txn).await;
    }
    committed(&*store, Txn::new().put("p", "v").put("p0", "v").put("o/", "v")).await;
    committed(&*store, Txn::new().delete_prefix("p/").delete_prefix("nothing/")).await;
    let keys: Vec<String> = store
        .range("")
        .await
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, ["o/", "p", "p0"]);
    store.close().await.unwrap();
}

async fn a_new_session_sees_all_that_was_committed(subject: &dyn Subject) {
    let mut epoch = 0;
    let mut expected = Vec::new();
    for round in 0..4 {
        let store = subject.handle().await;
        let session = store.open_session(1).await.unwrap();
        assert!(session.epoch > epoch, "{} after {epoch}", session.epoch);
        assert_eq!(session.broker, 1);
        epoch = session.epoch;
        assert_eq!(store.range("r/").await.unwrap(), expected);
        committed(
            &*store,
            Txn::new().put(format!("r/{round}"), "v").put("gone", "v"),
        )
        .await;
        committed(&*store, Txn::new().delete("gone")).await;
        expected = store.range("r/").await.unwrap();
        assert_eq!(expected.len(), round + 1);
        // Half of the sessions end well, the other half is left behind.
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
    }
    let store = open(subject).await;
    assert_eq!(
        store.range("").await.unwrap(),
        expected,
        "versions survive a new session"
    );
    let version = expected.first().unwrap().1.version;
    committed(
        &*store,
        Txn::new().expect("r/0", Expect::Version(version)).put("r/0", "w"),
    )
    .await;
    store.close().await.unwrap();
}

async fn a_new_session_of_the_broker_fences_the_old_one(subject: &dyn Subject) {
    let old = open(subject).await;
    committed(&*old, Txn::new().put("k", "old")).await;
    let mut lost = old.fenced();
    assert!(lost.borrow().is_none());
    let new = open(subject).await;
    let kind = old.commit(Txn::new().put("k", "late")).await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Fenced);
    lost.wait_for(Option::is_some).await.unwrap();
    assert_eq!(
        old.commit(Txn::new().put("k", "later")).await.unwrap_err().kind(),
        ErrorKind::Fenced
    );
    assert_eq!(new.get("k").await.unwrap().unwrap().value, "old");
    committed(&*new, Txn::new().put("k", "new")).await;
    assert!(new.fenced().borrow().is_none());
    new.close().await.unwrap();
}

async fn a_session_has_a_beginning_and_an_end(subject: &dyn Subject) {
    let store = subject.handle().await;
    assert_eq!(store.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        store.commit(Txn::new().put("k", "v")).await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    store.open_session(1).await.unwrap();
    assert_eq!(
        store.open_session(1).await.unwrap_err().kind(),
        ErrorKind::Precondition
    );
    committed(&*store, Txn::new().put("k", "v")).await;
    store.close().await.unwrap();
    assert_eq!(store.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.range("k").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        store.commit(Txn::new().put("k", "v")).await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    store.close().await.unwrap();
    let next = open(subject).await;
    assert_eq!(next.get("k").await.unwrap().unwrap().value, "v");
    next.close().await.unwrap();
}

async fn limits_are_kept(subject: &dyn Subject) {
    let store = open(subject).await;
    let many = (0..=MAX_TXN_OPS).fold(Txn::new(), |txn, i| txn.put(format!("k{i}"), "v"));
    assert_eq!(store.commit(many).await.unwrap_err().kind(), ErrorKind::TooLarge);
    let twice = Txn::new().put("k", "1").put("k", "2");
    assert_eq!(store.commit(twice).await.unwrap_err().kind(), ErrorKind::Invalid);
    committed(&*store, Txn::new().put("large", vec![7u8; 1_000_000])).await;
    assert_eq!(store.get("large").await.unwrap().unwrap().value.len(), 1_000_000);
    store.close().await.unwrap();
}

async fn one_of_many_concurrent_claims_wins(subject: &dyn Subject) {
    let store = open(subject).await;
    let claims = (0..50).map(|i| {
        let store = store.clone();
        async move {
            store
                .commit(Txn::new().expect("k", Expect::Absent).put("k", i.to_string()))
                .await
                .unwrap()
        }
    });
    let outcomes = futures::future::join_all(claims).await;
    assert_eq!(outcomes.iter().filter(|o| o.is_committed()).count(), 1);
    store.close().await.unwrap();
}

async fn concurrent_increments_all_count(subject: &dyn Subject) {
    let store = open(subject).await;
    let workers = (0..8).map(|_| {
        let store = store.clone();
        async move {
            for _ in 0..10 {
                loop {
                    let seen = store.get("n").await.unwrap();
                    let n: u32 = match &seen {
                        Some(v) => std::str::from_utf8(&v.value).unwrap().parse().unwrap(),
                        None => 0,
                    };
                    let txn = Txn::new()
                        .expect_same("n", seen.as_ref())
                        .put("n", (n + 1).to_string());
                    if store.commit(txn).await.unwrap().is_committed() {
                        break;
                    }
                }
            }
        }
    });
    futures::future::join_all(workers).await;
    assert_eq!(store.get("n").await.unwrap().unwrap().value, "80");
    store.close().await.unwrap();
}

async fn large_ranges_come_back_sorted(subject: &dyn Subject) {
    let store = open(subject).await;
    let txns = (0..5000u32).collect::<Vec<_>>();
    let txns = txns.chunks(MAX_TXN_OPS).map(|part| {
        let txn = part.iter().fold(Txn::new(), |txn, i| {
            txn.put(format!("big/{:05}", (i * 7919) % 5000), i.to_string())
        });
        store.commit(txn)
    });
    for outcome in futures::future::join_all(txns).await {
        assert!(outcome.unwrap().is_committed());
    }
    let range = store.range("big/").await.unwrap();
    assert_eq!(range.len(), 5000);
    assert!(
        range
            .iter()
            .enumerate()
            .all(|(i, (key, _))| *key == format!("big/{i:05}"))
    );
    assert_eq!(store.range("big/01").await.unwrap().len(), 1000);
    store.close().await.unwrap();
    let store = open(subject).await;
    assert_eq!(store.range("big/").await.unwrap(), range);
    store.close().await.unwrap();
}

async fn random_histories_match_a_map(subject: &dyn Subject, seed: u64) {
    let random = Random::seeded(seed);
    let pick = |n: u32| random.u32() % n;
    let mut store = open(subject).await;
    let mut model: BTreeMap<String, Versioned> = BTreeMap::new();
    let key = |pick: &dyn Fn(u32) -> u32| format!("{}/{}", pick(3), pick(4));
    for step in 0..200 {
        let (mut txn, mut next, mut holds) = (Txn::new(), model.clone(), true);
        for _ in 0..pick(3) {
            let key = key(&pick);
            let found = model.get(&key).map(|v| v.version);
            let expect = match pick(4) {
                0 => Expect::Absent,
                1 => Expect::Present,
                2 => Expect::Version(u64::from(pick(50))),
                _ => found.map_or(Expect::Absent, Expect::Version),
            };
            holds &= match expect {
                Expect::Absent => found.is_none(),
                Expect::Present => found.is_some(),
                Expect::Version(version) => found == Some(version),
            };
            txn = txn.expect(key, expect);
        }
        let mut puts = Vec::new();
        for _ in 0..=pick(3) {
            let changed = match pick(6) {
                0 => {
                    let prefix = format!("{}/", pick(3));
                    next.retain(|key, _| !key.starts_with(&prefix));
                    txn.clone().delete_prefix(prefix)
                }
                1 | 2 => {
                    let key = key(&pick);
                    next.remove(&key);
                    txn.clone().delete(key)
                }
                _ => {
                    let (key, value) = (key(&pick), Bytes::from(format!("{seed} {step}")));
                    puts.push((key.clone(), value.clone()));
                    txn.clone().put(key, value)
                }
            };
            txn = changed;
        }
        if txn.check().is_err() {
            assert_eq!(store.commit(txn).await.unwrap_err().kind(), ErrorKind::Invalid);
            continue;
        }
        match store.commit(txn.clone()).await.unwrap() {
            TxnOutcome::Committed { revision } => {
                assert!(holds, "seed {seed} step {step}: {txn:?} on {model:?}");
                for (key, value) in puts {
                    next.insert(
                        key,
                        Versioned {
                            version: revision,
                            value,
                        },
                    );
                }
                model = next;
            }
            TxnOutcome::Conflict { .. } => assert!(!holds, "seed {seed} step {step}: {txn:?} on {model:?}"),
        }
        if pick(40) == 0 {
            if pick(2) == 0 {
                store.close().await.unwrap();
            }
            store = open(subject).await;
        }
        let expected: Vec<(String, Versioned)> = model.clone().into_iter().collect();
        assert_eq!(
            store.range("").await.unwrap(),
            expected,
            "seed {seed} step {step}"
        );
    }
    store.close().await.unwrap();
}
