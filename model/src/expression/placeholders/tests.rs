use super::*;

#[test]
fn each_must_be_used() {
    let mut placeholders = Placeholders::new();
    placeholders.set_names([("#a", "x"), ("#b", "y"), ("#c", "z")]).unwrap();
    placeholders.set_values([(":v", &b"value"[..]), (":w", &b"other"[..])]).unwrap();
    assert_eq!(placeholders.name("#b"), Some("y"));
    assert_eq!(placeholders.name("#d"), None);
    let refused = placeholders.check_all_used().unwrap_err().message;
    assert_eq!(refused, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #c}");

    assert!(placeholders.name("#a").is_some() && placeholders.name("#c").is_some());
    let refused = placeholders.check_all_used().unwrap_err().message;
    assert_eq!(refused, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v, :w}");

    assert_eq!(placeholders.value(":v").as_deref(), Some(&b"value"[..]));
    assert!(placeholders.value(":w").is_some());
    assert_eq!(placeholders.value(":x"), None);
    placeholders.check_all_used().unwrap();
    Placeholders::new().check_all_used().unwrap();
}

#[test]
fn keys_have_a_syntax() {
    for key in ["", "#", "a", ":a", "#a-b", "#a b", "##a", "#é", "#a.b"] {
        let refused = Placeholders::new().set_names([(key, "x")]).unwrap_err().message;
        let expected = format!("ExpressionAttributeNames contains invalid key: Syntax error; key: \"{key}\"");
        assert_eq!(refused, expected);
    }
    for key in ["", ":", "a", "#a", ":a-b"] {
        let refused = Placeholders::new().set_values([(key, &b""[..])]).unwrap_err().message;
        let expected =
            format!("ExpressionAttributeValues contains invalid key: Syntax error; key: \"{key}\"");
        assert_eq!(refused, expected);
    }
    Placeholders::new().set_names([("#1_A", "x"), ("#_", "y")]).unwrap();
}

#[test]
fn an_empty_parameter_is_refused() {
    let refused = Placeholders::new().set_names([]).unwrap_err().message;
    assert_eq!(refused, "ExpressionAttributeNames must not be empty");
    let refused = Placeholders::new().set_values([]).unwrap_err().message;
    assert_eq!(refused, "ExpressionAttributeValues must not be empty");
}

#[test]
fn names_have_a_size() {
    let longest = "a".repeat(65_535);
    Placeholders::new().set_names([("#a", longest.as_str())]).unwrap();
    let refused = |name: &str| Placeholders::new().set_names([("#a", name)]).unwrap_err().message;
    let large = "1 validation error detected: Attribute name is too large, must be less than 65536 bytes";
    assert_eq!(refused(&"a".repeat(65_536)), large);
    assert_eq!(refused(""), "ExpressionAttributeNames contains invalid value: Empty attribute name; key: #a");
}

#[test]
fn values_have_a_total_size() {
    let half = vec![7; EXPRESSION_VALUES_BYTES_MAX / 2];
    Placeholders::new().set_values([(":a", &half[..]), (":b", &half[..])]).unwrap();
    let refused = Placeholders::new().set_values([(":a", &half[..]), (":b", &half[..]), (":c", &half[..1])]);
    let expected = "ExpressionAttributeValues has exceeded the maximum allowed size; size: 2097153";
    assert_eq!(refused.unwrap_err().message, expected);
}
