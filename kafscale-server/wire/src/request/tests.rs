#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::protocol::{HeaderVersion, Request as CodecRequest, encode_request_header_into_buffer};
use proptest::prelude::*;

use super::*;
use crate::guard::Reason;
use crate::versions::SERVED;

fn frame<R: CodecRequest>(version: i16, client_id: Option<&str>, body: &R) -> Bytes {
    let mut bytes = BytesMut::new();
    let header = kafka_protocol::messages::RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(client_id.map(|id| StrBytes::from_string(id.to_owned())));
    encode_request_header_into_buffer(&mut bytes, &header).unwrap();
    body.encode(&mut bytes, version).unwrap();
    bytes.freeze()
}

fn decode(frame: impl Into<Bytes>) -> Result<Request, RequestError> {
    decode_request(frame.into(), &Limits::default())
}

#[test]
fn a_request_of_each_header_version_is_decoded() {
    for version in [8, 9] {
        let topics =
            MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str("orders").into()));
        let body = MetadataRequest::default().with_topics(Some(vec![topics]));
        let request = decode(frame(version, Some("me"), &body)).unwrap();
        assert_eq!(request.header.api_key, 3);
        assert_eq!(request.header.api_version, version);
        assert_eq!(request.header.correlation_id, 77);
        assert_eq!(request.header.client_id.as_deref(), Some("me"));
        assert_eq!(request.body, RequestBody::Metadata(body));
    }
    assert_eq!(MetadataRequest::header_version(8), 1);
    assert_eq!(MetadataRequest::header_version(9), 2);
}

#[test]
fn records_are_a_slice_of_the_frame() {
    let partition = PartitionProduceData::default().with_records(Some(Bytes::from(vec![9; 1000])));
    let topic = TopicProduceData::default().with_partition_data(vec![partition]);
    let frame = frame(9, None, &ProduceRequest::default().with_topic_data(vec![topic]));
    let whole = frame.as_ptr_range();
    let RequestBody::Produce(produce) = decode(frame).unwrap().body else {
        panic!("not a produce")
    };
    let records = produce.topic_data[0].partition_data[0].records.clone().unwrap();
    assert!(whole.contains(&records.as_ptr()));
}

#[test]
fn a_null_client_id_and_unknown_header_tags_are_accepted() {
    let plain = frame(9, None, &MetadataRequest::default());
    assert_eq!(decode(plain.clone()).unwrap().header.client_id, None);
    // Header: 8 bytes, null client id, no tags. Put one tag of two bytes instead.
    assert_eq!(plain[8..11], [0xff, 0xff, 0]);
    let tagged = [&plain[..10], &[1, 5, 2, 8, 8], &plain[11..]].concat();
    assert_eq!(decode(tagged).unwrap(), decode(plain).unwrap());
}

#[test]
fn frames_that_end_within_the_header_are_refused() {
    let whole = frame(9, Some("client"), &MetadataRequest::default());
    for length in 0..17 {
        let error = decode(whole.slice(..length)).unwrap_err();
        assert!(matches!(error, RequestError::Header(_)), "{length}: {error}");
        assert_eq!(error.unsupported_api_versions(), None);
    }
}

#[test]
fn a_client_id_longer_than_the_frame_is_refused() {
    let mut bytes = BytesMut::new();
    bytes.put_i16(3);
    bytes.put_i16(1);
    bytes.put_i32(1);
    bytes.put_i16(i16::MAX);
    assert!(matches!(decode(bytes.freeze()), Err(RequestError::Header(_))));
}

#[test]
fn unknown_apis_and_unserved_versions_are_told_apart() {
    let unknown = [0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    assert_eq!(decode(unknown.to_vec()), Err(RequestError::UnknownApi(99)));
    // The codec knows SaslHandshake, we do not serve it.
    let unserved = [0, 17, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    assert_eq!(decode(unserved.to_vec()), Err(RequestError::UnknownApi(17)));
    let old_produce = [0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff, 0, 0];
    let error = decode(old_produce.to_vec()).unwrap_err();
    assert!(matches!(error, RequestError::UnsupportedVersion(_)));
    assert_eq!(error.unsupported_api_versions(), None);
}

#[test]
fn api_versions_of_an_unknown_version_can_be_answered() {
    // Version 5 as a client may send it, then with a header that makes no sense to us, then without a rest.
    let known_header = [&[0, 18, 0, 5, 0, 0, 0, 42, 0, 2, b'm', b'e', 0][..], &[1, 1, 0]].concat();
    let unknown_header = [0, 18, 0, 5, 0, 0, 0, 42, 0x7f, 0xff, 1].to_vec();
    let bare = [0, 18, 0x7f, 0xff, 0, 0, 0, 42].to_vec();
    for (frame, client_id) in [(known_header, Some("me")), (unknown_header, None), (bare, None)] {
        let error = decode(frame).unwrap_err();
        let header = error.unsupported_api_versions().unwrap();
        assert_eq!(header.correlation_id, 42);
        assert_eq!(header.client_id.as_deref(), client_id);
    }
}

#[test]
fn a_hostile_length_is_refused_by_the_guard() {
    let body = [0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0];
    let error = decode(body.to_vec()).unwrap_err();
    let RequestError::Malformed {
        api_key: 3,
        api_version: 0,
        reason,
    } = error
    else {
        panic!("{error}")
    };
    assert!(matches!(reason.reason, Reason::TooManyElements { .. }));
}

#[test]
fn text_that_is_not_utf8_is_refused_by_the_codec() {
    let body = [0, 10, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 2, 0xc3, 0x28];
    assert!(matches!(
        decode(body.to_vec()),
        Err(RequestError::Undecodable { api_key: 10, .. })
    ));
}

#[test]
fn every_served_api_has_a_variant_with_its_own_key() {
    for api in SERVED {
        let decoded = RequestBody::decode(api.key, api.max, &mut Bytes::from(vec![0; 64]));
        let decoded = decoded.unwrap_or_else(|| panic!("{:?} has no variant", api.key));
        if let Ok(body) = decoded {
            assert_eq!(body.api_key(), api.key);
        }
        let header_versions = [1, 2];
        assert!(header_versions.contains(&api.key.request_header_version(api.min)));
        assert!(header_versions.contains(&api.key.request_header_version(api.max)));
        // The codec's own range of the request type, which is narrower than the one of its API for some.
        for version in api.min..=api.max {
            let refused = RequestBody::decode(api.key, version, &mut Bytes::from(vec![1; 4096]));
            if let Some(Err(reason)) = refused {
                assert!(
                    !reason.contains("version not supported"),
                    "{:?} {version}: {reason}",
                    api.key
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn random_frames_are_refused_or_decoded_without_a_panic(frame: Vec<u8>) {
        let _: Result<_, _> = decode(frame);
    }

    #[test]
    fn random_bodies_behind_a_valid_header_do_not_panic(key in 0usize..25, version in 0i16..14, body: Vec<u8>) {
        let mut frame = BytesMut::new();
        frame.put_i16(SERVED[key].key as i16);
        frame.put_i16(version);
        frame.put_i32(1);
        frame.put_i16(-1);
        if SERVED[key].is_flexible(version) {
            frame.put_u8(0);
        }
        frame.extend_from_slice(&body);
        let _: Result<_, _> = decode(frame.freeze());
    }
}
