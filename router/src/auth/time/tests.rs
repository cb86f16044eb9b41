use super::*;

#[test]
fn basic_times_come_back() {
    for (seconds, text) in [
        (0, "19700101T000000Z"),
        (951_782_400, "20000229T000000Z"),
        (1_440_938_160, "20150830T123600Z"),
        (4_107_542_399, "21000228T235959Z"),
        (253_402_300_799, "99991231T235959Z"),
    ] {
        assert_eq!((basic(seconds).as_str(), parse_basic(text)), (text, Some(seconds)));
    }
    for day in 0..100_000 {
        assert_eq!(parse_basic(&basic(day * DAY_SECONDS + day)), Some(day * DAY_SECONDS + day));
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "20150830",
        "20150830T123600",
        "20150830T123600z",
        "20150830t123600Z",
        "2015083 T123600Z",
        "20150229T000000Z",
        "20150431T000000Z",
        "20151301T000000Z",
        "20150001T000000Z",
        "20150100T000000Z",
        "20150830T240000Z",
        "20150830T006000Z",
        "20150830T000060Z",
        "19691231T235959Z",
        "2015-08-30T12:36:00Z",
        "20150830T12360\u{e9}",
    ] {
        assert_eq!(parse_basic(text), None, "{text}");
    }
}

#[test]
fn http_times() {
    assert_eq!(parse_http("Sun, 30 Aug 2015 12:36:00 GMT"), Some(1_440_938_160));
    for text in [
        "",
        "Sun, 30 Aug 2015 12:36:00 UTC",
        "Sun, 30 Abc 2015 12:36:00 GMT",
        "Sun, 31 Feb 2015 12:36:00 GMT",
        "Sunday, 30-Aug-15 12:36:00 GMT",
        "Sun,  30 Aug 2015 12:36:0 GMT",
        "Sun, 30 Aug 2015 12-36-00 GMT",
    ] {
        assert_eq!(parse_http(text), None, "{text}");
    }
}
