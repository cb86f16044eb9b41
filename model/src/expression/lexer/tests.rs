use super::*;

fn check(text: &str, expected: &[(Kind, &str)]) {
    let mut lexer = Lexer::new(text);
    let mut found = Vec::new();
    loop {
        let token = lexer.next();
        assert_eq!(&text[token.start..token.end()], token.text);
        if token.kind == Kind::End {
            break;
        }
        found.push((token.kind, token.text));
    }
    assert_eq!(found, expected, "{text}");
}

#[test]
fn words() {
    check("", &[]);
    check(" \t\r\n", &[]);
    check("a", &[(Kind::Name, "a")]);
    check("a_1 B", &[(Kind::Name, "a_1"), (Kind::Name, "B")]);
    check("_a", &[(Kind::Other, "_"), (Kind::Name, "a")]);
    check("1a", &[(Kind::Index, "1"), (Kind::Name, "a")]);
    check("#1_a :1_a", &[(Kind::Alias, "#1_a"), (Kind::Value, ":1_a")]);
    check("#a-b", &[(Kind::Alias, "#a"), (Kind::Minus, "-"), (Kind::Name, "b")]);
    check("# a", &[(Kind::Other, "#"), (Kind::Name, "a")]);
    check(":", &[(Kind::Other, ":")]);
}

#[test]
fn keywords_in_any_case() {
    check("and OR nOt", &[(Kind::And, "and"), (Kind::Or, "OR"), (Kind::Not, "nOt")]);
    check("between iN", &[(Kind::Between, "between"), (Kind::In, "iN")]);
    check(
        "set REMOVE Add delete",
        &[(Kind::Set, "set"), (Kind::Remove, "REMOVE"), (Kind::Add, "Add"), (Kind::Delete, "delete")],
    );
    check("android ins", &[(Kind::Name, "android"), (Kind::Name, "ins")]);
}

#[test]
fn signs_are_the_longest_that_fit() {
    check("<>", &[(Kind::NotEqual, "<>")]);
    check("<=>=", &[(Kind::LessOrEqual, "<="), (Kind::GreaterOrEqual, ">=")]);
    check("<<", &[(Kind::Less, "<"), (Kind::Less, "<")]);
    check(">=<", &[(Kind::GreaterOrEqual, ">="), (Kind::Less, "<")]);
    check(
        "a.b[0],(c)",
        &[
            (Kind::Name, "a"),
            (Kind::Dot, "."),
            (Kind::Name, "b"),
            (Kind::OpenIndex, "["),
            (Kind::Index, "0"),
            (Kind::CloseIndex, "]"),
            (Kind::Comma, ","),
            (Kind::Open, "("),
            (Kind::Name, "c"),
            (Kind::Close, ")"),
        ],
    );
}

#[test]
fn strange_characters_are_tokens_of_one_character() {
    check("é$\u{1F600}", &[(Kind::Other, "é"), (Kind::Other, "$"), (Kind::Other, "\u{1F600}")]);
    check("\u{a0}", &[(Kind::Other, "\u{a0}")]);
}
