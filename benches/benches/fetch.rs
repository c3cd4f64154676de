//! Fetching from the tail in memory and from segments, by one core. Nothing is copied on this way: the rates are those of
//! finding the batches, not of moving their bytes.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kafscale_benches::batches::Shape;
use kafscale_benches::engine::{Bench, Bucket};
use kafscale_core::{FetchPartition, FetchRequest, Settings};
use tokio::runtime;

const MIB: usize = 1 << 20;
const BATCH: usize = 16 << 10;
const SHAPE: Shape = Shape {
    bytes: BATCH,
    records: 16,
};

fn one_core() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn request(bench: &Bench, positions: &[i64], partition_bytes: usize) -> FetchRequest {
    let partition = |(partition, &offset): (usize, &i64)| FetchPartition {
        topic: bench.topic,
        partition: partition as i32,
        offset,
        max_bytes: partition_bytes,
    };
    FetchRequest {
        partitions: positions.iter().enumerate().map(partition).collect(),
        max_bytes: 50 * MIB,
        min_bytes: 1,
        max_wait: Duration::ZERO,
    }
}

/// Record batches that are all equally long, so that what was read tells where to go on without a look into it.
fn batches() -> Vec<Bytes> {
    let batches = SHAPE.batches(64).unwrap();
    assert!(batches.iter().all(|batch| batch.len() == batches[0].len()));
    batches
}

/// Reads all partitions to their ends, `partition_bytes` at a time from each. Gives the number of bytes.
async fn read_all(bench: &Bench, batch_len: usize, partition_bytes: usize) -> usize {
    let mut positions = vec![0; bench.partitions as usize];
    let mut bytes = 0;
    loop {
        let before = bytes;
        let answers = bench
            .engine
            .fetch(request(bench, &positions, partition_bytes))
            .await;
        for (position, fetched) in positions.iter_mut().zip(answers) {
            let fetched = fetched.unwrap();
            bytes += fetched.len();
            *position += (fetched.len() / batch_len * SHAPE.records) as i64;
        }
        if bytes == before {
            return bytes;
        }
    }
}

/// 16 MiB that are all in memory: one partition by the megabyte, and a hundred partitions a batch at a time.
fn tail(criterion: &mut Criterion) {
    let runtime = one_core();
    let mut group = criterion.benchmark_group("fetch/tail");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    for (partitions, bytes) in [(1, MIB), (100, BATCH), (1_000, BATCH)] {
        let bench = runtime
            .block_on(Bench::open(Bucket::InMemory, Settings::default(), partitions))
            .unwrap();
        let batches = batches();
        runtime
            .block_on(bench.append(&batches, 16 * MIB / BATCH, 256))
            .unwrap();
        let len = batches[0].len();
        let total = runtime.block_on(read_all(&bench, len, bytes));
        assert_eq!(total, 16 * MIB / BATCH * len);
        group.throughput(Throughput::Bytes(total as u64));
        group.bench_function(BenchmarkId::from_parameter(partitions), |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(read_all(&bench, len, bytes)), total));
        });
    }
    group.finish();
}

/// A consumer at the end of everything: what an empty poll costs, by the number of partitions it asks for.
fn empty_poll(criterion: &mut Criterion) {
    let runtime = one_core();
    let mut group = criterion.benchmark_group("fetch/empty_poll");
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for partitions in [1, 100, 1_000] {
        let bench = runtime
            .block_on(Bench::open(Bucket::InMemory, Settings::default(), partitions))
            .unwrap();
        let start = vec![0; partitions as usize];
        group.throughput(Throughput::Elements(partitions as u64));
        group.bench_function(BenchmarkId::from_parameter(partitions), |bencher| {
            bencher.iter(|| {
                runtime
                    .block_on(bench.engine.fetch(request(&bench, &start, MIB)))
                    .len()
            });
        });
    }
    group.finish();
}

/// 32 MiB in segments of 4 MiB, from blocks in the cache, and with a cache too small for them so that every block is a
/// GET of the bucket in memory.
fn segments(criterion: &mut Criterion) {
    let runtime = one_core();
    let mut group = criterion.benchmark_group("fetch/segments");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    for (name, cache_bytes) in [("cached", 256 * MIB as u64), ("from_store", 2 * MIB as u64)] {
        let mut settings = Settings::default();
        settings.topic.segment_bytes = 4 * MIB as u64;
        settings.memory.cache_bytes = cache_bytes;
        // Whatever is left is cut at once.
        settings.segment.max_age_ms = 1;
        let bench = runtime
            .block_on(Bench::open(Bucket::InMemory, settings, 1))
            .unwrap();
        let batches = batches();
        runtime
            .block_on(bench.append(&batches, 32 * MIB / BATCH, 256))
            .unwrap();
        runtime.block_on(async {
            // Cutting goes on until it has not cut anything for ten of its rounds.
            let (mut cut, mut quiet) = (0, 0);
            while cut == 0 || quiet < 10 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                quiet = if bench.metrics.segments() == cut {
                    quiet + 1
                } else {
                    0
                };
                cut = bench.metrics.segments();
            }
        });
        let len = batches[0].len();
        let total = runtime.block_on(read_all(&bench, len, MIB));
        assert_eq!(total, 32 * MIB / BATCH * len);
        group.throughput(Throughput::Bytes(total as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(read_all(&bench, len, MIB)), total));
        });
    }
    group.finish();
}

criterion_group!(benches, tail, empty_poll, segments);
criterion_main!(benches);
