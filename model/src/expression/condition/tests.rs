use super::*;
use crate::expression::testing::with_values;

/// The detail of the refusal, or `fine`. Values: `:s :t` strings, `:n :m` numbers 1 and 2, `:b :bb` binaries, and one of each other type.
fn check(text: &str, expected: &str) {
    const VALUES: &str = "{s: 'a', t: 'b', n: 1, m: 2, b: b'a', bb: b'b', bool: true, null: null, l: [1], o: {a: 1}, \
         ss: <'a'>, ns: <1>, bs: <b'a'>, list: 'L', map: 'M', bad: 'X', lower: 'ss'}";
    let kind = ExpressionKind::Condition;
    let found = match with_values(VALUES, |placeholders| parse_condition(kind, text, placeholders)) {
        Ok(_) => "fine".to_string(),
        Err(error) => match error.message.strip_prefix("Invalid ConditionExpression: ") {
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
fn names_and_values() {
    check("a = :s", "fine");
    check("#a = :s", "fine");
    check("#a.#b[3].c = :s", "fine");
    check(
        "#zz = :s",
        "An expression attribute name used in the document path is not defined; attribute name: #zz",
    );
    check(
        "a.#zz = :s",
        "An expression attribute name used in the document path is not defined; attribute name: #zz",
    );
    check("a = :zz", "An expression attribute value used in expression is not defined; attribute value: :zz");
    check("f(a, :zz) OR #zz = :s", "Invalid function name; function: f");
    check(
        "a = :zz AND #zz = :s",
        "An expression attribute name used in the document path is not defined; attribute name: #zz",
    );
}

#[test]
fn reserved_words() {
    check("name = :s", "Attribute name is a reserved keyword; reserved keyword: name");
    check("Status = :s", "Attribute name is a reserved keyword; reserved keyword: Status");
    check("a.size = :s", "Attribute name is a reserved keyword; reserved keyword: size");
    check("attribute_exists(hash)", "Attribute name is a reserved keyword; reserved keyword: hash");
    check("#name = :s", "fine");
    check("names_ = :s", "fine");
    check("name = :zz AND ttl = :s", "Attribute name is a reserved keyword; reserved keyword: name");
}

#[test]
fn path_shape() {
    let deep = |levels: usize| format!("a{} = :s", ".b".repeat(levels - 1));
    check(&deep(32), "fine");
    check(&deep(33), "The document path has too many nesting elements; nesting levels: 33");
    check("a[2147483647] = :s", "fine");
    check("a[2147483648] = :s", "List index is not within the allowable range; index: [2147483648]");
    let huge = "9".repeat(50);
    check(
        &format!("a[{huge}] = :s"),
        &format!("List index is not within the allowable range; index: [{huge}]"),
    );
}

#[test]
fn functions() {
    for text in [
        "attribute_exists(a)",
        "attribute_not_exists(#a.b[0])",
        "attribute_type(a, :list)",
        "begins_with(a, :s)",
        "begins_with(a, b)",
        "contains(a, :s)",
        "contains(:ss, a)",
        "contains(a, :o)",
        "size(a) = :n",
        "size(:s) = size(b)",
        "a IN (:s, size(b))",
    ] {
        check(text, "fine");
    }
    check("f(a)", "Invalid function name; function: f");
    check("Size(a) = :n", "Invalid function name; function: Size");
    check("BEGINS_WITH(a, :s)", "Invalid function name; function: BEGINS_WITH");
    check("a = f(b)", "Invalid function name; function: f");
    check(
        "list_append(a, b)",
        "The function is not allowed in a condition expression; function: list_append",
    );
    check(
        "a = if_not_exists(a, b)",
        "The function is not allowed in a condition expression; function: if_not_exists",
    );
    let misused = |name: &str| {
        format!("The function is not allowed to be used this way in an expression; function: {name}")
    };
    check("size(a)", &misused("size"));
    check("size(a) AND b = c", &misused("size"));
    check("NOT size(a)", &misused("size"));
    check("attribute_exists(a) = :bool", &misused("attribute_exists"));
    check(":bool = contains(a, :s)", &misused("contains"));
    check("size(begins_with(a, :s)) = :n", &misused("begins_with"));
}

#[test]
fn operand_counts() {
    let wrong = |name: &str, count: usize| {
        let problem = "Incorrect number of operands for operator or function; operator or function";
        format!("{problem}: {name}, number of operands: {count}")
    };
    check("begins_with(a)", &wrong("begins_with", 1));
    check("begins_with(a, :s, :t)", &wrong("begins_with", 3));
    check("contains(a)", &wrong("contains", 1));
    check("attribute_exists(a, b)", &wrong("attribute_exists", 2));
    check("attribute_not_exists(a, b, c)", &wrong("attribute_not_exists", 3));
    check("attribute_type(a)", &wrong("attribute_type", 1));
    check("size(a, b) = :n", &wrong("size", 2));
    let choices = |count: usize| format!("a IN ({})", vec![":s"; count].join(","));
    check(&choices(100), "fine");
    check(&choices(101), "The IN operator is provided with too many operands; number of operands: 101");
}

#[test]
fn paths_where_paths_must_be() {
    let no_path =
        |name: &str| format!("Operator or function requires a document path; operator or function: {name}");
    check("attribute_exists(:s)", &no_path("attribute_exists"));
    check("attribute_not_exists(size(a))", &no_path("attribute_not_exists"));
    check("attribute_type(:s, :list)", &no_path("attribute_type"));
}

#[test]
fn operand_types() {
    for (alias, name) in [
        (":bool", "BOOL"),
        (":null", "NULL"),
        (":l", "L"),
        (":o", "M"),
        (":ss", "SS"),
        (":ns", "NS"),
        (":bs", "BS"),
    ] {
        for sign in ["<", "<=", ">", ">="] {
            check(&format!("a {sign} {alias}"), &wrong_type(sign, name));
            check(&format!("{alias} {sign} a"), &wrong_type(sign, name));
        }
        check(&format!("a = {alias}"), "fine");
        check(&format!("a <> {alias}"), "fine");
        check(&format!("a IN ({alias})"), "fine");
        check(&format!("a BETWEEN {alias} AND :s"), &wrong_type("BETWEEN", name));
        check(&format!("a BETWEEN b AND {alias}"), &wrong_type("BETWEEN", name));
        check(&format!("begins_with(a, {alias})"), &wrong_type("begins_with", name));
    }
    check("begins_with(a, :n)", &wrong_type("begins_with", "N"));
    check("begins_with(a, size(b))", &wrong_type("begins_with", "N"));
    check("begins_with(a, :b)", "fine");
    check("contains(:n, a)", &wrong_type("contains", "N"));
    check("contains(:o, a)", &wrong_type("contains", "M"));
    check("size(:n) = :n", &wrong_type("size", "N"));
    check("size(:bool) = :n", &wrong_type("size", "BOOL"));
    check("size(size(a)) = :n", &wrong_type("size", "N"));
}

#[test]
fn attribute_types() {
    let valid = "valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}";
    check("attribute_type(a, :map)", "fine");
    check("attribute_type(a, :bad)", &format!("Invalid attribute type name found; type: X, {valid}"));
    check("attribute_type(a, :lower)", &format!("Invalid attribute type name found; type: ss, {valid}"));
    check("attribute_type(a, :n)", &wrong_type("attribute_type", "N"));
    check("attribute_type(a, :ss)", &wrong_type("attribute_type", "SS"));
    check("attribute_type(a, size(b))", &wrong_type("attribute_type", "N"));
}

#[test]
fn the_first_operand_is_distinct() {
    let same = |operator: &str, path: &str| {
        let rule =
            "The first operand must be distinct from the remaining operands for this operator or function";
        format!("{rule}; operator: {operator}, first operand: {path}")
    };
    check("a = a", &same("=", "[a]"));
    check("#a = a", &same("=", "[a]"));
    check("a.b[1].c <> a.b[1].c", &same("<>", "[a, b, [1], c]"));
    check("a < a", &same("<", "[a]"));
    check("a BETWEEN b AND a", &same("BETWEEN", "[a]"));
    check("a BETWEEN b AND b", "fine");
    check("a IN (b, a)", &same("IN", "[a]"));
    check("contains(a, a)", &same("contains", "[a]"));
    check("begins_with(a, #a)", &same("begins_with", "[a]"));
    check("a = a.b", "fine");
    check("a[0] = a[1]", "fine");
    check("#dot = a.b", "fine");
    check("size(a) = a", "fine");
    check(":s = :s", "fine");
}

#[test]
fn bounds() {
    let order = "The BETWEEN operator requires upper bound to be greater than or equal to lower bound";
    let types = "The BETWEEN operator requires same data type for lower and upper bounds";
    let operands = |lower: &str, upper: &str| {
        format!(
            "; lower bound operand: AttributeValue: {{{lower}}}, upper bound operand: AttributeValue: {{{upper}}}"
        )
    };
    check("a BETWEEN :n AND :m", "fine");
    check("a BETWEEN :n AND :n", "fine");
    check("a BETWEEN :m AND :n", &format!("{order}{}", operands("N:2", "N:1")));
    check("a BETWEEN :t AND :s", &format!("{order}{}", operands("S:b", "S:a")));
    check("a BETWEEN :bb AND :b", &format!("{order}{}", operands("B:Yg==", "B:YQ==")));
    check("a BETWEEN :s AND :n", &format!("{types}{}", operands("S:a", "N:1")));
    check("a BETWEEN b AND :n", "fine");
    check("a BETWEEN :m AND size(b)", "fine");
}

#[test]
fn parentheses_and_operators() {
    check("((a = :s))", "The expression has redundant parentheses;");
    check("((a = a))", "The expression has redundant parentheses;");
    check("(a = :s) AND (b = :s)", "fine");
    let many = |count: usize| vec!["a=b"; count].join(" OR ");
    check(&many(150), "fine");
    check(&many(151), "The expression contains too many operators; operator count: 301");
    let negated = format!("{}a = :s", "NOT ".repeat(301));
    check(&negated, "The expression contains too many operators; operator count: 302");
}

#[test]
fn messages_name_the_parameter() {
    let message = |kind| {
        let parse = |placeholders: &mut Placeholders<'_>| parse_condition(kind, "a =", placeholders);
        with_values("{}", parse).unwrap_err().message
    };
    let detail = "Syntax error; token: \"<EOF>\", near: \"=\"";
    assert_eq!(message(ExpressionKind::Condition), format!("Invalid ConditionExpression: {detail}"));
    assert_eq!(message(ExpressionKind::Filter), format!("Invalid FilterExpression: {detail}"));
}

#[test]
fn used_placeholders_are_marked() {
    let mut placeholders = Placeholders::new();
    let value = crate::item::Value::Null.encode();
    placeholders.set_names([("#a", "x"), ("#b", "y"), ("#c", "z")]).unwrap();
    placeholders.set_values([(":v", &value[..]), (":w", &value[..])]).unwrap();
    let text = "attribute_exists(#a.#b) AND NOT k IN (:v, size(#c))";
    parse_condition(ExpressionKind::Condition, text, &mut placeholders).unwrap();
    let unused = placeholders.check_all_used().unwrap_err().message;
    assert_eq!(unused, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}");
}

#[test]
fn filters_name_no_keys() {
    let schema = crate::expression::testing::schema();
    let refused = |text: &str| {
        let kind = ExpressionKind::Filter;
        let condition = with_values("{s: 'a'}", |placeholders| parse_condition(kind, text, placeholders));
        condition.unwrap().refuse_key_attributes(&schema).err().map(|error| error.message)
    };
    let message = |name: &str| {
        let rule = "Filter Expression can only contain non-primary key attributes";
        Some(format!("{rule}: Primary key attribute: {name}"))
    };
    assert_eq!(refused("a = :s AND attribute_exists(b.pk)"), None);
    assert_eq!(refused("a = :s AND NOT pk = :s"), message("pk"));
    assert_eq!(refused("contains(a, sk.b)"), message("sk"));
    assert_eq!(refused("a = size(sk)"), message("sk"));
    assert_eq!(refused("a IN (:s, pk)"), message("pk"));
    assert_eq!(refused("a BETWEEN b AND sk OR begins_with(pk, :s)"), message("sk"));
}
