//! For tests: the golden files of the stored formats, and what every decoder must stand.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

/// Set to write golden files that do not exist yet. Those that exist are never written again: they stand for the
/// objects that lie in buckets.
const WRITE_NEW: &str = "KAFSCALE_WRITE_GOLDEN";

/// A file under `testdata/`.
pub(crate) fn testdata(name: &str) -> Vec<u8> {
    let path = path(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "testdata", name].iter().collect()
}

/// The golden file `formats/{name}`, after checking that it holds exactly `encoded`.
pub(crate) fn golden(name: &str, encoded: &[u8]) -> Vec<u8> {
    let path = path(&format!("formats/{name}"));
    if !path.exists() && std::env::var_os(WRITE_NEW).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, encoded).unwrap();
    }
    let stored = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error} ({WRITE_NEW}=1 writes a new one)", path.display()));
    assert_eq!(
        stored,
        encoded,
        "the encoder no longer writes the bytes of {}",
        path.display()
    );
    stored
}

/// Every flip of one bit, and every cut, must make `decode` answer with an error.
pub(crate) fn damage_is_found<T: std::fmt::Debug, E>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, E>) {
    assert!(decode(bytes).is_ok());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << bit;
            if let Ok(value) = decode(&damaged) {
                panic!("byte {at} bit {bit} flipped, still read: {value:?}");
            }
        }
        if let Ok(value) = decode(&bytes[..at]) {
            panic!("cut to {at} bytes, still read: {value:?}");
        }
    }
    let longer = [bytes, &[0]].concat();
    if let Ok(value) = decode(&longer) {
        panic!("with a byte more, still read: {value:?}");
    }
}

/// Random bytes, pieces of `good`, and `good` with a few bytes changed: what decoders must survive.
pub(crate) fn hostile(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let random = proptest::collection::vec(any::<u8>(), 0..400);
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    let base = good.clone();
    let changed = changes.prop_map(move |changes| {
        let mut bytes = base.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    });
    let piece = (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(move |(from, to)| {
        let (from, to) = (from.index(good.len()), to.index(good.len()));
        good[from.min(to)..from.max(to)].to_vec()
    });
    prop_oneof![random, changed, piece]
}
