use super::*;

#[test]
fn fields_are_read_in_order_and_errors_say_where() {
    let mut reader = Reader::new("thing", &[1, 0, 2, 0, 0, 0, 3, 0xff], 100);
    assert_eq!(reader.u8("first"), Ok(1));
    assert_eq!(reader.u16("second"), Ok(2));
    assert_eq!(reader.u32("third"), Ok(3));
    assert_eq!(reader.left(), 1);
    let error = reader.u64("fourth").unwrap_err();
    assert_eq!(
        error.to_string(),
        "thing: byte 107: fourth needs 8 bytes, 1 are left"
    );
    assert_eq!(reader.at(), 107);
    assert_eq!(
        reader.end().unwrap_err().to_string(),
        "thing: 1 bytes follow after its end at byte 107"
    );
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused() {
    let bytes = [0, 0, 0, 2, 9, 9, 9, 9, 9];
    assert_eq!(Reader::new("thing", &bytes, 0).count("elements", 2), Ok(2));
    let error = Reader::new("thing", &bytes, 0).count("elements", 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "thing: byte 0: 2 elements cannot lie in the 5 bytes that follow"
    );
    assert!(Reader::new("thing", &[0xff; 8], 0).count("elements", 1).is_err());
}

#[test]
fn text_must_be_utf_8_and_complete() {
    assert_eq!(
        Reader::new("thing", &[0, 2, 0xc3, 0xb6], 0).text16("name"),
        Ok("ö")
    );
    let error = Reader::new("thing", &[0, 1, 0xc3], 0).text16("name").unwrap_err();
    assert_eq!(error.to_string(), "thing: byte 2: a text is not UTF-8");
    assert!(matches!(
        Reader::new("thing", &[0, 9, 0], 0).text16("name"),
        Err(FormatError::Truncated { .. })
    ));
}

#[test]
fn magic_version_and_reserved_bytes_are_checked() {
    let error = Reader::new("thing", b"ABC\0", 0).magic(*b"ABCD").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"thing: byte 0: the magic is "ABC\x00", not "ABCD""#
    );
    let error = Reader::new("thing", &[0, 9], 4).version(1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "thing: byte 4: version 9 is not supported, only 1 is"
    );
    assert!(Reader::new("thing", &[0, 1], 0).reserved::<2>().is_err());
}

#[test]
fn a_trailing_checksum_covers_all_before_it() {
    let mut bytes = b"abc".to_vec();
    bytes.extend_from_slice(&crc32c(b"abc").to_be_bytes());
    let mut reader = Reader::with_trailing_crc("thing", &bytes).unwrap();
    assert_eq!(reader.slice("all", 3), Ok(b"abc".as_slice()));
    assert_eq!(reader.end(), Ok(()));
    bytes[1] ^= 1;
    assert!(matches!(
        Reader::with_trailing_crc("thing", &bytes),
        Err(FormatError::Checksum { at: 3, .. })
    ));
    assert!(matches!(
        Reader::with_trailing_crc("thing", &[0; 3]),
        Err(FormatError::Truncated { .. })
    ));
}
