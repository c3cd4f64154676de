//! Crashes at every call to the store.

use std::time::Duration;

use kafscale_core::Engine;
use kafscale_core::store::Store;
use kafscale_core::testing::fault_store::{Gate, GateAt};

use crate::crash_world::{Book, Bucket, simulate};

const PRODUCER: i64 = 77;

fn bucket() -> Bucket {
    let mut bucket = Bucket::new();
    bucket.settings.segment.max_age_ms = 20;
    bucket.settings.segment.delete_grace_ms = 5;
    bucket.settings.wal.max_backlog_objects = 12;
    bucket
}

/// Long enough for segments to be cut and log objects to be trimmed.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(60)).await;
}

/// The life that is cut short: everything that changes the bucket happens in it.
async fn first_life(bucket: &Bucket, book: &Book, store: Store) {
    let engine = bucket.open(store).await.unwrap();
    book.create(&engine, "orders#1", 2, &[]).await;
    let consumers = [0, 1].map(|partition| {
        let (book, engine) = (book.clone(), engine.clone());
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            book.consume(engine, "orders#1", partition).await;
        }))
    });
    for _ in 0..3 {
        book.append(&engine, "orders#1", 0, Some(PRODUCER), 2)
            .await
            .unwrap();
        book.append(&engine, "orders#1", 1, None, 1).await.unwrap();
    }
    book.commit(&engine, "g", "orders#1", 0, 2).await;
    settle().await;
    book.append_together(&engine, "orders#1", 0, Some(PRODUCER), 4)
        .await
        .unwrap();
    book.create(&engine, "temp#1", 1, &[]).await;
    book.append(&engine, "temp#1", 0, Some(PRODUCER), 1)
        .await
        .unwrap();
    book.commit(&engine, "g", "temp#1", 0, 1).await;
    book.commit(&engine, "g", "orders#1", 0, 5).await;
    book.delete(&engine, "temp#1").await.unwrap();
    book.create(&engine, "temp#2", 1, &[("segment.bytes", "200")])
        .await;
    for _ in 0..4 {
        book.append(&engine, "temp#2", 0, Some(PRODUCER), 1)
            .await
            .unwrap();
    }
    book.grow(&engine, "orders#1", 3).await;
    book.append(&engine, "orders#1", 2, Some(PRODUCER), 1)
        .await
        .unwrap();
    settle().await;
    book.append(&engine, "orders#1", 0, Some(PRODUCER), 1)
        .await
        .unwrap();
    book.append(&engine, "orders#1", 1, None, 1).await.unwrap();
    drop(consumers);
    engine.close().await.unwrap();
}

/// A life that opens, looks, and goes on a little.
async fn second_life(bucket: &Bucket, book: &Book, store: Store) {
    let engine = bucket.open(store).await.unwrap();
    book.verify(&engine).await;
    if book.is_created("orders#1") {
        book.retry(&engine).await.unwrap();
        book.append(&engine, "orders#1", 0, Some(PRODUCER), 1)
            .await
            .unwrap();
    }
    settle().await;
}

/// When in the course of a call the process dies.
#[derive(Clone, Copy, Debug)]
enum Dies {
    /// Before it reaches the store.
    Before,
    /// After it took effect.
    After,
}

/// Runs `life` until its call number `call`, and lets it die there. Gives back whether it came so far.
async fn die_at<F: Future<Output = ()>>(
    bucket: &Bucket,
    (call, dies): (u64, Dies),
    life: impl FnOnce(Store) -> F,
) -> (bool, Gate) {
    let (store, control) = bucket.door();
    let at = match dies {
        Dies::Before => GateAt::Request,
        Dies::After => GateAt::Answer,
    };
    let gate = control.gate(at, None, "");
    gate.release(call);
    let died = tokio::select! {
        biased;
        () = gate.wait_for(call + 1) => true,
        () = life(store) => false,
    };
    // The gate stays shut for as long as the bucket is looked at: nothing of that life goes on.
    (died, gate)
}

/// What every later engine must find.
async fn check(bucket: &Bucket, book: &Book) {
    let engine = bucket.reopen().await;
    book.verify(&engine).await;
    if !book.is_created("orders#1") {
        return;
    }
    book.retry(&engine).await.unwrap();
    book.everything_sequenced_is_acknowledged();
    book.append(&engine, "orders#1", 0, Some(PRODUCER), 1)
        .await
        .unwrap();
    book.append(&engine, "orders#1", 1, None, 2).await.unwrap();
    if engine.topic("orders").unwrap().partitions < 3 {
        book.grow(&engine, "orders#1", 3).await;
    }
    book.append(&engine, "orders#1", 2, None, 1).await.unwrap();
    book.verify(&engine).await;
    administrate(&engine, book).await;
    settle().await;
    book.verify(&engine).await;
    drop(engine);

    // Everything has become segments, and log objects have gone: what is left are seals and the last carriers.
    let engine = bucket.reopen().await;
    book.verify(&engine).await;
    settle().await;
    let sessions = bucket.keys("00000000000000000000.kfm").await.len();
    let left = bucket.keys(".kfw").await;
    assert!(left.len() <= 16 + sessions, "log objects stay: {left:?}");
    book.verify(&engine).await;
    drop(engine);

    // The bucket alone is enough.
    bucket.delete(bucket.keys("/meta/").await).await;
    let engine = bucket.reopen().await;
    book.forget_positions();
    book.verify(&engine).await;
    book.append(&engine, "orders#1", 0, Some(PRODUCER), 1)
        .await
        .unwrap();
    book.verify(&engine).await;
}

/// Names can be used again whatever was cut short.
async fn administrate(engine: &Engine, book: &Book) {
    if engine.topic("temp").is_some() {
        engine.delete_topic("temp").await.unwrap();
        book.all_deleted("temp");
    }
    book.create(engine, "temp#9", 1, &[]).await;
    book.append(engine, "temp#9", 0, Some(PRODUCER), 1).await.unwrap();
}

#[expect(
    clippy::print_stdout,
    reason = "shown only when it fails: the deaths that did it"
)]
/// Lives one life after the other, each up to a call; gives back how far it came.
fn die_one_after_the_other(deaths: &[(u64, Dies)]) -> usize {
    simulate(async {
        let (bucket, book) = (bucket(), Book::default());
        let mut shut = Vec::new();
        let mut died = 0;
        for (number, &at) in deaths.iter().enumerate() {
            let (came_so_far, gate) = if number == 0 {
                let (died, gate) = die_at(&bucket, at, |store| first_life(&bucket, &book, store)).await;
                (died, gate)
            } else {
                die_at(&bucket, at, |store| second_life(&bucket, &book, store)).await
            };
            shut.push(gate);
            died += usize::from(came_so_far);
            if !came_so_far {
                break;
            }
        }
        println!("{died} of {deaths:?}");
        check(&bucket, &book).await;
        died
    })
}

const DEATHS: [Dies; 2] = [Dies::Before, Dies::After];

#[test]
fn whatever_call_is_the_last_of_a_process_everything_acknowledged_is_read_exactly_once() {
    for dies in DEATHS {
        let mut call = 0;
        while die_one_after_the_other(&[(call, dies)]) == 1 {
            call += 1;
        }
        assert!(call > 80, "only {call} calls");
    }
}

#[test]
fn whatever_call_is_the_last_of_the_process_that_recovers_nothing_is_lost_either() {
    // All pairs with KAFSCALE_TEST_ALL_CRASHES set; a spread of them otherwise.
    let all = std::env::var_os("KAFSCALE_TEST_ALL_CRASHES").is_some();
    let step = if all { 1 } else { 13 };
    let mut pairs = 0;
    for dies in DEATHS {
        let mut first = 0;
        loop {
            let mut second = first % step;
            let came = loop {
                let came = die_one_after_the_other(&[(first, dies), (second, dies)]);
                if came < 2 {
                    break came;
                }
                pairs += 1;
                second += step;
            };
            if came == 0 {
                break;
            }
            first += step.min(4);
        }
    }
    assert!(pairs > 100, "only {pairs} pairs");
}
