use super::*;
use crate::expression::testing::{schema, with_values};

fn parse(text: &str) -> Result<Update, ApiError> {
    const VALUES: &str =
        "{s: 'a', n: 1, b: b'a', bool: true, null: null, l: [1], o: {a: 1}, ss: <'a'>, ns: <1>, bs: <b'a'>}";
    with_values(VALUES, |placeholders| parse_update(text, placeholders))
}

/// The detail of the refusal, or `fine`.
fn check(text: &str, expected: &str) {
    let found = match parse(text) {
        Ok(_) => "fine".to_string(),
        Err(error) => match error.message.strip_prefix("Invalid UpdateExpression: ") {
            Some(detail) => detail.to_string(),
            None => panic!("{text}: {}", error.message),
        },
    };
    assert_eq!(found, expected, "{text}");
}

fn wrong_type(operator: &str, found: &str) -> String {
    let problem = "Incorrect operand type for operator or function; operator or function";
    format!("{problem}: {operator}, operand type: {found}")
}

#[test]
fn what_is_allowed() {
    for text in [
        "SET a = :s",
        "SET a = b",
        "SET a = a",
        "SET a = b + :n, c = :n - d",
        "SET a.b[0] = if_not_exists(a.b[0], :s)",
        "SET a = if_not_exists(b, c)",
        "SET a = if_not_exists(a, :n) + :n",
        "SET a = if_not_exists(a, if_not_exists(b, :s))",
        "SET a = list_append(a, :l)",
        "SET a = list_append(if_not_exists(a, :l), :l)",
        "SET a = list_append(list_append(a, b), c)",
        "SET a = (b + :n)",
        "REMOVE a, b.c, d[2]",
        "ADD a :n, b :ss, c :ns, d :bs",
        "DELETE a :ss, b :ns, c :bs",
        "DELETE a :ss SET b = :s ADD c :n REMOVE d",
    ] {
        check(text, "fine");
    }
}

#[test]
fn sections_and_paths() {
    check("SET a = :s SET b = :s", "The \"SET\" section can only be used once in an update expression;");
    check("remove a remove b", "The \"REMOVE\" section can only be used once in an update expression;");
    check("ADD a :n ADD b :n", "The \"ADD\" section can only be used once in an update expression;");
    check(
        "DELETE a :ss SET b = :s DELETE c :ss",
        "The \"DELETE\" section can only be used once in an update expression;",
    );
    let advice = "must remove or rewrite one of these paths";
    check(
        "SET a = :s, a.b = :s",
        &format!("Two document paths overlap with each other; {advice}; path one: [a], path two: [a, b]"),
    );
    check(
        "SET a = :s REMOVE #a",
        &format!("Two document paths overlap with each other; {advice}; path one: [a], path two: [a]"),
    );
    check(
        "SET a.b = :s ADD a[1] :n",
        &format!(
            "Two document paths conflict with each other; {advice}; path one: [a, b], path two: [a, [1]]"
        ),
    );
    check("SET a = b, b = a", "fine");
    check("SET name = :s", "Attribute name is a reserved keyword; reserved keyword: name");
    check("SET a = name", "Attribute name is a reserved keyword; reserved keyword: name");
    check(
        "SET a = :zz",
        "An expression attribute value used in expression is not defined; attribute value: :zz",
    );
    check(
        "ADD a :zz",
        "An expression attribute value used in expression is not defined; attribute value: :zz",
    );
    check(
        "REMOVE #zz",
        "An expression attribute name used in the document path is not defined; attribute name: #zz",
    );
}

#[test]
fn functions() {
    check("SET a = f(b)", "Invalid function name; function: f");
    for name in
        ["size", "attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"]
    {
        let refused = format!("The function is not allowed in an update expression; function: {name}");
        check(&format!("SET a = {name}(b)"), &refused);
        check(&format!("SET a = list_append({name}(b, c), :l)"), &refused);
    }
    let count = "Incorrect number of operands for operator or function; operator or function";
    check("SET a = if_not_exists(b)", &format!("{count}: if_not_exists, number of operands: 1"));
    check("SET a = list_append(b, c, d)", &format!("{count}: list_append, number of operands: 3"));
    let path = "Operator or function requires a document path; operator or function: if_not_exists";
    check("SET a = if_not_exists(:s, b)", path);
    check("SET a = if_not_exists(list_append(a, b), c)", path);
}

#[test]
fn operand_types() {
    check("SET a = b + :s", &wrong_type("+", "S"));
    check("SET a = :l + b", &wrong_type("+", "L"));
    check("SET a = b - :null", &wrong_type("-", "NULL"));
    check("SET a = list_append(b, c) + :n", &wrong_type("+", "L"));
    check("SET a = list_append(b, :s)", &wrong_type("list_append", "S"));
    check("SET a = list_append(:o, b)", &wrong_type("list_append", "M"));
    let typeset = |section: &str, found: &str| {
        let problem = "Incorrect operand type for operator or function";
        format!(
            "{problem}; operator: {section}, operand type: {found}, typeset: ALLOWED_FOR_{section}_OPERAND"
        )
    };
    check("ADD a :s", &typeset("ADD", "STRING"));
    check("ADD a :b", &typeset("ADD", "BINARY"));
    check("ADD a :bool", &typeset("ADD", "BOOLEAN"));
    check("ADD a :null", &typeset("ADD", "NULL"));
    check("ADD a :l", &typeset("ADD", "LIST"));
    check("ADD a :o", &typeset("ADD", "MAP"));
    check("DELETE a :s", &typeset("DELETE", "STRING"));
    check("DELETE a :n", &typeset("DELETE", "NUMBER"));
    check("DELETE a :l", &typeset("DELETE", "LIST"));
}

#[test]
fn limits() {
    let many = |count: usize| {
        let actions: Vec<_> = (0..count).map(|index| format!("x{index}=b+c")).collect();
        format!("SET {}", actions.join(","))
    };
    check(&many(300), "fine");
    check(&many(301), "The expression contains too many operators; operator count: 301");
    check("SET a = ((b + :n))", "The expression has redundant parentheses;");
}

#[test]
fn keys_stay() {
    let refused =
        |text: &str| parse(text).unwrap().refuse_key_attributes(&schema()).err().map(|error| error.message);
    let message = |name: &str| {
        let problem = "One or more parameter values were invalid: Cannot update attribute";
        Some(format!("{problem} {name}. This attribute is part of the key"))
    };
    assert_eq!(refused("SET a = pk, b.sk = :s"), None);
    assert_eq!(refused("SET pk = :s"), message("pk"));
    assert_eq!(refused("REMOVE #sk"), message("sk"));
    assert_eq!(refused("ADD sk :n SET pk = :s"), message("pk"));
    assert_eq!(refused("SET pk.a = :s"), message("pk"));
    assert_eq!(refused("DELETE sk :ss"), message("sk"));
}
