use proptest::prelude::*;

use super::*;
use crate::format::batch::patch;
use crate::format::batch::tests::batch_with;
use crate::format::golden::{damage_is_found, golden, hostile};

fn whole(segment: &BuiltSegment) -> Vec<u8> {
    segment.payload.concat()
}

fn chunks() -> Vec<Bytes> {
    let mut first = batch_with(1000, 60, 200, |_| {});
    patch(&mut first, 1000, 4).unwrap();
    first.extend(batch_with(1060, 45, 300, |header| header.max_timestamp = 9000));
    vec![first.into(), Bytes::new(), batch_with(1105, 1, 20, |_| {}).into()]
}

fn sample() -> BuiltSegment {
    build_segment(&chunks(), 1_767_225_600_000, 100).unwrap()
}

#[test]
fn a_segment_and_its_index_have_their_golden_bytes() {
    let segment = sample();
    let stored = golden("segment.kfs", &whole(&segment));
    let verified = verify(&stored).unwrap();
    assert_eq!(verified.header, segment.header);
    assert_eq!(
        verified.header,
        SegmentHeader {
            base_offset: 1000,
            message_count: 106,
            created_ms: 1_767_225_600_000
        }
    );
    assert_eq!(verified.footer, segment.footer);
    assert_eq!(verified.footer.last_offset, 1105);
    assert_eq!((verified.batches, verified.max_timestamp), (3, 9000));
    assert_eq!(segment.len, stored.len() as u64);
    let stored = golden("segment-of-three.index", &segment.index);
    assert_eq!(Index::parse(&stored), rebuild_index(&whole(&segment), 100));
}

#[test]
fn the_chunks_are_not_copied() {
    let chunks = chunks();
    let segment = build_segment(&chunks, 0, 100).unwrap();
    let pieces: Vec<_> = segment.payload.iter().map(|piece| piece.as_ptr()).collect();
    assert_eq!(
        pieces[1..4],
        [chunks[0].as_ptr(), chunks[1].as_ptr(), chunks[2].as_ptr()]
    );
}

#[test]
fn the_index_leads_to_the_batch() {
    let segment = sample();
    let index = Index::parse(&segment.index).unwrap();
    let position = usize::try_from(index.position_for(1105, segment.len)).unwrap();
    let header = BatchHeader::parse(&whole(&segment)[position..]).unwrap();
    assert_eq!(header.base_offset, 1105);
}

#[test]
fn every_damaged_bit_is_found() {
    // The creation time is the one field that nothing covers.
    damage_is_found(&whole(&sample()), |bytes| match verify(bytes) {
        Ok(verified) if verified.header.created_ms != 1_767_225_600_000 => Err(()),
        Ok(_) => Ok(()),
        Err(_) => Err(()),
    });
}

#[test]
fn a_segment_needs_batches_with_ascending_offsets() {
    assert!(matches!(
        build_segment(&[], 0, 100),
        Err(FormatError::Misuse { .. })
    ));
    assert!(matches!(
        build_segment(&[Bytes::new()], 0, 100),
        Err(FormatError::Misuse { .. })
    ));
    let overlapping = [
        batch_with(0, 3, 10, |_| {}).into(),
        batch_with(2, 3, 10, |_| {}).into(),
    ];
    let error = build_segment(&overlapping, 0, 100).unwrap_err();
    assert_eq!(
        error.to_string(),
        "segment: byte 103: the batch's offsets do not come after those before it"
    );
    let negative = [batch_with(5, 3, 10, |header| header.last_offset_delta = -2).into()];
    assert!(build_segment(&negative, 0, 100).is_err());
    let beyond = [batch_with(i64::MAX, 1, 10, |_| {}).into()];
    assert!(build_segment(&beyond, 0, 100).is_err());
}

#[test]
fn a_batch_across_two_chunks_is_refused() {
    let batch = Bytes::from(batch_with(0, 3, 100, |_| {}));
    let error = build_segment(&[batch.slice(..80), batch.slice(80..)], 0, 100).unwrap_err();
    assert!(matches!(error, FormatError::Batch { at: 32, .. }), "{error}");
}

#[test]
fn header_and_footer_must_agree_with_the_batches() {
    let good = whole(&sample());
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        verify(&bytes).unwrap_err().to_string()
    };
    let end = good.len();
    assert_eq!(
        changed(15),
        "segment: byte 8: the base offset is not the first batch's"
    );
    assert_eq!(
        changed(19),
        "segment: byte 16: the message count is not the sum of the batches' record counts"
    );
    assert_eq!(
        changed(end - 5),
        format!(
            "segment: byte {}: the last offset is not the last batch's",
            end - 12
        )
    );
    assert!(changed(100).contains("the CRC-32C says"));
    assert!(changed(end - 1).contains("the magic is"));
}

#[test]
fn the_footer_is_read_from_any_tail() {
    let (segment, bytes) = (sample(), whole(&sample()));
    for len in [16, 17, 100, bytes.len()] {
        assert_eq!(
            SegmentFooter::parse(&bytes[bytes.len() - len..]),
            Ok(segment.footer),
            "{len}"
        );
    }
    assert!(SegmentFooter::parse(&bytes[bytes.len() - 15..]).is_err());
    assert!(verify(&bytes[..47]).is_err());
}

proptest! {
    #[test]
    fn every_segment_verifies(
        batches in proptest::collection::vec((1_i32..300, 0_usize..400, any::<bool>()), 1..30),
        base in 0_i64..1 << 40,
        created_ms: i64,
    ) {
        let mut chunks = vec![Vec::new()];
        let mut next = base;
        for (count, payload, split) in &batches {
            if *split {
                chunks.push(Vec::new());
            }
            chunks.last_mut().unwrap().extend(batch_with(next, *count, *payload, |_| {}));
            next += i64::from(*count);
        }
        let chunks: Vec<Bytes> = chunks.into_iter().map(Bytes::from).collect();
        let segment = build_segment(&chunks, created_ms, 100).unwrap();
        let verified = verify(&whole(&segment)).unwrap();
        prop_assert_eq!(verified.header.base_offset, base);
        prop_assert_eq!(verified.header.created_ms, created_ms);
        prop_assert_eq!(verified.footer.last_offset, next - 1);
        prop_assert_eq!(i64::from(verified.header.message_count), next - base);
        prop_assert_eq!(verified.batches, batches.len());
        prop_assert_eq!(Index::parse(&segment.index), rebuild_index(&whole(&segment), 100));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in hostile(whole(&sample()))) {
        let _ = verify(&bytes);
        let _ = rebuild_index(&bytes, 1);
        let _ = SegmentHeader::parse(&bytes);
        let _ = SegmentFooter::parse(&bytes);
        let _ = build_segment(&[Bytes::from(bytes)], 0, 1);
    }
}
