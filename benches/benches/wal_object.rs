//! Making a log object of 4 MiB: the one copy of the payload on the way to the acknowledgement; and reading its footer.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kafscale_benches::batches::Shape;
use kafscale_core::TopicId;
use kafscale_core::format::slot::{AttemptId, SlotHeader, SlotKind, SlotMagic};
use kafscale_core::format::wal_object::{WalFooter, WalObjectBuilder, WalSizeHint};

const OBJECT: usize = 4 << 20;

fn header() -> SlotHeader {
    SlotHeader {
        magic: SlotMagic::Wal,
        kind: SlotKind::Data,
        attempt: AttemptId([7; 16]),
        writer: 0,
        nonce: 1,
        epoch: 1,
        slot: 0,
        trim: 0,
        created_ms: 1_700_000_000_000,
    }
}

/// Puts the batches, grouped into `runs` runs, into one object.
fn build(batches: &[Bytes], runs: usize, records: i64) -> Bytes {
    let hint = WalSizeHint {
        payload_bytes: batches.iter().map(Bytes::len).sum(),
        runs,
        batches: batches.len(),
    };
    let mut builder = WalObjectBuilder::new(header(), hint).unwrap();
    for (partition, run) in batches.chunks(batches.len().div_ceil(runs)).enumerate() {
        builder.begin_run(TopicId([3; 16]), "orders", partition as i32, 1);
        for (n, batch) in run.iter().enumerate() {
            builder.push_batch(batch, n as i64 * records).unwrap();
        }
    }
    builder.finish().unwrap().0
}

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wal_object/build_4MiB");
    group
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    for (size, runs) in [
        (16 << 10, 1),
        (16 << 10, 16),
        (16 << 10, 256),
        (1 << 10, 16),
        (1 << 10, 4096),
    ] {
        let shape = Shape::of(size);
        let batches: Vec<Bytes> = (0..OBJECT / size)
            .map(|n| shape.sequenced(1, 0, n as u64).unwrap())
            .collect();
        group.throughput(Throughput::Bytes(
            batches.iter().map(|batch| batch.len() as u64).sum(),
        ));
        group.bench_function(BenchmarkId::new(format!("batch_{size}"), runs), |bencher| {
            bencher.iter(|| build(black_box(&batches), runs, shape.records as i64));
        });
    }
    group.finish();
}

/// What recovery does with each object: the footer's bytes alone.
fn footers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wal_object/parse_footer");
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    let shape = Shape::of(16 << 10);
    let batches: Vec<Bytes> = (0..OBJECT / (16 << 10))
        .map(|n| shape.sequenced(1, 0, n as u64).unwrap())
        .collect();
    for runs in [1, 256] {
        let object = build(&batches, runs, shape.records as i64);
        group.throughput(Throughput::Elements(runs as u64));
        group.bench_function(BenchmarkId::from_parameter(runs), |bencher| {
            bencher.iter(|| WalFooter::parse(black_box(&object)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, building, footers);
criterion_main!(benches);
