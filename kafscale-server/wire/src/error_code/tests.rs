#![allow(clippy::unwrap_used, clippy::expect_used)]

use kafka_protocol::ResponseError;

use super::*;

#[test]
fn numbers_go_there_and_back() {
    for &error in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_code(error.code()), Some(error));
    }
    assert_eq!(ErrorCode::from_code(-2), None);
    assert_eq!(ErrorCode::from_code(134), None);
}

#[test]
fn the_numbers_from_minus_one_to_133_have_no_hole() {
    let codes: Vec<i16> = ErrorCode::ALL.iter().map(|error| error.code()).collect();
    assert_eq!(codes, (-1..=133).collect::<Vec<i16>>());
}

#[test]
fn names_are_the_variant_names_in_capitals() {
    for error in ErrorCode::ALL {
        assert_eq!(error.name().replace('_', ""), format!("{error:?}").to_uppercase());
    }
}

#[test]
fn the_codec_knows_the_same_errors_by_the_same_numbers() {
    for error in ErrorCode::ALL.iter().filter(|error| !error.is_none()) {
        let theirs = ResponseError::try_from_code(error.code()).unwrap();
        assert_eq!(format!("{theirs:?}"), format!("{error:?}"));
        // Retriable in Kafka since 3.x; the codec's table is older than that change.
        if *error != ErrorCode::ConcurrentTransactions {
            assert_eq!(theirs.is_retriable(), error.retriable(), "{error}");
        }
    }
}
