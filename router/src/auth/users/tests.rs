use super::*;

fn user(name: &str) -> User {
    User {
        name: name.to_owned(),
        access_key_id: format!("TORC{name:A>16}"),
        secret: Secret::new("0123456789abcdef".to_owned()),
        tables: vec!["orders-*".to_owned(), "music".to_owned()],
        actions: vec!["Get*".to_owned(), "PutItem".to_owned()],
    }
}

#[test]
fn patterns() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("*", "anything", true),
        ("music", "music", true),
        ("music", "musi", false),
        ("music", "musica", false),
        ("", "", true),
        ("", "a", false),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("*a", "ab", false),
        ("a*c", "abcbc", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "acb", false),
        ("**", "x", true),
        ("a.c", "abc", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern:?} on {text:?}");
    }
}

/// A pattern of many stars takes no more time than its length times the text's.
#[test]
fn a_pattern_cannot_blow_up() {
    assert!(!matches(&"a*".repeat(120), &"a".repeat(100)));
    assert!(!matches(&format!("{}b", "*a".repeat(120)), &"a".repeat(100_000)));
}

#[test]
fn what_is_not_named_is_not_allowed() {
    let user = user("app");
    for (action, table, expected) in [
        ("GetItem", Some("music"), true),
        ("PutItem", Some("orders-2026"), true),
        ("DeleteItem", Some("music"), false),
        ("GetItem", Some("musicians"), false),
        ("GetItem", None, false),
    ] {
        assert_eq!(user.may(action, table), expected, "{action} on {table:?}");
    }
    let all = User { tables: vec!["*".into()], actions: vec!["*".into()], ..user.clone() };
    assert!(all.may("ListTables", None) && all.may("PutItem", Some("t")));
    let none = User { tables: vec![], actions: vec![], ..user.clone() };
    assert!(!none.may("GetItem", Some("music")) && !none.may("ListTables", None));
    let no_actions = User { actions: vec![], ..all.clone() };
    assert!(!no_actions.may("GetItem", Some("music")));
}

#[test]
fn users_that_cannot_be_are_refused() {
    let refused = |user: User, part: &str| {
        let why = Users::new(vec![user]).expect_err("it is refused");
        assert!(why.contains(part), "{why}");
        assert!(!why.contains("0123456789"), "{why}");
    };
    refused(User { name: String::new(), ..user("a") }, "name");
    refused(User { name: "a b".into(), ..user("a") }, "name");
    refused(User { name: "a".repeat(65), ..user("a") }, "name");
    refused(User { access_key_id: "SHORT".into(), ..user("a") }, "access key id");
    refused(User { access_key_id: "TORC/AAAAAAAAAAAAAAA".into(), ..user("a") }, "access key id");
    refused(User { secret: Secret::new("short".into()), ..user("a") }, "secret");
    refused(User { secret: Secret::new("0123456789abc def".into()), ..user("a") }, "secret");
    refused(User { tables: vec!["a b".into()], ..user("a") }, "a b");
    refused(User { actions: vec![String::new()], ..user("a") }, "pattern");
    refused(User { tables: vec!["*".into(); PATTERNS_MAX + 1], ..user("a") }, "too many");
    let same_name = Users::new(vec![user("a"), User { access_key_id: "B".repeat(20), ..user("a") }]);
    assert!(same_name.expect_err("refused").contains("twice"));
    let same_key = Users::new(vec![user("a"), User { name: "b".into(), ..user("a") }]);
    assert!(same_key.expect_err("refused").contains("another"));
}

#[test]
fn a_secret_is_not_shown() {
    let users = Users::new(vec![user("app")]).expect("it can be");
    let shown = format!("{users:?} {:?}", Secret::new("hidden-hidden-hidden".into()));
    assert!(!shown.contains("0123456789abcdef") && !shown.contains("hidden"), "{shown}");
    assert_eq!((users.len(), users.is_empty()), (1, false));
    assert_eq!(users.position(&user("app").access_key_id), Some(0));
    assert_eq!(users.position("TORCNOBODY"), None);
}
