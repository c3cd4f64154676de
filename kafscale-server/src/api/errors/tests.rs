use super::*;

fn code(kind: ErrorKind, asked: Asked) -> ErrorCode {
    error_code(&Error::new(kind, "x"), asked)
}

#[test]
fn an_unavailable_store_is_named_as_the_operations_guide_names_it() {
    assert_eq!(
        code(ErrorKind::Unavailable, Asked::Records),
        ErrorCode::KafkaStorageError
    );
    assert_eq!(
        code(ErrorKind::Unavailable, Asked::Admin),
        ErrorCode::RequestTimedOut
    );
    assert_eq!(
        code(ErrorKind::Unavailable, Asked::Group),
        ErrorCode::RequestTimedOut
    );
}

#[test]
fn a_broker_that_was_replaced_sends_clients_to_look_for_the_new_one() {
    for kind in [ErrorKind::Fenced, ErrorKind::Closed] {
        for asked in [Asked::Records, Asked::Admin, Asked::Group] {
            assert!(code(kind, asked).retriable(), "{kind:?} {asked:?}");
        }
    }
}

#[test]
fn what_a_producer_must_not_send_again_is_not_retriable() {
    for kind in [
        ErrorKind::InvalidRecord,
        ErrorKind::TooLarge,
        ErrorKind::InvalidTimestamp,
        ErrorKind::UnsupportedFormat,
    ] {
        assert!(!code(kind, Asked::Records).retriable(), "{kind:?}");
    }
}
