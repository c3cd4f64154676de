//! Record batches as a producer sends them: headers, checks, the walk over several, patches.
#![no_main]

use kafscale_core::checksum::crc32c;
use kafscale_core::format::batch::{
    BatchHeader, BatchLimits, Batches, CRC_COVERS_FROM, patch, set_log_append_time, skip_to_offset,
    take_whole, validate,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: BatchLimits = BatchLimits {
    max_batch_bytes: 1 << 20,
    allow_control: true,
};

fuzz_target!(|data: &[u8]| {
    walk(data);
    let mut bytes = data.to_vec();
    if let Some(mended) = mend_crc(&mut bytes) {
        check_one(mended);
    }
});

fn walk(data: &[u8]) {
    let mut end = 0;
    for (header, place) in Batches::strict(data).map_while(Result::ok) {
        assert_eq!(place.start, end);
        assert_eq!(place.len(), header.total_len());
        end = place.end;
    }
    assert!(end <= data.len());
    if let Ok(Some(at)) = skip_to_offset(data, 1000) {
        let header = BatchHeader::parse(&data[at..]).expect("a batch was found there");
        assert!(header.last_offset() >= 1000);
    }
    for max_bytes in [0, 100, usize::MAX] {
        if let Ok(taken) = take_whole(data, max_bytes) {
            assert!(taken <= data.len());
            assert!(Batches::strict(&data[..taken]).all(|batch| batch.is_ok()));
        }
    }
}

/// Cuts the first batch out and gives it the right checksum, so that the checks behind it are reached.
fn mend_crc(bytes: &mut Vec<u8>) -> Option<&mut [u8]> {
    let header = BatchHeader::parse(bytes).ok()?;
    let batch = bytes.get_mut(..header.total_len())?;
    let crc = crc32c(&batch[CRC_COVERS_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    Some(batch)
}

fn check_one(batch: &mut [u8]) {
    let Ok(header) = validate(batch, LIMITS) else {
        return;
    };
    assert_eq!(header.encode(), batch[..61]);
    assert_eq!(header.last_offset_delta, header.record_count - 1);
    patch(batch, 7, 8).expect("a whole batch is there");
    let patched = validate(batch, LIMITS).expect("the patch lies outside the checksum");
    assert_eq!(
        (patched.base_offset, patched.partition_leader_epoch, patched.crc),
        (7, 8, header.crc)
    );
    let stamped = set_log_append_time(batch, 99).expect("a whole batch is there");
    assert_eq!(validate(batch, LIMITS), Ok(stamped));
}
