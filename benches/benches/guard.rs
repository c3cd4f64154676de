//! The wire guard on what clients usually send and on the requests that decode to the most memory, beside the whole
//! decoding of the same frame.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kafscale_benches::batches::Shape;
use kafscale_wire::guard::check_request;
use kafscale_wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafscale_wire::kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafscale_wire::kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafscale_wire::kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafscale_wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafscale_wire::kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafscale_wire::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafscale_wire::kafka_protocol::messages::*;
use kafscale_wire::kafka_protocol::protocol::{Encodable, Request, StrBytes};
use kafscale_wire::{Limits, decode_request};

/// A request as it comes from the socket, and where its body begins.
struct Framed {
    name: String,
    api_key: i16,
    version: i16,
    frame: Bytes,
    body_at: usize,
}

fn framed<R: Request>(what: &str, version: i16, request: &R) -> Framed {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(1)
        .with_client_id(Some(StrBytes::from_static_str("producer-1")));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, R::header_version(version)).unwrap();
    let body_at = frame.len();
    request.encode(&mut frame, version).unwrap();
    let api = ApiKey::try_from(R::KEY).unwrap();
    Framed {
        name: format!("{api:?}_{version}_{what}"),
        api_key: R::KEY,
        version,
        frame: frame.freeze(),
        body_at,
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

fn produce(partitions: i32) -> Framed {
    let records = Shape::of(16 << 10).batch(1).unwrap();
    let partition = |index| {
        PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(records.clone()))
    };
    let data = TopicProduceData::default()
        .with_name(topic("orders"))
        .with_partition_data((0..partitions).map(partition).collect());
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![data]);
    framed(&format!("{partitions}_batches"), 12, &request)
}

fn fetch(partitions: i32) -> Framed {
    let partition = |partition| {
        FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(1_000)
            .with_partition_max_bytes(1 << 20)
    };
    let fetched = FetchTopic::default()
        .with_topic(topic("orders"))
        .with_partitions((0..partitions).map(partition).collect());
    let request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_topics(vec![fetched]);
    framed(&format!("{partitions}_partitions"), 12, &request)
}

fn commit(partitions: i32) -> Framed {
    let partition = |index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(1_000)
            .with_committed_metadata(Some(StrBytes::default()))
    };
    let committed = OffsetCommitRequestTopic::default()
        .with_name(topic("orders"))
        .with_partitions((0..partitions).map(partition).collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("billing")))
        .with_member_id(text("consumer-billing-1-5a1fbd4d-3a5a-4cbd-8f0f-0c0ffee0c0de"))
        .with_topics(vec![committed]);
    framed(&format!("{partitions}_partitions"), 9, &request)
}

/// What clients send all day.
fn typical() -> Vec<Framed> {
    let versions = ApiVersionsRequest::default()
        .with_client_software_name(text("apache-kafka-java"))
        .with_client_software_version(text("4.4.0"));
    let metadata = MetadataRequest::default().with_topics(Some(
        (0..20)
            .map(|n| MetadataRequestTopic::default().with_name(Some(topic(&format!("topic-{n}")))))
            .collect(),
    ));
    let beat = HeartbeatRequest::default()
        .with_group_id(GroupId(text("billing")))
        .with_generation_id(4)
        .with_member_id(text("consumer-billing-1-5a1fbd4d-3a5a-4cbd-8f0f-0c0ffee0c0de"));
    let protocol = |name: &str| {
        JoinGroupRequestProtocol::default()
            .with_name(text(name))
            .with_metadata(Bytes::from(vec![0; 120]))
    };
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(text("billing")))
        .with_session_timeout_ms(45_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range"), protocol("cooperative-sticky")]);
    vec![
        framed("java", 3, &versions),
        framed("20_topics", 12, &metadata),
        produce(1),
        produce(16),
        fetch(1),
        fetch(100),
        framed("classic", 4, &beat),
        framed("2_protocols", 9, &join),
        commit(16),
    ]
}

/// The requests that ask for the most memory for each of their bytes, 64 KiB of them.
fn hungriest() -> Vec<Framed> {
    const BYTES: usize = 64 << 10;
    let group = |_| {
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(None)
    };
    let offsets = OffsetFetchRequest::default().with_groups((0..BYTES / 4).map(group).collect());
    let member = |_| {
        MemberIdentity::default()
            .with_member_id(text("m"))
            .with_group_instance_id(None)
    };
    let leave = LeaveGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_members((0..BYTES / 4).map(member).collect());
    let named = |_| MetadataRequestTopic::default().with_name(Some(topic("t")));
    let metadata = MetadataRequest::default().with_topics(Some((0..BYTES / 3).map(named).collect()));
    vec![
        framed("hungriest", 8, &offsets),
        framed("hungriest", 4, &leave),
        framed("hungriest", 9, &metadata),
        fetch((BYTES / 28) as i32),
    ]
}

fn guard(criterion: &mut Criterion) {
    let limits = Limits::default();
    for (name, requests) in [
        ("guard/typical", typical()),
        ("guard/hungriest_64KiB", hungriest()),
    ] {
        let mut group = criterion.benchmark_group(name);
        group
            .sample_size(30)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1));
        for request in requests {
            let Framed {
                name,
                api_key,
                version,
                frame,
                body_at,
            } = request;
            let body = frame.slice(body_at..);
            // What is measured must be an accepted request.
            check_request(api_key, version, &body, &limits).unwrap();
            group.throughput(Throughput::Bytes(frame.len() as u64));
            group.bench_function(BenchmarkId::new("check", &name), |bencher| {
                bencher.iter(|| check_request(api_key, version, black_box(&body), &limits).unwrap());
            });
            group.bench_function(BenchmarkId::new("check_and_decode", &name), |bencher| {
                bencher.iter(|| decode_request(black_box(frame.clone()), &limits).unwrap());
            });
        }
        group.finish();
    }
}

/// Refusing must be cheap too: a count that the frame cannot hold.
fn refused(criterion: &mut Criterion) {
    let mut body = BytesMut::new();
    body.put_i32(i32::MAX);
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("guard/refused");
    group
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    group.bench_function("Metadata_4", |bencher| {
        bencher.iter(|| check_request(MetadataRequest::KEY, 4, black_box(&body), &limits).unwrap_err());
    });
    group.finish();
}

criterion_group!(benches, guard, refused);
criterion_main!(benches);
