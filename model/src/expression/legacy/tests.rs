use super::{
    super::{ConditionProgram, UpdateProgram, testing},
    *,
};
use crate::{
    item::{ItemRef, Value},
    key::{KeySchema, SortBounds},
};
use testing::{item, schema, show, show_item, value};

const ITEM: &str =
    "{s: 'hello', n: 5, b: b'bytes', t: true, ss: <'a', 'b'>, ns: <1, 2>, l: [1, 'x'], nil: null}";

/// The list's values, encoded.
fn values(list: &str) -> Vec<Vec<u8>> {
    match value(list) {
        Value::L(values) => values.iter().map(Value::encode).collect(),
        other => panic!("{other:?} is no list"),
    }
}

fn holds(condition: &Condition) -> String {
    let (item, program) = (item(ITEM), condition.encode());
    ConditionProgram::check(&program).unwrap().eval(Some(ItemRef::check(&item).unwrap())).to_string()
}

/// `true` or `false` on ITEM, or the message.
fn check(attribute: &str, operator: &str, list: &str, expected: &str) {
    let encoded = values(list);
    let entry = LegacyCondition {
        attribute,
        operator: ComparisonOperator::from_name(operator).unwrap(),
        values: encoded.iter().map(Vec::as_slice).collect(),
    };
    let found = match filter(&[entry], None) {
        Ok(condition) => holds(&condition.unwrap()),
        Err(error) => error.message,
    };
    assert_eq!(found, expected, "{attribute} {operator} {list}");
}

#[test]
fn names_of_operators() {
    for (operator, name) in OPERATOR_NAMES {
        assert_eq!(operator.name(), name);
        assert_eq!(ComparisonOperator::from_name(name), Some(operator));
    }
    assert_eq!(ComparisonOperator::from_name("eq"), None);
}

#[test]
fn operators() {
    check("s", "EQ", "['hello']", "true");
    check("s", "EQ", "['x']", "false");
    check("l", "EQ", "[[1, 'x']]", "true");
    check("ss", "EQ", "[<'b', 'a'>]", "true");
    check("nope", "EQ", "['x']", "false");
    check("s", "NE", "['x']", "true");
    check("s", "NE", "['hello']", "false");
    check("nope", "NE", "['x']", "true");
    check("n", "IN", "[1, 5]", "true");
    check("n", "IN", "[1]", "false");
    check("n", "LE", "[5]", "true");
    check("n", "LT", "[5]", "false");
    check("n", "GE", "[5]", "true");
    check("n", "GT", "[5]", "false");
    check("s", "GT", "[5]", "false");
    check("nope", "LT", "[5]", "false");
    check("n", "BETWEEN", "[5, 5]", "true");
    check("n", "BETWEEN", "[1, 4]", "false");
    check("nil", "NOT_NULL", "[]", "true");
    check("nope", "NOT_NULL", "[]", "false");
    check("nil", "NULL", "[]", "false");
    check("nope", "NULL", "[]", "true");
    check("s", "CONTAINS", "['ell']", "true");
    check("ss", "CONTAINS", "['a']", "true");
    check("ns", "CONTAINS", "[2]", "true");
    check("l", "CONTAINS", "['x']", "true");
    check("n", "CONTAINS", "[5]", "false");
    check("s", "NOT_CONTAINS", "['ell']", "false");
    check("s", "NOT_CONTAINS", "['zzz']", "true");
    check("n", "NOT_CONTAINS", "[5]", "true");
    check("nope", "NOT_CONTAINS", "['x']", "false");
    check("s", "BEGINS_WITH", "['he']", "true");
    check("b", "BEGINS_WITH", "[b'by']", "true");
    check("s", "BEGINS_WITH", "[b'he']", "false");
    check("s.x", "NULL", "[]", "true");
}

#[test]
fn arguments() {
    let invalid = "One or more parameter values were invalid";
    let count =
        |name: &str| format!("{invalid}: Invalid number of argument(s) for the {name} ComparisonOperator");
    check("a", "EQ", "[]", &count("EQ"));
    check("a", "EQ", "[1, 2]", &count("EQ"));
    check("a", "IN", "[]", &count("IN"));
    check("a", "BETWEEN", "[1]", &count("BETWEEN"));
    check("a", "BETWEEN", "[1, 2, 3]", &count("BETWEEN"));
    check("a", "NULL", "[1]", &count("NULL"));
    check("a", "NOT_NULL", "['x']", &count("NOT_NULL"));
    check("a", "CONTAINS", "[]", &count("CONTAINS"));
    let kind = |name: &str, found: &str| {
        format!("{invalid}: ComparisonOperator {name} is not valid for {found} AttributeValue type")
    };
    check("a", "LT", "[true]", &kind("LT", "BOOL"));
    check("a", "GE", "[[1]]", &kind("GE", "L"));
    check("a", "IN", "[<1>]", &kind("IN", "NS"));
    check("a", "BETWEEN", "[null, 1]", &kind("BETWEEN", "NULL"));
    check("a", "CONTAINS", "[<'a'>]", &kind("CONTAINS", "SS"));
    check("a", "BEGINS_WITH", "[1]", &kind("BEGINS_WITH", "N"));
    let same = format!("{invalid}: AttributeValues inside AttributeValueList must be of same type");
    check("a", "IN", "[1, 'x']", &same);
    check("a", "BETWEEN", "[1, 'x']", &same);
    let order =
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound";
    check("a", "BETWEEN", "[2, 1]", order);
}

#[test]
fn conditional_operators() {
    let one = value("1").encode();
    let entry =
        |attribute| LegacyCondition { attribute, operator: ComparisonOperator::Eq, values: vec![&one[..]] };
    let joined = |count: usize, operator| {
        let entries: Vec<_> = [entry("n"), entry("nope")].into_iter().take(count).collect();
        match filter(&entries, operator) {
            Ok(None) => "none".to_string(),
            Ok(Some(Condition::And(all))) => format!("and {}", all.len()),
            Ok(Some(Condition::Or(any))) => format!("or {}", any.len()),
            Ok(Some(_)) => "one".to_string(),
            Err(error) => error.message,
        }
    };
    assert_eq!(joined(0, None), "none");
    assert_eq!(joined(1, None), "one");
    assert_eq!(joined(2, None), "and 2");
    assert_eq!(joined(2, Some(ConditionalOperator::And)), "and 2");
    assert_eq!(joined(2, Some(ConditionalOperator::Or)), "or 2");
    let without = "ConditionalOperator cannot be used without Filter or Expected";
    assert_eq!(joined(0, Some(ConditionalOperator::Or)), without);
    let few = "ConditionalOperator can only be used when Filter or Expected has two or more elements";
    assert_eq!(joined(1, Some(ConditionalOperator::And)), few);
}

/// `true` or `false` on ITEM for an entry about `s`, or the message.
fn check_expected<'a>(change: impl Fn(&mut Expected<'a>), answer: &str) {
    let mut entry = Expected { attribute: "s", value: None, exists: None, operator: None, values: None };
    change(&mut entry);
    let found = match expected(&[entry], None) {
        Ok(condition) => holds(&condition.unwrap()),
        Err(error) => error.message,
    };
    assert_eq!(found, answer.replace("INVALID", "One or more parameter values were invalid"));
}

#[test]
fn expectations() {
    let hello = value("'hello'").encode();
    let hello = hello.as_slice();
    check_expected(|entry| entry.value = Some(hello), "true");
    check_expected(|entry| (entry.value, entry.exists) = (Some(hello), Some(true)), "true");
    check_expected(|entry| entry.exists = Some(false), "false");
    check_expected(|entry| (entry.attribute, entry.exists) = ("nope", Some(false)), "true");
    check_expected(
        |entry| (entry.operator, entry.value) = (Some(ComparisonOperator::Eq), Some(hello)),
        "true",
    );
    check_expected(
        |entry| (entry.operator, entry.values) = (Some(ComparisonOperator::Ne), Some(vec![hello])),
        "false",
    );
    check_expected(|entry| entry.operator = Some(ComparisonOperator::NotNull), "true");
    check_expected(|_| {}, "INVALID: Value must be provided when Exists is null for Attribute: s");
    check_expected(
        |entry| entry.exists = Some(true),
        "INVALID: Value must be provided when Exists is true for Attribute: s",
    );
    check_expected(
        |entry| (entry.value, entry.exists) = (Some(hello), Some(false)),
        "INVALID: Value cannot be used when Exists is false for Attribute: s",
    );
    check_expected(
        |entry| (entry.value, entry.values) = (Some(hello), Some(vec![])),
        "INVALID: Value and AttributeValueList cannot be used together for Attribute: s",
    );
    check_expected(
        |entry| entry.values = Some(vec![hello]),
        "INVALID: AttributeValueList can only be used with a ComparisonOperator for Attribute: s",
    );
    check_expected(
        |entry| (entry.operator, entry.exists) = (Some(ComparisonOperator::Eq), Some(true)),
        "INVALID: Exists and ComparisonOperator cannot be used together for Attribute: s",
    );
    check_expected(
        |entry| entry.operator = Some(ComparisonOperator::Lt),
        "INVALID: Value or AttributeValueList must be used with ComparisonOperator: LT for Attribute: s",
    );
    check_expected(
        |entry| (entry.operator, entry.value) = (Some(ComparisonOperator::Null), Some(hello)),
        "INVALID: Invalid number of argument(s) for the NULL ComparisonOperator",
    );
}

fn check_keys(schema: &KeySchema, entries: &[(&str, &str, &str)], expected: &str) {
    let lists: Vec<_> = entries.iter().map(|(_, _, list)| values(list)).collect();
    let entries: Vec<_> = entries
        .iter()
        .zip(&lists)
        .map(|((attribute, operator, _), values)| LegacyCondition {
            attribute,
            operator: ComparisonOperator::from_name(operator).unwrap(),
            values: values.iter().map(Vec::as_slice).collect(),
        })
        .collect();
    let found = match key_conditions(&entries, schema) {
        Ok(condition) => {
            let partition = show(&Value::from(ValueRef::trusted(&condition.partition)));
            format!("{partition} {:?}", condition.bounds())
        }
        Err(error) => error.message,
    };
    assert_eq!(found, expected, "{entries:?}");
}

#[test]
fn key_conditions_select() {
    let schema = schema();
    let with_string = KeySchema {
        sort: Some(crate::key::KeyAttribute { kind: crate::key::KeyType::S, name: "sk".to_string() }),
        ..schema.clone()
    };
    let five = value("5").encode();
    let five = ValueRef::trusted(&five);
    let text = value("'t'").encode();
    let pk = ("pk", "EQ", "['x']");
    let shown = |bounds: SortBounds<'_>| format!("'x' {bounds:?}");
    check_keys(&schema, &[pk], &shown(SortBounds::All));
    check_keys(&schema, &[("sk", "EQ", "[5]"), pk], &shown(SortBounds::Equal(five)));
    check_keys(&schema, &[pk, ("sk", "LE", "[5]")], &shown(SortBounds::LessOrEqual(five)));
    check_keys(&schema, &[pk, ("sk", "LT", "[5]")], &shown(SortBounds::Less(five)));
    check_keys(&schema, &[pk, ("sk", "GE", "[5]")], &shown(SortBounds::GreaterOrEqual(five)));
    check_keys(&schema, &[pk, ("sk", "GT", "[5]")], &shown(SortBounds::Greater(five)));
    check_keys(&schema, &[pk, ("sk", "BETWEEN", "[5, 5]")], &shown(SortBounds::Between(five, five)));
    check_keys(
        &with_string,
        &[pk, ("sk", "BEGINS_WITH", "['t']")],
        &shown(SortBounds::BeginsWith(ValueRef::trusted(&text))),
    );

    let not_indexable = "Attempted conditional constraint is not an indexable operation";
    for (operator, list) in [
        ("NE", "[5]"),
        ("IN", "[5]"),
        ("NULL", "[]"),
        ("NOT_NULL", "[]"),
        ("CONTAINS", "[5]"),
        ("NOT_CONTAINS", "[5]"),
    ] {
        check_keys(&schema, &[pk, ("sk", operator, list)], not_indexable);
    }
    check_keys(&schema, &[("pk", "GT", "['x']")], "Query key condition not supported");
    check_keys(&schema, &[], "Conditions can be of length 1 or 2 only");
    check_keys(&schema, &[("sk", "EQ", "[5]")], "Query condition missed key schema element: pk");
    check_keys(&schema, &[pk, ("a", "EQ", "[5]")], "Query condition missed key schema element: sk");
    check_keys(
        &schema,
        &[pk, ("sk", "EQ", "['5']")],
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    );
}

/// The new item, or the message.
fn check_update(action: Option<UpdateAction>, attribute: &str, with: Option<&str>, expected: &str) {
    let encoded = with.map(|text| value(text).encode());
    let entry = AttributeUpdate { attribute, action, value: encoded.as_deref() };
    let found = attribute_updates(&[entry]).and_then(|update| {
        let (old, program) = (item("{s: 'x', n: 1, ss: <'a'>, l: [1]}"), update.encode());
        let old = ItemRef::check(&old).unwrap();
        Ok(show_item(&UpdateProgram::check(&program).unwrap().apply(Some(old), old)?.item))
    });
    assert_eq!(found.unwrap_or_else(|error| error.message), expected, "{action:?} {attribute} {with:?}");
}

#[test]
fn updates() {
    use UpdateAction::{Add, Delete, Put};
    check_update(None, "n", Some("'y'"), "{l: [1], n: 'y', s: 'x', ss: <'a'>}");
    check_update(Some(Put), "s.x", Some("2"), "{l: [1], n: 1, s: 'x', s.x: 2, ss: <'a'>}");
    check_update(Some(Add), "n", Some("2"), "{l: [1], n: 3, s: 'x', ss: <'a'>}");
    check_update(Some(Add), "ss", Some("<'b'>"), "{l: [1], n: 1, s: 'x', ss: <'a', 'b'>}");
    check_update(Some(Add), "l", Some("[2, 3]"), "{l: [1, 2, 3], n: 1, s: 'x', ss: <'a'>}");
    check_update(Some(Add), "m", Some("7"), "{l: [1], m: 7, n: 1, s: 'x', ss: <'a'>}");
    check_update(Some(Delete), "n", None, "{l: [1], s: 'x', ss: <'a'>}");
    check_update(Some(Delete), "nope", None, "{l: [1], n: 1, s: 'x', ss: <'a'>}");
    check_update(Some(Delete), "ss", Some("<'a', 'z'>"), "{l: [1], n: 1, s: 'x'}");

    let mismatch = "Type mismatch for attribute to update";
    check_update(Some(Add), "s", Some("1"), mismatch);
    check_update(Some(Add), "n", Some("<1>"), mismatch);
    check_update(Some(Delete), "ss", Some("<1>"), mismatch);
    let invalid = "One or more parameter values were invalid";
    let needs_value =
        format!("{invalid}: Only DELETE action is allowed when no attribute value is specified");
    check_update(None, "n", None, &needs_value);
    check_update(Some(Add), "n", None, &needs_value);
    check_update(
        Some(Add),
        "s",
        Some("'y'"),
        &format!("{invalid}: ADD action is not supported for the type S"),
    );
    check_update(
        Some(Add),
        "s",
        Some("{}"),
        &format!("{invalid}: ADD action is not supported for the type M"),
    );
    check_update(
        Some(Delete),
        "n",
        Some("1"),
        &format!("{invalid}: DELETE action with value is not supported for the type N"),
    );
    check_update(
        Some(Delete),
        "l",
        Some("[1]"),
        &format!("{invalid}: DELETE action with value is not supported for the type L"),
    );
}

#[test]
fn names_have_a_size() {
    let longest = "a".repeat(65_535);
    assert!(attributes_to_get(&[&longest]).is_ok());
    let long = "a".repeat(65_536);
    let refused = "1 validation error detected: Attribute name is too large, must be less than 65536 bytes";
    assert_eq!(attributes_to_get(&[&long]).unwrap_err().message, refused);
    check(&long, "NULL", "[]", refused);
    check_update(Some(UpdateAction::Delete), &long, None, refused);
    let entry = Expected { attribute: &long, value: None, exists: Some(false), operator: None, values: None };
    assert_eq!(expected(&[entry], None).unwrap_err().message, refused);
}

#[test]
fn attributes_to_get_are_attributes() {
    let projection = attributes_to_get(&["a", "b.c", "d[0]"]).unwrap();
    assert_eq!(projection.paths, ["a", "b.c", "d[0]"].map(Path::attribute));
    let refused = attributes_to_get(&["a", "b", "a"]).unwrap_err().message;
    assert_eq!(refused, "One or more parameter values were invalid: Duplicate value in attribute name: a");
}

#[test]
fn query_filters_name_no_keys() {
    let refused = |attribute| {
        let entry = LegacyCondition { attribute, operator: ComparisonOperator::Null, values: vec![] };
        refuse_key_attributes(&[entry], &schema()).err().map(|error| error.message)
    };
    let rule = "QueryFilter can only contain non-primary key attributes: Primary key attribute";
    assert_eq!(refused("pk"), Some(format!("{rule}: pk")));
    assert_eq!(refused("sk"), Some(format!("{rule}: sk")));
    assert_eq!(refused("a"), None);
}
