//! What a broker does with a batch's bytes: reading the header, checking everything, giving it its offset.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kafscale_benches::batches::Shape;
use kafscale_core::checksum::crc32c;
use kafscale_core::format::batch::{BatchHeader, BatchLimits, CRC_COVERS_FROM, patch, validate};
use kafscale_core::format::records::Records;

const LIMITS: BatchLimits = BatchLimits {
    max_batch_bytes: 8 << 20,
    allow_control: false,
};

fn header(criterion: &mut Criterion) {
    let batch = Shape::of(16 << 10).batch(1).unwrap();
    let mut group = criterion.benchmark_group("batch/header");
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| BatchHeader::parse(black_box(&batch)).unwrap());
    });
    let mut copy = BytesMut::from(&batch[..]);
    group.bench_function("patch", |bencher| {
        bencher.iter(|| patch(black_box(&mut copy), 42, 7).unwrap());
    });
    group.finish();
}

/// `validate` beside the bare checksum, which is the floor.
fn validation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch/validate");
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for size in [1 << 10, 16 << 10, 128 << 10, 1 << 20] {
        let batch = Shape::of(size).batch(1).unwrap();
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_function(BenchmarkId::new("all", size), |bencher| {
            bencher.iter(|| validate(black_box(&batch), LIMITS).unwrap());
        });
        group.bench_function(BenchmarkId::new("crc", size), |bencher| {
            bencher.iter(|| crc32c(black_box(&batch[CRC_COVERS_FROM..])));
        });
    }
    group.finish();
}

/// Walking the records of a batch, as timestamp lookups and the `consume` command do.
fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch/records");
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for size in [16 << 10, 1 << 20] {
        let shape = Shape::of(size);
        let batch = shape.batch(1).unwrap();
        group.throughput(Throughput::Elements(shape.records as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                Records::open(black_box(&batch), 8 << 20)
                    .unwrap()
                    .map(Result::unwrap)
                    .count()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, header, validation, records);
criterion_main!(benches);
