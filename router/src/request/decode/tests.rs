use super::*;
use crate::request::tables;

fn decode_with<'a>(shape: &'static Structure, body: &'a str) -> Result<Parameters<'a>, String> {
    Parameters::decode(body.as_bytes(), shape, &mut ItemBuilder::new()).map_err(|error| {
        assert_eq!(error.code, model::error::Code::Serialization);
        error.message
    })
}

fn refused(shape: &'static Structure, body: &str, message: &str) {
    assert_eq!(decode_with(shape, body).map(|_| ()), Err(message.to_owned()), "{body}");
}

#[test]
fn members_are_taken_by_name() {
    let body = r##"{"TableName":"t\u0061","Limit":7,"ConsistentRead":true,"ExclusiveStartKey":{"a":{"S":"b"}},
        "ExpressionAttributeNames":{"#b":"y","#a":"x","#b":"z"},"AttributesToGet":["p","q"],"Unknown":{"a":[1]},
        "Select":null}"##;
    let mut parameters = decode_with(&tables::SCAN, body).expect("it is well-typed");
    assert_eq!(parameters.text("TableName").as_deref(), Some("ta"));
    assert_eq!(parameters.integer("Limit"), Some(7));
    assert_eq!(parameters.boolean("ConsistentRead"), Some(true));
    assert!(parameters.item("ExclusiveStartKey").is_some_and(|item| item.is_ok()));
    assert_eq!(parameters.text("Select"), None);
    let names = parameters.map("ExpressionAttributeNames").expect("given");
    let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
    assert_eq!(names, [("#a".into(), text("x")), ("#b".into(), text("z"))]);
    let left = parameters.clone().finish().map_err(|error| error.message);
    assert_eq!(left, Err("torc does not support AttributesToGet yet".to_owned()));
    assert_eq!(parameters.list("AttributesToGet"), Some(vec![text("p"), text("q")]));
    assert_eq!(parameters.text("TableName"), None, "what was taken is absent");
    assert_eq!(parameters.finish(), Ok(()));
}

#[test]
fn numbers_are_cut_and_clamped() {
    let limit = |number: &str| {
        let body = format!(r#"{{"Limit":{number}}}"#);
        let number = decode_with(&tables::SCAN, &body).expect("a number").integer("Limit");
        number.expect("given")
    };
    assert_eq!(limit("5"), 5);
    assert_eq!(limit("5.9"), 5);
    assert_eq!(limit("-5.9"), -5);
    assert_eq!(limit("1e2"), 100);
    assert_eq!(limit("99999999999"), i64::from(i32::MAX));
    assert_eq!(limit("-1e400"), i64::from(i32::MIN));
}

#[test]
fn wrong_json_types() {
    let scan = &tables::SCAN;
    refused(scan, "", "");
    refused(scan, "{", "");
    refused(scan, "{}x", "");
    refused(scan, "\"a\"", "");
    refused(scan, "[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ScanInput");
    for (member, value, message) in [
        ("TableName", "1", "NUMBER_VALUE cannot be converted to String"),
        ("TableName", "1.0", "DECIMAL_VALUE cannot be converted to String"),
        ("TableName", "[]", "Unrecognized collection type class java.lang.String"),
        ("Limit", r#""1""#, "STRING_VALUE cannot be converted to Integer"),
        ("Limit", "true", "TRUE_VALUE cannot be converted to Integer"),
        ("Limit", "{}", "Start of structure or map found where not expected"),
        ("Limit", "[]", "Unrecognized collection type class java.lang.Integer"),
        ("ConsistentRead", r#""true""#, "Unexpected token received from parser"),
        ("ConsistentRead", "1", "NUMBER_VALUE cannot be converted to Boolean"),
        ("AttributesToGet", "{}", "Start of structure or map found where not expected"),
        ("AttributesToGet", r#""a""#, "Unexpected field type"),
        ("AttributesToGet", "[1]", "NUMBER_VALUE cannot be converted to String"),
        ("ExpressionAttributeNames", r#""a""#, "Unexpected field type"),
        (
            "ExpressionAttributeNames",
            "[]",
            "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>",
        ),
        (
            "ExclusiveStartKey",
            "[]",
            "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        ("ExclusiveStartKey", "7", "Unexpected field type"),
        ("ExpressionAttributeValues", r#"{":a":1}"#, "Unexpected value type in payload"),
        ("ScanFilter", r#"{"a":1}"#, "Unexpected value type in payload"),
        (
            "ScanFilter",
            r#"{"a":[]}"#,
            "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Condition",
        ),
    ] {
        refused(scan, &format!(r#"{{"{member}":{value}}}"#), message);
    }
    refused(&tables::CREATE_TABLE, r#"{"ProvisionedThroughput":1}"#, "Unexpected field type");
    refused(&tables::PUT_ITEM, r#"{"Expected":{"a":{"Value":1}}}"#, "Unexpected field type");
    refused(
        &tables::BATCH_WRITE_ITEM,
        r#"{"RequestItems":[]}"#,
        "Unrecognized collection type java.util.Map<java.lang.String, java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>>",
    );
}

#[test]
fn what_is_wrong_inside_values_is_kept() {
    let body = r#"{"Item":{"a":{"N":"x"}},"TableName":"abc"}"#;
    let mut parameters = decode_with(&tables::PUT_ITEM, body).expect("it is well-typed");
    let item = parameters.item("Item").expect("given");
    assert!(item.is_err_and(|error| error.message.contains("numeric value: x")));
    assert_eq!(parameters.text("TableName").as_deref(), Some("abc"));
}
