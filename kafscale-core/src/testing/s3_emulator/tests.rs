use super::{http_date, iso_date};

#[test]
fn dates_are_those_of_the_calendar() {
    assert_eq!(iso_date(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(iso_date(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
    assert_eq!(http_date(1_709_210_096_789), "Thu, 29 Feb 2024 12:34:56 GMT");
}
