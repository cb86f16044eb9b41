use super::*;
use crate::{
    expression::testing::{schema, show, value, with_values},
    item::Value,
    key::KeyType,
};

fn parse(text: &str, schema: &KeySchema) -> Result<KeyCondition, ApiError> {
    const VALUES: &str = "{p: 'x', q: 'y', n: 5, m: 7, b: b'z', e: '', f: b'', l: [1]}";
    with_values(VALUES, |placeholders| parse_key_condition(text, placeholders, schema))
}

fn check_with(schema: &KeySchema, text: &str, expected: &str) {
    let shown = |encoded: &[u8]| show(&Value::from(ValueRef::check(encoded).unwrap()));
    let found = match parse(text, schema) {
        Err(error) => error.message,
        Ok(condition) => {
            let sort = condition.sort.as_ref().map(|sort| {
                let values: Vec<_> = sort.values().map(shown).collect();
                let name = format!("{sort:?}");
                format!(" {} {}", &name[..name.find('(').unwrap()], values.join(" "))
            });
            format!("{}{}", shown(&condition.partition), sort.unwrap_or_default())
        }
    };
    assert_eq!(found, expected, "{text}");
}

fn check(text: &str, expected: &str) {
    check_with(&schema(), text, expected);
}

fn without_sort() -> KeySchema {
    KeySchema { sort: None, ..schema() }
}

fn with_sort(kind: KeyType) -> KeySchema {
    let mut schema = schema();
    schema.sort.as_mut().unwrap().kind = kind;
    schema
}

#[test]
fn conditions() {
    check("pk = :p", "'x'");
    check(":p = pk", "'x'");
    check("#pk = :p", "'x'");
    check("(pk = :p)", "'x'");
    check("pk = :p AND sk = :n", "'x' Equal 5");
    check("sk < :n AND pk = :p", "'x' Less 5");
    check("pk = :p and #sk <= :n", "'x' LessOrEqual 5");
    check("(pk = :p) AND (sk > :n)", "'x' Greater 5");
    check("( pk = :p AND sk >= :n )", "'x' GreaterOrEqual 5");
    check("pk = :p AND :n < sk", "'x' Greater 5");
    check("pk = :p AND :n >= sk", "'x' LessOrEqual 5");
    check("pk = :p AND sk BETWEEN :n AND :m", "'x' Between 5 7");
    check_with(&with_sort(KeyType::S), "begins_with(sk, :q) AND pk = :p", "'x' BeginsWith 'y'");
    check_with(&with_sort(KeyType::B), "begins_with(sk, :b) AND pk = :p", "'x' BeginsWith b'z'");
}

#[test]
fn operators_that_select_nothing() {
    let refused = |operator: &str| format!("Invalid operator used in KeyConditionExpression: {operator}");
    check("pk = :p OR sk = :n", &refused("OR"));
    check("NOT pk = :p", &refused("NOT"));
    check("pk = :p AND sk <> :n", &refused("<>"));
    check("pk IN (:p)", &refused("IN"));
    check("pk = :p AND attribute_exists(sk)", &refused("attribute_exists"));
    check("pk = :p AND attribute_not_exists(sk)", &refused("attribute_not_exists"));
    check("pk = :p AND contains(sk, :p)", &refused("contains"));
    check("pk = :p AND size(sk) = :n", &refused("size"));
    check("pk = :p AND sk BETWEEN :n AND size(a)", &refused("size"));
    check("pk > :p", "Query key condition not supported");
    check("begins_with(pk, :p) AND sk = :n", "Query key condition not supported");
    check_with(&without_sort(), "pk = :p AND sk = :n", "Query key condition not supported");
}

#[test]
fn attributes() {
    check("sk = :n", "Query condition missed key schema element: pk");
    check("a = :p AND sk = :n", "Query condition missed key schema element: pk");
    check("pk = :p AND a = :n", "Query condition missed key schema element: sk");
    check("pk = :p AND pk = :q", "KeyConditionExpressions must only contain one condition per key");
    check(
        "pk = :p AND sk > :n AND sk < :m",
        "KeyConditionExpressions must only contain one condition per key",
    );
    check("pk = :p AND sk = :n AND a = :n", "Conditions can be of length 1 or 2 only");
    check("pk.a = :p", "KeyConditionExpressions cannot have conditions on nested attributes");
    check("pk = :p AND sk[0] = :n", "KeyConditionExpressions cannot have conditions on nested attributes");
    let invalid = "Invalid condition in KeyConditionExpression";
    check("pk = :p AND sk = a", &format!("{invalid}: multiple attribute names used in one condition"));
    check(
        "pk = :p AND begins_with(sk, a)",
        &format!("{invalid}: multiple attribute names used in one condition"),
    );
    check("pk = :p AND :n = :m", &format!("{invalid}: No key attribute specified"));
    check("pk = :p AND :n BETWEEN :n AND :m", &format!("{invalid}: No key attribute specified"));
    let first = "operator must have the key attribute as its first operand";
    check("pk = :p AND :n BETWEEN :n AND sk", &format!("{invalid}: BETWEEN {first}"));
    check("pk = :p AND begins_with(:p, sk)", &format!("{invalid}: begins_with {first}"));
}

#[test]
fn types_and_sizes() {
    let mismatch =
        "One or more parameter values were invalid: Condition parameter type does not match schema type";
    check("pk = :n", mismatch);
    check("pk = :p AND sk = :q", mismatch);
    check("pk = :p AND begins_with(sk, :p)", mismatch);
    check("pk = :p AND sk = :l", mismatch);
    let empty = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty";
    check("pk = :e", &format!("{empty} string value. Key: pk"));
    check_with(&with_sort(KeyType::B), "pk = :p AND sk = :f", &format!("{empty} binary value. Key: sk"));

    let parse = |bytes: usize, text: &str| {
        let values = format!("{{p: 'x', long: '{}'}}", "k".repeat(bytes));
        let schema = with_sort(KeyType::S);
        with_values(&values, |placeholders| parse_key_condition(text, placeholders, &schema)).err()
    };
    assert_eq!(parse(2048, "pk = :long"), None);
    let refused = parse(2049, "pk = :long").unwrap().message;
    assert!(
        refused.ends_with("Size of hashkey has exceeded the maximum size limit of2048 bytes"),
        "{refused}"
    );
    assert_eq!(parse(1024, "pk = :p AND sk < :long"), None);
    let refused = parse(1025, "pk = :p AND sk < :long").unwrap().message;
    assert!(
        refused.ends_with("Aggregated size of all range keys has exceeded the size limit of 1024 bytes"),
        "{refused}"
    );
}

#[test]
fn what_every_condition_must_be() {
    let invalid = "Invalid KeyConditionExpression";
    check("", &format!("{invalid}: The expression can not be empty;"));
    check("pk = ", &format!("{invalid}: Syntax error; token: \"<EOF>\", near: \"=\""));
    check("hash = :p", &format!("{invalid}: Attribute name is a reserved keyword; reserved keyword: hash"));
    check("pk = :p AND f(sk)", &format!("{invalid}: Invalid function name; function: f"));
    check("((pk = :p))", &format!("{invalid}: The expression has redundant parentheses;"));
    check(
        "pk = :p AND sk BETWEEN :m AND :n",
        &format!(
            "{invalid}: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; \
             lower bound operand: AttributeValue: {{N:7}}, upper bound operand: AttributeValue: {{N:5}}"
        ),
    );
}

#[test]
fn conditions_are_bounds() {
    let schema = schema();
    let five = value("5").encode();
    let condition = parse("pk = :p AND sk >= :n", &schema).unwrap();
    assert_eq!(condition.bounds(), SortBounds::GreaterOrEqual(ValueRef::trusted(&five)));
    assert_eq!(parse("pk = :p", &schema).unwrap().bounds(), SortBounds::All);
    let between = SortCondition::Between(five.clone(), five.clone());
    let five = ValueRef::trusted(&five);
    assert_eq!(between.bounds(), SortBounds::Between(five, five));
}
