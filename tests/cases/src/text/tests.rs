use super::expand;

fn check(text: &str, expected: &str) {
    let lookup = |name: &str| match name {
        "a" => Some("x".to_owned()),
        "b" => Some("<$a>".to_owned()),
        "1" => Some("cell".to_owned()),
        "loop" => Some("$loop".to_owned()),
        _ => None,
    };
    assert_eq!(expand(text, &lookup).unwrap_or_else(|error| format!("error: {error}")), expected);
}

#[test]
fn names_are_replaced_also_within_names() {
    check("", "");
    check("no names", "no names");
    check("$a-$b", "x-<x>");
    check("$12", "cell2");
    check("$$a", "$a");
    check("$any and $number", "$any and $number");
    check("$c", "error: nobody knows $c");
    check("$loop", "error: too many names within names: $loop");
}

#[test]
fn texts_are_repeated() {
    check("$repeat[3:ab]", "ababab");
    check("$repeat[0:ab]", "");
    check("$repeat[2:[$a]]", "[x][x]");
    check("[$each[3::v%]]", "[:v1,:v2,:v3]");
    check("$each[2:{\"L\":[%]}]", "{\"L\":[1]},{\"L\":[2]}");
    check("$lists[2]", r#"{"L":[{"L":[{"N":"1"}]}]}"#);
    check("$maps[1]", r#"{"M":{"m":{"N":"1"}}}"#);
    check("$repeat[x:ab]", "error: x is no count");
    check("$repeat[2:ab", "error: a bracket is never closed: [2:ab");
}
