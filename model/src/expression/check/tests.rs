use super::*;
use crate::expression::testing::with_values;

fn check(text: &str, expected: &str) {
    let found = match with_values("{}", |placeholders| parse_projection(text, placeholders)) {
        Ok(projection) => projection.paths.iter().map(Path::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.message,
    };
    assert_eq!(found, expected, "{text}");
}

fn check_clash(text: &str, verb: &str, one: &str, two: &str) {
    let advice = "must remove or rewrite one of these paths";
    check(
        text,
        &format!(
            "Invalid ProjectionExpression: Two document paths {verb} with each other; {advice}; path one: {one}, path two: {two}"
        ),
    );
}

#[test]
fn projections() {
    check("a", "[a]");
    check("b, a.c[0].#d, #name, #dot", "[b] [a, c, [0], d] [name] [a.b]");
    check("a.b, a.c, a.bc", "[a, b] [a, c] [a, bc]");
    check("a[0], a[10], a[1]", "[a, [0]] [a, [10]] [a, [1]]");
    check("", "Invalid ProjectionExpression: The expression can not be empty;");
    check("a b", "Invalid ProjectionExpression: Syntax error; token: \"b\", near: \"a b\"");
    check(
        "a, user",
        "Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: user",
    );
    check(
        "#zz",
        "Invalid ProjectionExpression: An expression attribute name used in the document path is not defined; \
         attribute name: #zz",
    );
    check("size(a)", "Invalid ProjectionExpression: Syntax error; token: \"(\", near: \"size(a\"");
}

/// An alias of three bytes can stand for 65,535, many times in one text.
#[test]
fn names_do_not_blow_up() {
    let name = "x".repeat(65_535);
    let parse = |count: usize| {
        let mut placeholders = Placeholders::new();
        placeholders.set_names([("#x", name.as_str())]).unwrap();
        let paths: Vec<String> = (0..count).map(|index| format!("a{index}.#x")).collect();
        parse_projection(&paths.join(","), &mut placeholders)
    };
    assert!(parse(32).is_ok());
    let refused = "Invalid ProjectionExpression: Expression size has exceeded the maximum allowed size";
    assert_eq!(parse(400).unwrap_err().message, format!("{refused}; expression size: {}", 33 * 65_535));
}

#[test]
fn overlapping_paths() {
    check_clash("a, a", "overlap", "[a]", "[a]");
    check_clash("a, b, #a", "overlap", "[a]", "[a]");
    check_clash("a, a.b", "overlap", "[a]", "[a, b]");
    check_clash("a.b, a", "overlap", "[a, b]", "[a]");
    check_clash("a.b[1].c, x, a.b[1]", "overlap", "[a, b, [1], c]", "[a, b, [1]]");
    check_clash("a[1], a[1]", "overlap", "[a, [1]]", "[a, [1]]");
    check_clash("c, b, a, b.x, c.x", "overlap", "[b]", "[b, x]");
}

#[test]
fn conflicting_paths() {
    check_clash("a.b, a[0]", "conflict", "[a, b]", "[a, [0]]");
    check_clash("a[0], a.b", "conflict", "[a, [0]]", "[a, b]");
    check_clash("a.b.c, x, a.b[7].d", "conflict", "[a, b, c]", "[a, b, [7], d]");
}

/// Neighbours in order are enough to find any two paths that are in each other's way.
#[test]
fn neighbours_tell() {
    let mut chance = crate::testing::Chance::new(7);
    for _ in 0..3000 {
        let paths: Vec<Path> = (0..1 + chance.below(6)).map(|_| draw_path(&mut chance)).collect();
        let mut pairs = (0..paths.len()).flat_map(|two| (0..two).map(move |one| (one, two)));
        let expected = pairs.any(|(one, two)| clash(&paths[one], &paths[two]).is_some());
        let mut placeholders = Placeholders::new();
        let mut checker = Checker::new(ExpressionKind::Update, &mut placeholders);
        checker.disjoint(&paths);
        assert_eq!(checker.faults[Fault::Overlap as usize].is_some(), expected, "{paths:?}");
    }
}

fn draw_path(chance: &mut crate::testing::Chance) -> Path {
    let name =
        |chance: &mut crate::testing::Chance| Segment::Name(["a", "b"][chance.below(2) as usize].to_string());
    let mut segments = vec![name(chance)];
    for _ in 0..chance.below(4) {
        segments.push(match chance.below(3) {
            0 => Segment::Index(chance.below(2) as u32),
            _ => name(chance),
        });
    }
    Path(segments)
}
