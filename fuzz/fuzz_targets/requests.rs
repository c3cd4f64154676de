//! A connection may carry anything: frames come out whole or not at all, and each is decoded or refused within the
//! memory budget.
//!
//! Input: what a client sends.

#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use kafscale_fuzz::counting::{Counting, peak_of};
use kafscale_wire::frame::FrameReader;
use kafscale_wire::guard::budget;
use kafscale_wire::{Limits, RequestError, decode_request};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reading from memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("reading from memory waits"),
    }
}

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    let mut reader = FrameReader::new(input, limits);
    let mut consumed = 0;
    while let Ok(Some(frame)) = now(reader.read()) {
        let whole = frame.clone();
        consumed += 4;
        assert_eq!(input[consumed..consumed + frame.len()], frame[..]);
        consumed += frame.len();
        let (decoded, peak) = peak_of(|| decode_request(frame, &limits));
        assert!(
            peak <= budget(whole.len(), &limits),
            "{peak} bytes for a frame of {}",
            whole.len()
        );
        match decoded {
            Ok(request) => {
                assert_eq!(request.header.api_key.to_be_bytes(), whole[0..2]);
                assert_eq!(request.header.api_version.to_be_bytes(), whole[2..4]);
                assert_eq!(request.header.correlation_id.to_be_bytes(), whole[4..8]);
                assert_eq!(request.body.api_key() as i16, request.header.api_key);
            }
            Err(RequestError::Undecodable { reason, .. }) => {
                assert!(!reason.contains("panicked"), "{reason}")
            }
            Err(error) => drop(error.to_string()),
        }
    }
});
