//! How fast one core takes appends: 16 KiB batches into 1, 100 and 1,000 partitions of a bucket in memory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kafscale_benches::batches::Shape;
use kafscale_benches::engine::Bench;
use kafscale_core::Settings;
use tokio::runtime;

const MIB: usize = 1 << 20;
const BATCH: usize = 16 << 10;
/// Appends that wait for their answer at a time: 16 MiB, half of what an engine takes by default.
const IN_FLIGHT: usize = 1024;

/// One thread, so that the figure is that of one core: the driver, the log's task and the uploads take turns.
fn one_core() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Appends `bytes` in batches of 16 KiB, a new engine each time; what is measured is from the first append to the last
/// acknowledgement.
fn burst(criterion: &mut Criterion, name: &str, settings: &Settings, bytes: usize, partitions: &[i32]) {
    let runtime = one_core();
    let batches = Shape::of(BATCH).batches(IN_FLIGHT).unwrap();
    let count = bytes / BATCH;
    let payload: usize = batches.iter().cycle().take(count).map(bytes::Bytes::len).sum();
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Bytes(payload as u64));
    for &partitions in partitions {
        group.bench_function(BenchmarkId::from_parameter(partitions), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut taken = Duration::ZERO;
                for _ in 0..rounds {
                    let bench = runtime
                        .block_on(Bench::open(settings.clone(), partitions))
                        .unwrap();
                    let start = Instant::now();
                    runtime
                        .block_on(bench.append(&batches, count, IN_FLIGHT))
                        .unwrap();
                    taken += start.elapsed();
                }
                taken
            });
        });
    }
    group.finish();
}

/// The way to the acknowledgement alone: too little is written for a segment to be cut.
fn acknowledged(criterion: &mut Criterion) {
    burst(
        criterion,
        "append/16KiB",
        &Settings::default(),
        48 * MIB,
        &[1, 100, 1_000],
    );
}

/// With segments cut and log objects trimmed meanwhile, as in a broker that runs for long.
fn with_cutting(criterion: &mut Criterion) {
    let mut settings = Settings::default();
    settings.topic.segment_bytes = 4 * MIB as u64;
    settings.segment.delete_grace_ms = 0;
    burst(criterion, "append/16KiB_and_cut", &settings, 256 * MIB, &[16]);
}

criterion_group!(benches, acknowledged, with_cutting);
criterion_main!(benches);
