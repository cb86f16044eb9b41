use super::*;
use crate::request::tables;
use model::item::ItemBuilder;

fn check_with(shape: &'static Structure, body: &str, expected: &[&str]) {
    let parameters =
        Parameters::decode(body.as_bytes(), shape, &mut ItemBuilder::new()).expect("it is well-typed");
    let message = super::check(&parameters).map_err(|error| error.message);
    if expected.is_empty() {
        return assert_eq!(message, Ok(()), "{body}");
    }
    let plural = if expected.len() == 1 { "" } else { "s" };
    let all = format!("{} validation error{plural} detected: {}", expected.len(), expected.join("; "));
    assert_eq!(message, Err(all), "{body}");
}

#[test]
fn names_of_tables() {
    let check = |name: &str, expected: &[&str]| {
        check_with(&tables::GET_ITEM, &format!(r#"{{"TableName":"{name}","Key":{{}}}}"#), expected);
    };
    const PATTERN: &str = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
    check("abc", &[]);
    check(&"a".repeat(255), &[]);
    check("arn:aws:dynamodb:us-east-1:000000000000:table/abc", &[]);
    let short = "Value 'ab' at 'tableName' failed to satisfy constraint: \
                 Member must have length greater than or equal to 3";
    check("ab", &[short]);
    check("abc;", &[&format!("Value 'abc;' at 'tableName' failed to satisfy constraint: {PATTERN}")]);
    check(
        "",
        &[
            &format!("Value '' at 'tableName' failed to satisfy constraint: {PATTERN}"),
            "Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
        ],
    );
    let long = "a".repeat(256);
    check(
        &long,
        &[&format!(
            "Value '{long}' at 'tableName' failed to satisfy constraint: Member must have length less than or equal to 255"
        )],
    );
}

#[test]
fn all_violations_are_told_together() {
    check_with(
        &tables::SCAN,
        r#"{"Limit":0,"ReturnConsumedCapacity":"hi","Segment":-1,"TotalSegments":1000001,"AttributesToGet":[]}"#,
        &[
            "Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1",
            "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
            "Value 'hi' at 'returnConsumedCapacity' failed to satisfy constraint: \
             Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
            "Value '-1' at 'segment' failed to satisfy constraint: Member must have value greater than or equal to 0",
            "Value null at 'tableName' failed to satisfy constraint: Member must not be null",
            "Value '1000001' at 'totalSegments' failed to satisfy constraint: \
             Member must have value less than or equal to 1000000",
        ],
    );
}

#[test]
fn nested_members_are_named() {
    check_with(
        &tables::CREATE_TABLE,
        r#"{"TableName":"abc","KeySchema":[{"AttributeName":"","KeyType":"X"},{}],"AttributeDefinitions":[]}"#,
        &[
            "Value '' at 'keySchema.1.member.attributeName' failed to satisfy constraint: \
             Member must have length greater than or equal to 1",
            "Value 'X' at 'keySchema.1.member.keyType' failed to satisfy constraint: \
             Member must satisfy enum value set: [HASH, RANGE]",
            "Value null at 'keySchema.2.member.attributeName' failed to satisfy constraint: Member must not be null",
            "Value null at 'keySchema.2.member.keyType' failed to satisfy constraint: Member must not be null",
        ],
    );
    check_with(
        &tables::BATCH_GET_ITEM,
        r#"{"RequestItems":{"abc":{}}}"#,
        &[
            "Value null at 'requestItems.abc.member.keys' failed to satisfy constraint: Member must not be null",
        ],
    );
}

#[test]
fn maps_of_tables() {
    check_with(
        &tables::BATCH_WRITE_ITEM,
        r#"{"RequestItems":{}}"#,
        &[
            "Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ],
    );
    check_with(
        &tables::BATCH_WRITE_ITEM,
        r#"{"RequestItems":{"abc":[]}}"#,
        &[
            "Value '{abc=[]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: \
           [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
        ],
    );
    check_with(
        &tables::BATCH_WRITE_ITEM,
        r#"{"RequestItems":{"a;":[{"DeleteRequest":{"Key":{"k":{"S":"x"}}}}]}}"#,
        &[
            "Value '{a;=[WriteRequest(deleteRequest=DeleteRequest(key={k=AttributeValue(s=x, n=null, b=null, sS=null, \
           nS=null, bS=null, m=null, l=null, nULL=null, bOOL=null)}), putRequest=null)]}' at 'requestItems' failed to \
           satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 255, \
           Member must have length greater than or equal to 3, \
           Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]",
        ],
    );
}

#[test]
fn messages_are_bounded() {
    let body = format!(r#"{{"TableName":"{}","Key":{{}}}}"#, "é".repeat(1 << 20));
    let parameters = Parameters::decode(body.as_bytes(), &tables::GET_ITEM, &mut ItemBuilder::new());
    let message = super::check(&parameters.expect("it is well-typed")).expect_err("it is too long").message;
    assert!(message.len() < 3 * SHOWN_BYTES_MAX, "{} bytes", message.len());
    let many: Vec<String> = (0..1000).map(|_| "{}".to_owned()).collect();
    let body = format!(r#"{{"TableName":"abc","KeySchema":[{}],"AttributeDefinitions":[]}}"#, many.join(","));
    let parameters = Parameters::decode(body.as_bytes(), &tables::CREATE_TABLE, &mut ItemBuilder::new());
    let message =
        super::check(&parameters.expect("it is well-typed")).expect_err("members are missing").message;
    assert!(message.starts_with("10 validation errors detected: "), "{message}");
}

#[test]
fn names_of_attributes_are_bounded() {
    let check = |name: usize, accepted: bool| {
        for item in [r#"{"N":{"S":"x"}}"#, r#"{"a":{"L":[{"M":{"N":{"S":"x"}}}]}}"#] {
            let item = item.replace('N', &"n".repeat(name));
            let body = format!(r#"{{"TableName":"abc","Item":{item}}}"#);
            let parameters = Parameters::decode(body.as_bytes(), &tables::PUT_ITEM, &mut ItemBuilder::new());
            let answer = super::check(&parameters.expect("it is well-typed"));
            assert_eq!(answer.is_ok(), accepted, "{name} bytes");
            let rule =
                "Map keys must satisfy constraint: [Member must have length less than or equal to 65535]";
            assert!(answer.err().is_none_or(|error| error.message.ends_with(rule)));
        }
    };
    check(65_535, true);
    check(65_536, false);
}
