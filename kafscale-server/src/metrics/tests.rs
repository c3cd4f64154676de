use prometheus_client::encoding::prometheus_text;

use super::*;

#[test]
fn what_is_counted_is_shown() {
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry, Duration::from_secs(60));
    let open = metrics.connection_opened();
    metrics.request(ApiKey::Produce as i16, 100);
    metrics.request(ApiKey::Metadata as i16, 10);
    metrics.answered(ApiKey::Produce as i16, Duration::from_millis(7));
    metrics.answered(ApiKey::Metadata as i16, Duration::from_millis(7));
    metrics.produced(60);
    metrics.connection_refused(Refused::PerIp);
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    for line in [
        "kafscale_connections 1",
        "kafscale_requests_total{api=\"Produce\"} 1",
        "kafscale_requests_total{api=\"DescribeCluster\"} 0",
        "kafscale_request_bytes_total 110",
        "kafscale_produce_latency_ms_bucket{le=\"5\"} 0",
        "kafscale_produce_latency_ms_bucket{le=\"10\"} 1",
        "kafscale_produce_latency_ms_count 1",
        "kafscale_produced_records_total 60",
        "kafscale_produce_rps 60.0",
        "kafscale_connections_refused_total{reason=\"per_ip\"} 1",
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line} is not in\n{text}"
        );
    }
    drop(open);
    assert_eq!(metrics.connections.get(), 0);
}

#[test]
fn every_served_api_has_its_own_name() {
    assert!(SERVED.iter().all(|served| api_name(served.key) != "other"));
}
