use super::*;

#[test]
fn a_topic_id_prints_as_kafka_prints_it_and_reads_back() {
    // Kafka's Uuid("7f3a1c22-9d4e-4b6f-8a10-5566778899aa").toString()
    let id = TopicId([
        0x7f, 0x3a, 0x1c, 0x22, 0x9d, 0x4e, 0x4b, 0x6f, 0x8a, 0x10, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
    ]);
    let text = id.to_string();
    assert_eq!(text.len(), 22);
    assert_eq!(TopicId::parse(&text), Some(id));
    assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
}

#[test]
fn text_that_is_no_topic_id_is_refused() {
    for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAA!", "AAAAAAAAAAAAAAAAAAAAAB"] {
        assert_eq!(TopicId::parse(text), None, "{text}");
    }
}

#[test]
fn a_random_topic_id_is_a_version_4_uuid() {
    let id = TopicId::from_random([0xff; 16]);
    assert_eq!(id.0[6], 0x4f);
    assert_eq!(id.0[8], 0xbf);
}
