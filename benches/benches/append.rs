//! How fast one core takes appends, from the call to the acknowledgement.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kafscale_benches::batches::Shape;
use kafscale_benches::engine::{Bench, Bucket};
use kafscale_core::Settings;
use tokio::runtime;

const MIB: usize = 1 << 20;
const KIB: usize = 1 << 10;

/// One burst of appends.
struct Burst {
    bucket: Bucket,
    settings: Settings,
    /// Bytes of each batch.
    batch: usize,
    /// Bytes of all batches.
    bytes: usize,
    /// Appends that wait for their answer at a time.
    in_flight: usize,
}

/// One thread, so that the figure is that of one core: the driver, the log's task and the uploads take turns.
fn one_core() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A new engine for each burst; measured is from the first append to the last acknowledgement.
fn measure(criterion: &mut Criterion, name: &str, burst: &Burst, partitions: &[i32]) {
    let runtime = one_core();
    let batches = Shape::of(burst.batch).batches(burst.in_flight).unwrap();
    let count = burst.bytes / burst.batch;
    let payload: usize = batches.iter().cycle().take(count).map(Bytes::len).sum();
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(payload as u64));
    for &partitions in partitions {
        group.bench_function(BenchmarkId::from_parameter(partitions), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut taken = Duration::ZERO;
                for _ in 0..rounds {
                    let open = Bench::open(burst.bucket, burst.settings.clone(), partitions);
                    let bench = runtime.block_on(open).unwrap();
                    let start = Instant::now();
                    runtime
                        .block_on(bench.append(&batches, count, burst.in_flight))
                        .unwrap();
                    taken += start.elapsed();
                }
                taken
            });
        });
    }
    group.finish();
}

/// 16 KiB batches into a bucket in memory: the way to the acknowledgement, and the memory that the bucket takes.
fn in_memory(criterion: &mut Criterion) {
    let burst = Burst {
        bucket: Bucket::InMemory,
        settings: Settings::default(),
        batch: 16 * KIB,
        bytes: 48 * MIB,
        in_flight: 1024,
    };
    measure(criterion, "append/16KiB/in_memory", &burst, &[1, 100, 1_000]);
}

/// The same in the steady state of a broker whose bucket is elsewhere: old objects leave the memory as new ones come. 1 KiB
/// batches show what an append costs beside its bytes.
fn forgetful(criterion: &mut Criterion) {
    let mut settings = Settings::default();
    settings.memory.tail_bytes = 8 * MIB;
    // Nothing is cut: what was evicted cannot be read back from this bucket.
    settings.topic.segment_bytes = 1 << 30;
    settings.wal.max_backlog_bytes = 1 << 40;
    settings.wal.max_backlog_objects = 1 << 20;
    for (name, batch, bytes) in [
        ("append/16KiB/forgetful", 16 * KIB, 192 * MIB),
        ("append/1KiB/forgetful", KIB, 32 * MIB),
    ] {
        let burst = Burst {
            bucket: Bucket::Forgetful,
            settings: settings.clone(),
            batch,
            bytes,
            in_flight: 16 * MIB / batch.max(4 * KIB),
        };
        measure(criterion, name, &burst, &[1, 100, 1_000]);
    }
}

/// With segments cut and log objects trimmed meanwhile, as in a broker that runs for long. Nothing is evicted before it is
/// cut.
fn with_cutting(criterion: &mut Criterion) {
    let mut settings = Settings::default();
    settings.topic.segment_bytes = 4 * MIB as u64;
    settings.segment.delete_grace_ms = 0;
    settings.memory.tail_bytes = 256 * MIB;
    let burst = Burst {
        bucket: Bucket::Forgetful,
        settings,
        batch: 16 * KIB,
        bytes: 256 * MIB,
        in_flight: 1024,
    };
    measure(criterion, "append/16KiB_and_cut/forgetful", &burst, &[16]);
}

criterion_group!(benches, in_memory, forgetful, with_cutting);
criterion_main!(benches);
