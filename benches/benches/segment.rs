//! Making a segment and its index out of the runs of a partition, and reading it back as recovery does.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kafscale_benches::batches::Shape;
use kafscale_core::format::index::DEFAULT_INDEX_INTERVAL;
use kafscale_core::format::segment::{build_segment, verify};

const SEGMENT: usize = 16 << 20;
const BATCH: usize = 16 << 10;

/// A segment's worth of batches in runs of `run` bytes: what a partition has in log objects that it shares with others.
fn runs(run: usize) -> Vec<Bytes> {
    let shape = Shape::of(BATCH);
    let mut offset = 0;
    (0..SEGMENT / run)
        .map(|n| {
            let mut bytes = Vec::with_capacity(run);
            for _ in 0..run / BATCH {
                bytes.extend_from_slice(&shape.stored(offset, n as u64).unwrap());
                offset += shape.records as i64;
            }
            bytes.into()
        })
        .collect()
}

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("segment/cut_16MiB");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    // One batch a flush (a thousand partitions share a log object), sixteen (as many partitions as usual), all.
    for run in [BATCH, 256 << 10, 4 << 20] {
        let runs = runs(run);
        group.throughput(Throughput::Bytes(runs.iter().map(|run| run.len() as u64).sum()));
        group.bench_function(BenchmarkId::new("run", run), |bencher| {
            bencher
                .iter(|| build_segment(black_box(&runs), 1_700_000_000_000, DEFAULT_INDEX_INTERVAL).unwrap());
        });
    }
    group.finish();
}

fn check(criterion: &mut Criterion) {
    let built = build_segment(&runs(256 << 10), 1_700_000_000_000, DEFAULT_INDEX_INTERVAL).unwrap();
    let segment: Bytes = built.payload.concat().into();
    let mut group = criterion.benchmark_group("segment/verify_16MiB");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(segment.len() as u64));
    group.bench_function("whole", |bencher| {
        bencher.iter(|| verify(black_box(&segment)).unwrap())
    });
    group.finish();
}

criterion_group!(benches, cut, check);
criterion_main!(benches);
