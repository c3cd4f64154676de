use proptest::prelude::*;

use super::*;
use crate::format::golden::hostile;

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];
const LIMIT: usize = 1 << 20;

fn text(len: usize) -> Vec<u8> {
    b"{\"user\": 4711, \"event\": \"click\"} "
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

#[test]
fn codecs_have_the_numbers_and_names_of_kafka() {
    let all: Vec<_> = (0..=4).map(|id| Compression::from_id(id).unwrap()).collect();
    assert_eq!(all, CODECS);
    for (id, (codec, name)) in CODECS
        .iter()
        .zip(["none", "gzip", "snappy", "lz4", "zstd"])
        .enumerate()
    {
        assert_eq!((usize::from(codec.id()), codec.name()), (id, name));
    }
    assert_eq!(Compression::from_id(5), None);
}

#[test]
fn the_limit_is_exact() {
    for codec in CODECS {
        for len in [1, 4095, 4096, 4097, 100_000] {
            let compressed = compress(codec, None, &text(len)).unwrap();
            assert_eq!(
                decompress(codec, &compressed, len).unwrap(),
                text(len),
                "{codec:?} {len}"
            );
            assert_eq!(
                decompress(codec, &compressed, len - 1),
                Err(CodecError::TooLarge {
                    codec,
                    limit: len - 1
                }),
                "{codec:?} {len}"
            );
        }
    }
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let bomb = compress(codec, None, &vec![0; 3 << 20]).unwrap();
        assert_eq!(
            decompress(codec, &bomb, LIMIT),
            Err(CodecError::TooLarge { codec, limit: LIMIT }),
            "{codec:?}"
        );
    }
}

#[test]
fn output_takes_no_more_memory_than_the_limit() {
    for len in [1, 5000, 70_000] {
        let compressed = compress(Compression::Gzip, None, &text(len)).unwrap();
        let out = read_all(
            Compression::Gzip,
            MultiGzDecoder::new(compressed.as_slice()),
            compressed.len(),
            len,
        )
        .unwrap();
        assert_eq!((out.len(), out.capacity()), (len, len));
    }
}

#[test]
fn snappy_is_read_with_and_without_framing() {
    let data = text(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&data).unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, LIMIT).unwrap(), data);
    let framed = compress(Compression::Snappy, None, &data).unwrap();
    assert_eq!(
        framed[..16],
        [
            0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1
        ]
    );
    assert_eq!(decompress(Compression::Snappy, &framed, LIMIT).unwrap(), data);
    let twice = [framed.as_slice(), &framed].concat();
    assert_eq!(
        decompress(Compression::Snappy, &twice, LIMIT).unwrap(),
        [data.as_slice(), &data].concat()
    );
    assert_eq!(
        decompress(Compression::Snappy, &framed[..16], LIMIT).unwrap(),
        Vec::new()
    );
}

#[test]
fn a_snappy_length_that_lies_takes_no_memory() {
    // Says 512 KiB in a few bytes.
    let error = decompress(Compression::Snappy, &[0x80, 0x80, 0x20, 0, 0], LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the snappy data is broken: a block says that it holds more than it can"
    );
    let mut framed = compress(Compression::Snappy, None, b"abc").unwrap();
    framed[16] = 0xff;
    assert!(decompress(Compression::Snappy, &framed, LIMIT).is_err());
    framed[16] = 0x7f;
    assert!(decompress(Compression::Snappy, &framed, LIMIT).is_err());
}

#[test]
fn gzip_members_and_zstd_frames_may_follow_each_other() {
    for codec in [Compression::Gzip, Compression::Zstd] {
        let (first, second) = (
            compress(codec, None, b"abc").unwrap(),
            compress(codec, None, b"def").unwrap(),
        );
        assert_eq!(
            decompress(codec, &[first, second].concat(), LIMIT).unwrap(),
            b"abcdef".as_slice(),
            "{codec:?}"
        );
    }
}

#[test]
fn zstd_without_a_size_in_its_frame_is_read() {
    let data = text(300_000);
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&data).unwrap();
    let compressed = encoder.finish().unwrap();
    assert_eq!(decompress(Compression::Zstd, &compressed, LIMIT).unwrap(), data);
    let too_large = Err(CodecError::TooLarge {
        codec: Compression::Zstd,
        limit: 299_999,
    });
    assert_eq!(decompress(Compression::Zstd, &compressed, 299_999), too_large);
}

#[test]
fn cut_off_data_is_broken_or_short() {
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let data = text(5000);
        let compressed = compress(codec, None, &data).unwrap();
        for end in 0..compressed.len() {
            // LZ4's decoder takes a frame without its end mark: what comes out is checked by the reader of records.
            if let Ok(out) = decompress(codec, &compressed[..end], LIMIT) {
                assert!(out.is_empty() || codec == Compression::Lz4, "{codec:?} {end}");
            }
        }
    }
}

#[test]
fn levels_are_checked() {
    for (codec, level) in [
        (Compression::Gzip, 0),
        (Compression::Gzip, 10),
        (Compression::Zstd, 23),
    ] {
        assert!(
            matches!(compress(codec, Some(level), b"x"), Err(CodecError::Level { .. })),
            "{codec:?} {level}"
        );
    }
    for (codec, level) in [
        (Compression::Gzip, 9),
        (Compression::Zstd, -5),
        (Compression::Zstd, 22),
    ] {
        let compressed = compress(codec, Some(level), &text(10_000)).unwrap();
        assert_eq!(
            decompress(codec, &compressed, LIMIT).unwrap(),
            text(10_000),
            "{codec:?} {level}"
        );
    }
}

fn any_codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(CODECS.to_vec())
}

proptest! {
    #[test]
    fn everything_comes_back(
        codec in any_codec(),
        noise in proptest::collection::vec(any::<u8>(), 0..3000),
        repeat in 0_usize..60,
    ) {
        let data = noise.repeat(repeat);
        let compressed = compress(codec, None, &data).unwrap();
        prop_assert_eq!(decompress(codec, &compressed, LIMIT).unwrap(), data);
    }

    #[test]
    fn hostile_bytes_never_panic_nor_exceed_the_limit(
        (codec, bytes) in any_codec().prop_flat_map(|codec| {
            (Just(codec), hostile(compress(codec, None, &text(3000)).unwrap()))
        }),
    ) {
        if let Ok(out) = decompress(codec, &bytes, 2000) {
            prop_assert!(out.len() <= 2000);
        }
    }
}
