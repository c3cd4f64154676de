//! What the guard accepts, the codec decodes without a panic and within the memory budget.
//!
//! Input: a byte with the API's number, a byte with the version, the body of the request.

#![no_main]

use bytes::{BufMut, Bytes, BytesMut};
use kafscale_fuzz::counting::{Counting, peak_of};
use kafscale_wire::guard::{budget, check_request};
use kafscale_wire::versions::served;
use kafscale_wire::{Limits, RequestError, decode_request};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|input: &[u8]| {
    let [api, version, body @ ..] = input else { return };
    let version = i16::from(*version);
    let Some(api) = served(i16::from(*api)).filter(|api| api.serves(version)) else {
        return;
    };
    let limits = Limits::default();

    let mut frame = BytesMut::with_capacity(11 + body.len());
    frame.put_i16(api.key as i16);
    frame.put_i16(version);
    frame.put_i32(1);
    frame.put_i16(-1);
    if api.is_flexible(version) {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    // A frame comes from a `Bytes` that other code holds too, so that slices of it allocate nothing of their own.
    let frame = frame.freeze();
    let held: Bytes = frame.clone();

    let accepted = check_request(api.key as i16, version, body, &limits).is_ok();
    let (decoded, peak) = peak_of(|| decode_request(frame, &limits));
    let allowed = budget(body.len(), &limits);
    assert!(
        peak <= allowed,
        "{:?} version {version}: {peak} bytes for {} allowed",
        api.key,
        allowed
    );
    match decoded {
        Ok(request) => {
            assert!(accepted);
            assert_eq!(request.body.api_key(), api.key);
        }
        Err(RequestError::Malformed { .. }) => assert!(!accepted),
        // The codec may refuse what the guard does not look at.
        Err(RequestError::Undecodable { reason, .. }) => {
            assert!(accepted);
            assert!(
                !reason.contains("panicked"),
                "{:?} version {version}: {reason}",
                api.key
            );
            assert!(
                reason.contains("utf-8") || reason.contains("is not valid for version"),
                "{:?} version {version}: the guard accepted what the codec refuses: {reason}",
                api.key
            );
        }
        Err(other) => panic!("{other}"),
    }
    drop(held);
});
