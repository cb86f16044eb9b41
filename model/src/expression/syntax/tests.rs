use super::*;

fn check(text: &str, expected: &str) {
    let found = match parse_condition(ExpressionKind::Condition, text) {
        Ok(parsed) => show(&parsed.tree),
        Err(detail) => detail,
    };
    assert_eq!(found, expected, "{text}");
}

fn check_update(text: &str, expected: &str) {
    let found = match parse_update(text) {
        Ok(parsed) => parsed.tree.iter().map(show_action).collect::<Vec<_>>().join("; "),
        Err(detail) => detail,
    };
    assert_eq!(found, expected, "{text}");
}

fn check_projection(text: &str, expected: &str) {
    let found = match parse_projection(text) {
        Ok(parsed) => parsed.tree.iter().map(show_path).collect::<Vec<_>>().join(" "),
        Err(detail) => detail,
    };
    assert_eq!(found, expected, "{text}");
}

/// With every operator in parentheses.
fn show(node: &Node) -> String {
    let row = |nodes: &[Node], between: &str| nodes.iter().map(show).collect::<Vec<_>>().join(between);
    match node {
        Node::Path(path) => show_path(path),
        Node::Value(alias) => alias.to_string(),
        Node::Call(name, operands) => format!("{name}({})", row(operands, ",")),
        Node::Arithmetic(sign, operands) => {
            format!("({})", row(&operands[..], if *sign == Sign::Plus { " + " } else { " - " }))
        }
        Node::Compare(comparator, operands) => {
            format!("({} {} {})", show(&operands[0]), comparator.sign(), show(&operands[1]))
        }
        Node::Between(operands) => format!("between({})", row(&operands[..], ",")),
        Node::In(value, choices) => format!("in({},{})", show(value), row(choices, ",")),
        Node::And(nodes) => format!("({})", row(nodes, " & ")),
        Node::Or(nodes) => format!("({})", row(nodes, " | ")),
        Node::Not(node) => format!("!{}", show(node)),
    }
}

fn show_path(path: &PathText) -> String {
    let segment = |segment: &SegmentText| match segment {
        SegmentText::Name(name) | SegmentText::Alias(name) => name.to_string(),
        SegmentText::Index(index) => format!("[{index}]"),
    };
    path.0.iter().map(segment).collect::<Vec<_>>().join(".")
}

fn show_action(action: &ActionText) -> String {
    match action {
        ActionText::Set(path, node) => format!("set {} {}", show_path(path), show(node)),
        ActionText::Remove(path) => format!("remove {}", show_path(path)),
        ActionText::Add(path, alias) => format!("add {} {alias}", show_path(path)),
        ActionText::Delete(path, alias) => format!("delete {} {alias}", show_path(path)),
    }
}

#[test]
fn comparisons() {
    check("a = :v", "(a = :v)");
    check("a<>:v", "(a <> :v)");
    check("a < b", "(a < b)");
    check("a<=b", "(a <= b)");
    check("a > :v", "(a > :v)");
    check(" a\n>=\t:v ", "(a >= :v)");
    check(":v = :w", "(:v = :w)");
    check("a between :l and :u", "between(a,:l,:u)");
    check("a BETWEEN b AND c AND d = e", "(between(a,b,c) & (d = e))");
    check("a IN (:v)", "in(a,:v)");
    check("a in (:v,b , :w)", "in(a,:v,b,:w)");
    check("size(a) > :v", "(size(a) > :v)");
    check("a = size(b)", "(a = size(b))");
}

#[test]
fn precedence() {
    check("a=b AND c=d OR e=f", "(((a = b) & (c = d)) | (e = f))");
    check("a=b OR c=d AND e=f", "((a = b) | ((c = d) & (e = f)))");
    check("a=b OR c=d OR e=f", "((a = b) | (c = d) | (e = f))");
    check("a=b AND c=d AND e=f", "((a = b) & (c = d) & (e = f))");
    check("(a=b OR c=d) AND e=f", "(((a = b) | (c = d)) & (e = f))");
    check("NOT a=b AND c=d", "(!(a = b) & (c = d))");
    check("NOT (a=b AND c=d)", "!((a = b) & (c = d))");
    check("NOT NOT a=b", "(a = b)");
    check("not Not NOT a=b", "!(a = b)");
    check("NOT a BETWEEN b AND c OR d IN (e)", "(!between(a,b,c) | in(d,e))");
}

#[test]
fn calls_and_parentheses() {
    check("attribute_exists(a)", "attribute_exists(a)");
    check("NOT attribute_exists ( a . b [ 0 ] )", "!attribute_exists(a.b.[0])");
    check("f(a, :v, g(b))", "f(a,:v,g(b))");
    check("(a = b)", "(a = b)");
    check("(a) = (b)", "(a = b)");
    check("(size(a)) < :v", "(size(a) < :v)");
    check("( ( size ( #a )) < #b.Maximum ) AND ( #c > :v )", "((size(#a) < #b.Maximum) & (#c > :v))");
    check("(attribute_exists(a))", "attribute_exists(a)");
    check("(f(a)) AND (b=c)", "(f(a) & (b = c))");
    check("a BETWEEN (b) AND (c)", "between(a,b,c)");
    check("a IN ((b), c)", "in(a,b,c)");
}

#[test]
fn paths() {
    check_projection("a", "a");
    check_projection("a, #b ,c", "a #b c");
    check_projection("a.b.c[0][12].#d", "a.b.c.[0].[12].#d");
    check_projection("a.", "Syntax error; token: \"<EOF>\", near: \".\"");
    check_projection("a..b", "Syntax error; token: \".\", near: \"..b\"");
    check_projection("a,", "Syntax error; token: \"<EOF>\", near: \",\"");
    check_projection(",a", "Syntax error; token: \",\", near: \",a\"");
    check_projection("a b", "Syntax error; token: \"b\", near: \"a b\"");
    check_projection("a[b]", "Syntax error; token: \"b\", near: \"[b]\"");
    check_projection("a[-1]", "Syntax error; token: \"-\", near: \"[-1\"");
    check_projection("a[0", "Syntax error; token: \"<EOF>\", near: \"0\"");
    check_projection("[0]", "Syntax error; token: \"[\", near: \"[0\"");
    check_projection("foo-bar", "Syntax error; token: \"-\", near: \"foo-bar\"");
    check_projection("a, :v", "Syntax error; token: \":v\", near: \", :v\"");
    check_projection("0a", "Syntax error; token: \"0\", near: \"0a\"");
    check_projection("_a", "Syntax error; token: \"_\", near: \"_a\"");
    check_projection("a, and", "Syntax error; token: \"and\", near: \", and\"");
}

#[test]
fn syntax_errors_name_the_token_and_its_neighbours() {
    check("a", "Syntax error; token: \"<EOF>\", near: \"a\"");
    check("a =", "Syntax error; token: \"<EOF>\", near: \"=\"");
    check("a = = b", "Syntax error; token: \"=\", near: \"= = b\"");
    check("a == b", "Syntax error; token: \"=\", near: \"== b\"");
    check("a = b c", "Syntax error; token: \"c\", near: \"b c\"");
    check("a = b)", "Syntax error; token: \")\", near: \"b)\"");
    check("(a = b", "Syntax error; token: \"<EOF>\", near: \"b\"");
    check("a = b AND", "Syntax error; token: \"<EOF>\", near: \"AND\"");
    check("a AND b = c", "Syntax error; token: \"AND\", near: \"a AND b\"");
    check("NOT a", "Syntax error; token: \"<EOF>\", near: \"a\"");
    check("a = b = c", "Syntax error; token: \"=\", near: \"b = c\"");
    check(
        "#a attribute_not_exists :v",
        "Syntax error; token: \"attribute_not_exists\", near: \"#a attribute_not_exists :v\"",
    );
    check("f()", "Syntax error; token: \")\", near: \"()\"");
    check("f(a", "Syntax error; token: \"<EOF>\", near: \"a\"");
    check("f(a,)", "Syntax error; token: \")\", near: \",)\"");
    check("f(a b)", "Syntax error; token: \"b\", near: \"a b)\"");
    check("f(a = b)", "Syntax error; token: \"=\", near: \"a = b\"");
    check("#f(a)", "Syntax error; token: \"(\", near: \"#f(a\"");
    check("a IN :v", "Syntax error; token: \":v\", near: \"IN :v\"");
    check("a IN ()", "Syntax error; token: \")\", near: \"()\"");
    check("a BETWEEN b", "Syntax error; token: \"<EOF>\", near: \"b\"");
    check("a BETWEEN b OR c", "Syntax error; token: \"OR\", near: \"b OR c\"");
    check("()", "Syntax error; token: \")\", near: \"()\"");
    check("AND", "Syntax error; token: \"AND\", near: \"AND\"");
    check("a = \"x\"", "Syntax error; token: \"\"\", near: \"= \"x\"");
    check("a = 5", "Syntax error; token: \"5\", near: \"= 5\"");
    check("a != b", "Syntax error; token: \"!\", near: \"a !=\"");
    check("é = b", "Syntax error; token: \"é\", near: \"é =\"");
    check("a = :", "Syntax error; token: \":\", near: \"= :\"");
    check("hits = : incr", "Syntax error; token: \":\", near: \"= : incr\"");
    check("(a = b) = c", "Syntax error; token: \"=\", near: \") = c\"");
    check("a = (b = c)", "Syntax error; token: \"=\", near: \"b = c\"");
    check("a = b, c = d", "Syntax error; token: \",\", near: \"b, c\"");
}

#[test]
fn updates() {
    check_update("SET a = :v", "set a :v");
    check_update("set a=b, c.d[1] = :v", "set a b; set c.d.[1] :v");
    check_update("SET a = a + :v", "set a (a + :v)");
    check_update("SET a = (a - :v)", "set a (a - :v)");
    check_update("SET a = (b) - (c)", "set a (b - c)");
    check_update("SET a = if_not_exists(a, :z) + :v", "set a (if_not_exists(a,:z) + :v)");
    check_update(
        "SET a = list_append(if_not_exists(a, :z), :v)",
        "set a list_append(if_not_exists(a,:z),:v)",
    );
    check_update("REMOVE a, b[0]", "remove a; remove b.[0]");
    check_update("ADD a :v, b.c :w", "add a :v; add b.c :w");
    check_update("delete a :v", "delete a :v");
    check_update("ADD a :v SET b = c REMOVE d DELETE e :w", "add a :v; set b c; remove d; delete e :w");
}

#[test]
fn update_syntax_errors() {
    check_update("INVALID SYNTAX HERE", "Syntax error; token: \"INVALID\", near: \"INVALID SYNTAX\"");
    check_update("SET", "Syntax error; token: \"<EOF>\", near: \"SET\"");
    check_update("SET a", "Syntax error; token: \"<EOF>\", near: \"a\"");
    check_update("SET a = :v,", "Syntax error; token: \"<EOF>\", near: \",\"");
    check_update("SET #as, #Lambda", "Syntax error; token: \",\", near: \"#as, #Lambda\"");
    check_update("SET a = :v REMOVE", "Syntax error; token: \"<EOF>\", near: \"REMOVE\"");
    check_update("SET a = :v b = :w", "Syntax error; token: \"b\", near: \":v b =\"");
    check_update("SET a = b + c + d", "Syntax error; token: \"+\", near: \"c + d\"");
    check_update("SET a = (b + c) + d", "Syntax error; token: \"+\", near: \") + d\"");
    check_update("SET a = b * c", "Syntax error; token: \"*\", near: \"b * c\"");
    check_update("SET a = f(b + c, d)", "Syntax error; token: \"+\", near: \"b + c\"");
    check_update("ADD hits : incr", "Syntax error; token: \":\", near: \"hits : incr\"");
    check_update("ADD a b", "Syntax error; token: \"b\", near: \"a b\"");
    check_update("ADD a = :v", "Syntax error; token: \"=\", near: \"a = :v\"");
    check_update("DELETE a", "Syntax error; token: \"<EOF>\", near: \"a\"");
    check_update("SET set = :v", "Syntax error; token: \"set\", near: \"SET set =\"");
    check_update("SET a.remove = :v", "Syntax error; token: \"remove\", near: \".remove =\"");
    check_update("a = :v", "Syntax error; token: \"a\", near: \"a =\"");
}

#[test]
fn empty_and_oversized_texts() {
    let empty = "The expression can not be empty;";
    for text in ["", " ", "\n\t "] {
        check(text, empty);
        check_update(text, empty);
        check_projection(text, empty);
    }
    let fits = format!("a = b{}", " ".repeat(EXPRESSION_BYTES_MAX - 5));
    check(&fits, "(a = b)");
    let long = fits + " ";
    let refused = "Expression size has exceeded the maximum allowed size;";
    check(&long, &format!("{refused} expression size: 4097"));
    check_projection(&long, &format!("{refused} expression size: 4097"));
    check_update(&long, refused);
    for bomb in ["(", "NOT ", "f(", "a[0]", "a.", "(a=b)AND"] {
        let text = bomb.repeat(20_000);
        check(&text, &format!("{refused} expression size: {}", text.len()));
    }
}

#[test]
fn redundant_parentheses_are_noticed() {
    for (text, redundant) in [
        ("(a = b)", false),
        ("((a = b))", true),
        ("(((a = b)))", true),
        ("( (a = b) )", true),
        ("((a = b) AND c = d)", false),
        ("(a = b AND (c = d))", false),
        ("((a = b) AND (c = d))", false),
        ("(NOT (a = b))", false),
        ("NOT ((a = b))", true),
        ("((a)) = b", true),
        ("((a) = (b))", false),
        ("a = ((b))", true),
        ("f((a))", false),
        ("f(((a)))", true),
        ("((f(a)))", true),
        ("((a = b) OR c = d) AND ((e = f))", true),
    ] {
        let parsed = parse_condition(ExpressionKind::Filter, text).unwrap();
        assert_eq!(parsed.redundant_parentheses, redundant, "{text}");
    }
    assert!(parse_update("SET a = ((b + c))").unwrap().redundant_parentheses);
    assert!(!parse_update("SET a = (b + c)").unwrap().redundant_parentheses);
}

#[test]
fn operators_are_counted() {
    for (text, operators) in [
        ("a = b", 1),
        ("a = b AND c = d", 3),
        ("NOT NOT a = b", 3),
        ("size(a) > :v", 2),
        ("a BETWEEN b AND c", 1),
        ("a IN (b, c, d)", 1),
        ("attribute_exists(a) OR f(b, g(c))", 4),
    ] {
        let parsed = parse_condition(ExpressionKind::Condition, text).unwrap();
        assert_eq!(parsed.operators, operators, "{text}");
    }
    assert_eq!(parse_update("SET a = b + c, d = f(e) REMOVE g").unwrap().operators, 2);
}

#[test]
fn sections_may_come_once() {
    assert_eq!(parse_update("SET a = b SET c = d").unwrap().repeated_section, Some("SET"));
    assert_eq!(parse_update("ADD a :v REMOVE b add c :v").unwrap().repeated_section, Some("ADD"));
    assert_eq!(parse_update("SET a = b REMOVE c").unwrap().repeated_section, None);
}

/// Runs with the stack of a small thread: depth must be bounded by count, not by luck.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn bombs_that_fit_are_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        let fill = |piece: &str| piece.repeat(EXPRESSION_BYTES_MAX / piece.len());
        for bomb in ["(", "NOT ", "f(", "NOT (", "f((", "size(", "(a=b AND ", "a.", "a[0]", "-", "a IN ("] {
            let text = fill(bomb);
            assert!(parse_condition(ExpressionKind::Condition, &text).is_err(), "{bomb}");
            let update = format!("SET a = {}", &text[..text.len() - 8]);
            assert!(parse_update(&update).is_err(), "{bomb}");
        }
        check(&fill("("), REDUNDANT_PARENTHESES);
        check(&fill("f("), &too_many_operators(311));
    });
}

#[test]
fn what_is_within_the_limit_on_operators_is_never_too_deep() {
    on_a_small_stack(|| {
        let deep = |count: usize| format!("{}a=b{}", "a=b AND (".repeat(count), ")".repeat(count));
        let text = deep(149);
        let parsed = parse_condition(ExpressionKind::Condition, &text).unwrap();
        assert_eq!(parsed.operators, 299);
        let not = format!("{}a=b{}", "NOT (".repeat(299), ")".repeat(299));
        let parsed = parse_condition(ExpressionKind::Condition, &not).unwrap();
        assert_eq!((parsed.operators, parsed.redundant_parentheses), (300, false));
        drop(parsed);
    });
}
