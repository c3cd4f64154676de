//! Processes that stop at any call, and several at once.

use super::*;

/// The `stop_at`-th call is the last of this process: it is not made, or made without an answer.
fn stopping(bucket: &Arc<InMemory>, stop_at: usize, fate: Fate, stopped: &Arc<AtomicBool>) -> Store {
    let (calls, stopped) = (AtomicUsize::new(0), stopped.clone());
    scripted(bucket, move |_| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        let fate = match call.cmp(&stop_at) {
            std::cmp::Ordering::Less => Fate::Go,
            std::cmp::Ordering::Equal => fate,
            std::cmp::Ordering::Greater => Fate::Stop,
        };
        if fate != Fate::Go {
            stopped.store(true, Ordering::Relaxed);
        }
        futures::future::ready(fate).boxed()
    })
}

/// Opens, commits one key after the other and closes; what was answered is in `acknowledged`.
async fn live_and_stop(store: Store, seed: u64, acknowledged: Arc<Mutex<Vec<u32>>>) {
    let store = handle(store, seed, rotating(2));
    if store.open_session(1).await.is_err() {
        return;
    }
    for i in 0..7u32 {
        let txn = Txn::new()
            .expect(format!("s{seed}/{i}"), Expect::Absent)
            .put(format!("s{seed}/{i}"), "v");
        match store.commit(txn).await {
            Ok(outcome) => {
                assert!(outcome.is_committed());
                acknowledged.lock().push(i);
            }
            Err(_) => return,
        }
    }
    let _ = store.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_process_may_stop_at_any_call() {
    let mut finished = 0;
    for fate in [Fate::Stop, Fate::StopAfter] {
        for stop_at in 0.. {
            let bucket: Arc<InMemory> = Arc::default();
            let first = opened(&bucket, 1).await;
            put(&first, "a", "1").await;
            put(&first, "b", "1").await;
            drop(first);
            let stopped = Arc::new(AtomicBool::new(false));
            let acknowledged = Arc::new(Mutex::new(Vec::new()));
            let store = stopping(&bucket, stop_at, fate, &stopped);
            let life = tokio::spawn(live_and_stop(store, 2, acknowledged.clone()));
            // Long enough for all that can still happen; then the process is gone.
            let _ = within(&SimClock::new(0), Duration::from_secs(120), async {
                while !life.is_finished() {
                    tokio::task::yield_now().await;
                    SimClock::new(0).sleep(Duration::from_secs(1)).await;
                }
            })
            .await;
            life.abort();
            let _ = life.await;

            let after = opened(&bucket, 3).await;
            assert_eq!(value(&after, "a").await.unwrap(), "1", "call {stop_at}");
            assert_eq!(value(&after, "b").await.unwrap(), "1", "call {stop_at}");
            let found = after.range("s2/").await.unwrap().len();
            let known = acknowledged.lock().len();
            // What was on its way may have landed; what was acknowledged must have.
            assert!(
                found == known || found == known + 1,
                "call {stop_at}: {found} of {known}"
            );
            put(&after, "c", "1").await;
            until("the clean-up", async || slots(&bucket).await.0 == 2).await;
            if !stopped.load(Ordering::Relaxed) {
                assert_eq!(known, 7);
                finished += 1;
                assert!(stop_at > 20, "only {stop_at} calls");
                break;
            }
        }
    }
    assert_eq!(finished, 2);
}

/// Calls take a random number of turns; a few processes stop for good in the middle.
fn unsteady(bucket: &Arc<InMemory>, random: &Arc<Random>, stop_at: Option<u32>) -> Store {
    let (random, calls) = (random.clone(), Arc::new(AtomicUsize::new(0)));
    scripted(bucket, move |call| {
        let (random, calls) = (random.clone(), calls.clone());
        async move {
            let turns = if random.u32().is_multiple_of(10) {
                80
            } else {
                random.u32() % 5
            };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            let call_number = calls.fetch_add(1, Ordering::Relaxed);
            if stop_at.is_some_and(|at| call_number >= at as usize) {
                return if random.u32().is_multiple_of(2) {
                    Fate::Stop
                } else {
                    Fate::StopAfter
                };
            }
            if matches!(call, Call::Put(_)) && random.u32().is_multiple_of(12) {
                Fate::LoseAnswer
            } else {
                Fate::Go
            }
        }
        .boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn of_many_processes_that_open_at_once_one_lives_and_nothing_acknowledged_is_lost() {
    let (mut refused, mut deposed, mut survived) = (0, 0, 0);
    for seed in 0..150u64 {
        let bucket: Arc<InMemory> = Arc::default();
        let random = Arc::new(Random::seeded(seed));
        let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let processes: Vec<_> = (0..4u64)
            .map(|number| {
                let stop_at = (random.u32().is_multiple_of(3)).then(|| random.u32() % 40);
                let store = unsteady(&bucket, &random, stop_at);
                let store = handle(store, seed * 100 + number, rotating(3));
                let (acknowledged, delay) = (acknowledged.clone(), random.u32() % 60);
                tokio::spawn(async move {
                    for _ in 0..delay {
                        tokio::task::yield_now().await;
                    }
                    match store.open_session(1).await {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::Fenced => return Some(store),
                        Err(error) => {
                            assert!(
                                stop_at.is_some() && error.kind() == ErrorKind::Unavailable,
                                "{error}"
                            );
                            return None;
                        }
                    }
                    for i in 0..8 {
                        let key = format!("{number}/{i}");
                        match store
                            .commit(
                                Txn::new()
                                    .expect(key.as_str(), Expect::Absent)
                                    .put(key.as_str(), "v"),
                            )
                            .await
                        {
                            Ok(outcome) => {
                                assert!(outcome.is_committed());
                                acknowledged.lock().insert(key);
                            }
                            Err(error) if error.kind() == ErrorKind::Fenced => return Some(store),
                            Err(error) if error.kind() == ErrorKind::Timeout => return None,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    Some(store)
                })
            })
            .collect();
        let mut handles = Vec::new();
        for process in processes {
            let limit = Duration::from_secs(60);
            let abort = process.abort_handle();
            // One that stopped while it opened never comes back.
            match within(&SimClock::new(0), limit, process).await {
                Some(ended) => handles.extend(ended.unwrap()),
                None => abort.abort(),
            }
        }
        let mut alive = 0;
        for store in &handles {
            match store.commit(Txn::new().put("alive", "v")).await {
                Ok(outcome) => {
                    assert!(outcome.is_committed());
                    alive += 1;
                }
                Err(error) if error.kind() == ErrorKind::Fenced => deposed += 1,
                Err(error) if error.kind() == ErrorKind::Closed => refused += 1,
                Err(error) if error.kind() == ErrorKind::Timeout => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        assert!(alive <= 1, "seed {seed}: {alive} sessions are alive");
        survived += alive;
        let last = opened(&bucket, seed * 100 + 99).await;
        let acknowledged = acknowledged.lock().clone();
        for key in &acknowledged {
            assert!(
                last.get(key).await.unwrap().is_some(),
                "seed {seed}: {key} is lost"
            );
        }
        for store in &handles {
            assert!(
                store.commit(Txn::new().put("late", "v")).await.is_err(),
                "seed {seed}"
            );
        }
        assert_eq!(value(&last, "late").await, None);
        put(&last, "k", "v").await;
    }
    // The runs must reach the cases that they are for.
    assert!(
        deposed + refused > 100 && survived > 50,
        "{refused} {deposed} {survived}"
    );
}
