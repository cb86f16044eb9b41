use super::*;

/// Reads `text` as an item; its JSON afterwards, or the exception's message behind `!` (at once) or `?` (told later).
fn read(text: &str) -> String {
    let mut builder = ItemBuilder::new();
    // A builder that saw an error before is as good as a new one.
    let _ = AttributeReader::new(&mut builder).item(&mut Reader::new(r#"{"a":{"L":[{"N":"x"}]}}"#));
    let mut reader = Reader::new(text);
    match AttributeReader::new(&mut builder).item(&mut reader) {
        Err(Failure(error)) => format!("!{}", error.message),
        Ok(Err(error)) => {
            assert_eq!(error.code, Code::Validation);
            if reader.end().is_err() {
                return "!".to_owned();
            }
            format!("?{}", error.message)
        }
        Ok(Ok(item)) => {
            if reader.end().is_err() {
                return "!".to_owned();
            }
            let mut out = Vec::new();
            write_item(&mut out, ItemRef::check(&item).expect("what was built is sound"));
            String::from_utf8(out).expect("JSON is UTF-8")
        }
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(read(text), expected, "{text}");
}

/// One value that comes back as it was.
fn same(value: &str) {
    let item = format!(r#"{{"a":{value}}}"#);
    check(&item, &item);
}

/// One value that is refused at once (`!`) or later (`?`).
fn refused(value: &str, message: &str) {
    check(&format!(r#"{{"a":{value}}}"#), message);
}

#[test]
fn values_come_back() {
    for value in [
        r#"{"S":""}"#,
        r#"{"S":"aé€😀\n\"\\\u0001"}"#,
        r#"{"N":"0"}"#,
        r#"{"N":"-12.5"}"#,
        r#"{"B":""}"#,
        r#"{"B":"AAECAwQ="}"#,
        r#"{"BOOL":true}"#,
        r#"{"BOOL":false}"#,
        r#"{"NULL":true}"#,
        r#"{"M":{}}"#,
        r#"{"L":[]}"#,
        r#"{"M":{"b":{"L":[{"M":{"c":{"S":"d"}}},{"N":"1"}]}}}"#,
        r#"{"SS":["a","b"]}"#,
        r#"{"NS":["-1","2"]}"#,
        r#"{"BS":["AA==","AQ=="]}"#,
    ] {
        same(value);
    }
}

#[test]
fn what_is_written_is_the_normal_form() {
    check("{}", "{}");
    check(r#" { "b" : { "S" : "1" } , "a" : { "N" : "01.50" } } "#, r#"{"a":{"N":"1.5"},"b":{"S":"1"}}"#);
    check(r#"{"a":{"N":"1E3"}}"#, r#"{"a":{"N":"1000"}}"#);
    check(r#"{"a":{"NS":["3","1","2.0"]}}"#, r#"{"a":{"NS":["1","2","3"]}}"#);
    check(r#"{"a":{"S":"1"},"a":{"S":"2"}}"#, r#"{"a":{"S":"2"}}"#);
    check(r#"{"a":{"S":"1","X":[1,{}],"N":null}}"#, r#"{"a":{"S":"1"}}"#);
    check(r#"{"\u0061":{"\u0053":"\u0031"}}"#, r#"{"a":{"S":"1"}}"#);
}

#[test]
fn wrong_json_types_end_the_request() {
    for (value, message) in [
        (r#""x""#, "!Unexpected value type in payload"),
        ("1", "!Unexpected value type in payload"),
        ("[]", "!Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"),
        (r#"{"S":1}"#, "!NUMBER_VALUE cannot be converted to String"),
        (r#"{"S":1.5}"#, "!DECIMAL_VALUE cannot be converted to String"),
        (r#"{"S":true}"#, "!TRUE_VALUE cannot be converted to String"),
        (r#"{"N":false}"#, "!FALSE_VALUE cannot be converted to String"),
        (r#"{"N":1}"#, "!NUMBER_VALUE cannot be converted to String"),
        (r#"{"S":[]}"#, "!Unrecognized collection type class java.lang.String"),
        (r#"{"S":{}}"#, "!Start of structure or map found where not expected"),
        (r#"{"BOOL":"true"}"#, "!Unexpected token received from parser"),
        (r#"{"BOOL":1}"#, "!NUMBER_VALUE cannot be converted to Boolean"),
        (r#"{"NULL":[]}"#, "!Unrecognized collection type class java.lang.Boolean"),
        (r#"{"B":1}"#, "!only base-64-encoded strings are convertible to bytes"),
        (r#"{"B":[]}"#, "!Unrecognized collection type class java.nio.ByteBuffer"),
        (r#"{"B":{}}"#, "!Start of structure or map found where not expected"),
        (
            r#"{"M":[]}"#,
            "!Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        (r#"{"M":"x"}"#, "!Unexpected field type"),
        (r#"{"L":{}}"#, "!Start of structure or map found where not expected"),
        (r#"{"L":1}"#, "!Unexpected field type"),
        (r#"{"L":[1]}"#, "!Unexpected value type in payload"),
        (r#"{"SS":"a"}"#, "!Unexpected field type"),
        (r#"{"SS":[1]}"#, "!NUMBER_VALUE cannot be converted to String"),
        (r#"{"NS":[1]}"#, "!NUMBER_VALUE cannot be converted to String"),
        (r#"{"BS":[1]}"#, "!only base-64-encoded strings are convertible to bytes"),
    ] {
        refused(value, message);
    }
    check(r#"{"a":{"S":"x"}"#, "!");
    check("[]", "!");
}

#[test]
fn base64_is_strict() {
    let decoded = |text: &str| read(&format!(r#"{{"a":{{"B":"{text}"}}}}"#));
    for text in ["AA=", "A", "AAAAA"] {
        let message =
            format!("!Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len());
        assert_eq!(decoded(text), message);
    }
    for text in ["A===", "=AAA", "AA=A", "AB==", "AAB="] {
        assert_eq!(decoded(text), "!Invalid last non-pad Base64 character dectected", "{text}");
    }
    assert_eq!(decoded("AA-_"), "!Invalid Base64 character: '-'");
    assert_eq!(decoded("AA A"), "!Invalid Base64 character: ' '");
}

#[test]
fn values_that_are_none_are_told_later() {
    for (value, message) in [
        ("{}", EMPTY),
        (r#"{"S":null}"#, EMPTY),
        (r#"{"X":"y"}"#, EMPTY),
        ("null", EMPTY),
        (r#"{"L":[null]}"#, EMPTY),
        (r#"{"M":{"b":null}}"#, EMPTY),
        (r#"{"M":{"b":{}}}"#, EMPTY),
        (r#"{"S":"a","N":"1"}"#, MORE_THAN_ONE),
        (r#"{"NULL":true,"M":{}}"#, MORE_THAN_ONE),
        (r#"{"NULL":false}"#, NOT_TRUE),
        (r#"{"SS":[null]}"#, NULL_ELEMENT),
        (r#"{"SS":[]}"#, "One or more parameter values were invalid: An string set  may not be empty"),
        (r#"{"NS":[]}"#, "One or more parameter values were invalid: An number set  may not be empty"),
        (r#"{"BS":[]}"#, "One or more parameter values were invalid: Binary sets should not be empty"),
        (
            r#"{"SS":["a","a"]}"#,
            "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
        ),
        (r#"{"NS":["1","1.0"]}"#, "Input collection contains duplicates"),
        (r#"{"N":"x"}"#, "The parameter cannot be converted to a numeric value: x"),
        (r#"{"N":""}"#, "The parameter cannot be converted to a numeric value"),
        (
            r#"{"N":"1E1000000"}"#,
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
    ] {
        refused(value, &format!("?{message}"));
    }
}

#[test]
fn what_is_wrong_first_is_told_but_types_are_checked_to_the_end() {
    check(r#"{"a":{},"b":{"N":"x"}}"#, &format!("?{EMPTY}"));
    check(r#"{"a":{},"b":{"S":1}}"#, "!NUMBER_VALUE cannot be converted to String");
    check(
        r#"{"a":{},"b":{"B":"A"}}"#,
        "!Base64 encoded length is expected a multiple of 4 bytes but found: 1",
    );
    check(r#"{"a":{"N":"x"},"b":"#, "!");
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| {
        let (open, close) = (r#"{"L":["#.repeat(levels), "]}".repeat(levels));
        read(&format!(r#"{{"a":{open}{close}}}"#))
    };
    assert!(nested(32).starts_with(r#"{"a":"#));
    assert_eq!(nested(33), "?Nesting Levels have exceeded supported limits");
    assert_eq!(nested(10_000), "!");
}

/// Random changes to a valid item never panic, and what is accepted comes back as written.
#[test]
fn mutated_items_are_survived() {
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    let whole = r#"{"a":{"S":"xé\n"},"b":{"N":"1e5"},"c":{"L":[{"B":"AAE="},{"M":{"d":{"NULL":true}}}]},"e":{"NS":["1","2"]}}"#;
    let mut accepted = 0;
    for _ in 0..50_000 {
        let mut bytes = whole.as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = br#"{}[]":,\SNBLM019ex"#[random(18)],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, br#"{}[]":,\SNBLM019ex"#[random(18)]),
            }
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        let once = read(text.get(..text.len()).expect("whole"));
        if once.starts_with('{') {
            accepted += 1;
            check(&once, &once);
        }
    }
    assert!(accepted > 1000, "only {accepted} of the mutated items were valid");
}
