use crate::{
    expression::{
        UpdateProgram, parse_update,
        testing::{attributes, item, show_item, with_values},
    },
    item::{ItemRef, Value},
    limits::ITEM_BYTES_MAX,
};

const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const INVALID_PATH: &str = "The document path provided in the update expression is invalid for update";
const TOO_LARGE: &str = "Item size to update has exceeded the maximum allowed size";

/// New item, UPDATED_OLD, UPDATED_NEW; or the message.
fn update(old: Option<&[u8]>, values: &str, text: &str) -> Result<[String; 3], String> {
    let update = with_values(values, |placeholders| parse_update(text, placeholders));
    let program = update.unwrap_or_else(|error| panic!("{text}: {}", error.message)).encode();
    let program = UpdateProgram::check(&program).unwrap_or_else(|corrupt| panic!("{text}: {corrupt}"));
    let old = old.map(|bytes| ItemRef::check(bytes).unwrap());
    let key = item("{pk: 'k'}");
    let updated = program.apply(old, ItemRef::check(&key).unwrap()).map_err(|error| error.message)?;
    let show = |item: Option<Vec<u8>>| item.map_or("-".to_string(), |item| show_item(&item));
    Ok([show_item(&updated.item), show(updated.updated_old(old)), show(updated.updated_new())])
}

fn check(old: &str, values: &str, text: &str, expected: &str) {
    let found = update(Some(&item(old)), values, text).map_or_else(|message| message, |[new, ..]| new);
    assert_eq!(found, expected, "{text} on {old}");
}

#[test]
fn set() {
    check("{a: 1}", "{v: 2}", "SET a = :v", "{a: 2}");
    check("{a: 1}", "{v: 'x'}", "SET b = :v", "{a: 1, b: 'x'}");
    check("{a: 1, b: 2}", "{}", "SET a = b, b = a", "{a: 2, b: 1}");
    check("{a: 1}", "{v: {x: [1]}}", "SET b = :v, c = a", "{a: 1, b: {x: [1]}, c: 1}");
    check(
        "{a: {b: {c: 1}}}",
        "{v: 2}",
        "SET a.b.c = :v, a.b.d = :v, a.e = :v",
        "{a: {b: {c: 2, d: 2}, e: 2}}",
    );
    check("{a: 1, b: {x: [1, {y: 2}]}}", "{}", "SET a = b.x[1].y", "{a: 2, b: {x: [1, {y: 2}]}}");
    check("{a: 1}", "{v: 1}", "SET #dot = :v", "{a: 1, a.b: 1}");
    check("{a: 1}", "{}", "SET b = c", MISSING);
    check("{a: 1}", "{}", "SET b = a.x", MISSING);
    check("{a: [1]}", "{}", "SET b = a[1]", MISSING);
}

#[test]
fn set_inside() {
    check("{a: 1}", "{v: 1}", "SET b.c = :v", INVALID_PATH);
    check("{a: 1}", "{v: 1}", "SET a.c = :v", INVALID_PATH);
    check("{a: {x: 1}}", "{v: 1}", "SET a.b.c = :v", INVALID_PATH);
    check("{a: {x: 1}}", "{v: 1}", "SET a[0] = :v", INVALID_PATH);
    check("{a: [1]}", "{v: 1}", "SET a.x = :v", INVALID_PATH);
    check("{a: [1]}", "{v: 1}", "SET a[1].x = :v", INVALID_PATH);
    check("{a: [{}]}", "{v: 1}", "SET a[0].x = :v", "{a: [{x: 1}]}");
}

#[test]
fn set_list_elements() {
    check("{l: [1, 2, 3]}", "{v: 9}", "SET l[1] = :v", "{l: [1, 9, 3]}");
    check("{l: [1, 2, 3]}", "{v: 9}", "SET l[3] = :v", "{l: [1, 2, 3, 9]}");
    check("{l: [1, 2, 3]}", "{v: 9}", "SET l[70] = :v", "{l: [1, 2, 3, 9]}");
    check("{l: []}", "{v: 7, w: 8, x: 9}", "SET l[20] = :x, l[3] = :w, l[1] = :v", "{l: [7, 8, 9]}");
    check("{l: [1, 2]}", "{v: 9}", "SET l[0] = l[1], l[1] = l[0]", "{l: [2, 1]}");
}

#[test]
fn arithmetic() {
    check("{a: 1, b: 2.5}", "{v: 3}", "SET a = a + :v, b = :v - b", "{a: 4, b: 0.5}");
    check("{a: 1, b: 2}", "{}", "SET c = a - b, d = (a + b)", "{a: 1, b: 2, c: -1, d: 3}");
    check("{a: 1}", "{v: 1}", "SET a = b + :v", MISSING);
    check("{a: 'x'}", "{v: 1}", "SET a = a + :v", WRONG_TYPE);
    check(
        "{a: 9e125}",
        "{v: 9e125}",
        "SET a = a + :v",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    );
    check("{a: 1}", "{z: 0, one: 1}", "SET c = if_not_exists(c, :z) + :one", "{a: 1, c: 1}");
    check("{c: 4}", "{z: 0, one: 1}", "SET c = if_not_exists(c, :z) + :one", "{c: 5}");
    check("{a: 1}", "{s: 's', one: 1}", "SET c = if_not_exists(c, :s) + :one", WRONG_TYPE);
}

#[test]
fn functions() {
    check("{a: 1}", "{v: 2}", "SET a = if_not_exists(a, :v), b = if_not_exists(b, :v)", "{a: 1, b: 2}");
    check(
        "{a: 1}",
        "{v: 2}",
        "SET b = if_not_exists(c, a), d = if_not_exists(e, if_not_exists(f, :v))",
        "{a: 1, b: 1, d: 2}",
    );
    check("{a: 1}", "{v: 2}", "SET b = if_not_exists(a, nope), c = :v", "{a: 1, b: 1, c: 2}");
    check("{a: 1}", "{}", "SET b = if_not_exists(c, d)", MISSING);
    check("{l: [1]}", "{v: [2, 3]}", "SET l = list_append(l, :v)", "{l: [1, 2, 3]}");
    check(
        "{l: [1]}",
        "{v: [2, 3]}",
        "SET l = list_append(:v, l), m = list_append(l, l)",
        "{l: [2, 3, 1], m: [1, 1]}",
    );
    check("{a: 1}", "{e: [], v: ['x']}", "SET l = list_append(if_not_exists(l, :e), :v)", "{a: 1, l: ['x']}");
    check("{l: [1]}", "{v: [2]}", "SET l = list_append(list_append(:v, l), :v)", "{l: [2, 1, 2]}");
    check("{a: 1}", "{v: [2]}", "SET a = list_append(a, :v)", WRONG_TYPE);
    check("{a: 1}", "{v: [2]}", "SET a = list_append(l, :v)", MISSING);
    check("{s: <'a'>}", "{v: [2]}", "SET s = list_append(s, :v)", WRONG_TYPE);
}

#[test]
fn remove() {
    check("{a: 1, b: 2}", "{}", "REMOVE a", "{b: 2}");
    check("{a: 1}", "{}", "REMOVE nope", "{a: 1}");
    check("{a: {b: 1, c: 2}}", "{}", "REMOVE a.b", "{a: {c: 2}}");
    check("{a: {b: 1, c: 2, d: 3}, e: 1}", "{}", "REMOVE a.b, e, a.d", "{a: {c: 2}}");
    check("{a: {b: 1}}", "{}", "REMOVE a.b", "{a: {}}");
    check("{a: {b: 1}}", "{}", "REMOVE a.nope", "{a: {b: 1}}");
    check("{a: 1}", "{}", "REMOVE nope.b", INVALID_PATH);
    check("{a: 1}", "{}", "REMOVE a.b", INVALID_PATH);
    check("{a: {b: 1}}", "{}", "REMOVE a.nope.c", INVALID_PATH);
    check("{a: {b: 1}}", "{}", "REMOVE a[0]", INVALID_PATH);
    check("{l: [1]}", "{}", "REMOVE l.x", INVALID_PATH);
}

#[test]
fn removed_elements_are_counted_in_the_old_list() {
    check("{l: [0, 1, 2, 3, 4]}", "{}", "REMOVE l[1]", "{l: [0, 2, 3, 4]}");
    check("{l: [0, 1, 2, 3, 4]}", "{}", "REMOVE l[0], l[3], l[1]", "{l: [2, 4]}");
    check("{l: [0, 1]}", "{}", "REMOVE l[0], l[1]", "{l: []}");
    check("{l: [0, 1]}", "{}", "REMOVE l[2], l[9], l[0]", "{l: [1]}");
    check("{l: [0, 1, 2]}", "{v: 9}", "REMOVE l[0] SET l[2] = :v", "{l: [1, 9]}");
    check("{l: [0, 1, 2]}", "{v: 9}", "REMOVE l[0], l[3] SET l[7] = :v", "{l: [1, 2, 9]}");
    check("{l: [[0, 1], {m: [2, 3]}, 4]}", "{}", "REMOVE l[0], l[1].m[0], l[2]", "{l: [{m: [3]}]}");
    check("{l: [[0, 1], [2, 3], 4]}", "{}", "REMOVE l[0][1], l[1][0], l[2]", "{l: [[0], [3]]}");
}

#[test]
fn add() {
    check("{a: 1}", "{v: 2}", "ADD a :v", "{a: 3}");
    check("{a: 1}", "{v: -2.5}", "ADD a :v, b :v", "{a: -1.5, b: -2.5}");
    check("{s: <'a', 'b'>}", "{v: <'b', 'c'>}", "ADD s :v", "{s: <'a', 'b', 'c'>}");
    check(
        "{n: <1>, b: <b'x'>}",
        "{v: <1.0, 2>, w: <b'y'>}",
        "ADD n :v, b :w, c :v",
        "{b: <b'x', b'y'>, c: <1, 2>, n: <1, 2>}",
    );
    check("{m: {x: 1}}", "{v: 1}", "ADD m.x :v, m.y :v", "{m: {x: 2, y: 1}}");
    check("{l: [1]}", "{v: 1}", "ADD l[0] :v, l[5] :v", "{l: [2, 1]}");
    check("{a: 'x'}", "{v: 1}", "ADD a :v", WRONG_TYPE);
    check("{a: 1}", "{v: <1>}", "ADD a :v", WRONG_TYPE);
    check("{s: <'a'>}", "{v: <1>}", "ADD s :v", WRONG_TYPE);
    check("{a: 1}", "{v: 1}", "ADD b.c :v", INVALID_PATH);
    check("{a: 1}", "{v: 1}", "ADD a.c :v", INVALID_PATH);
    check(
        "{a: 9e125}",
        "{v: 9e125}",
        "ADD a :v",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    );
}

#[test]
fn delete() {
    check("{s: <'a', 'b', 'c'>}", "{v: <'b', 'x'>}", "DELETE s :v", "{s: <'a', 'c'>}");
    check(
        "{n: <1, 2>, b: <b'x', b'y'>}",
        "{v: <2.0>, w: <b'x'>}",
        "DELETE n :v, b :w",
        "{b: <b'y'>, n: <1>}",
    );
    check("{a: 1, s: <'a'>}", "{v: <'a', 'b'>}", "DELETE s :v", "{a: 1}");
    check("{m: {s: <'a'>, t: 1}}", "{v: <'a'>}", "DELETE m.s :v", "{m: {t: 1}}");
    check("{l: [<1>, <2>, 3]}", "{v: <1>}", "DELETE l[0] :v, l[1] :v", "{l: [<2>, 3]}");
    check("{a: 1}", "{v: <'a'>}", "DELETE s :v", "{a: 1}");
    check("{m: {}}", "{v: <'a'>}", "DELETE m.s :v", "{m: {}}");
    check("{a: 1}", "{v: <'a'>}", "DELETE a :v", WRONG_TYPE);
    check("{s: <'a'>}", "{v: <1>}", "DELETE s :v", WRONG_TYPE);
    check("{a: 1}", "{v: <'a'>}", "DELETE m.s :v", INVALID_PATH);
}

#[test]
fn a_new_item_begins_with_its_key() {
    let check = |values: &str, text: &str, expected: &str| {
        let found = update(None, values, text).map_or_else(|message| message, |shown| shown.join(" "));
        assert_eq!(found, expected, "{text}");
    };
    check("{v: 1}", "SET a = :v", "{a: 1, pk: 'k'} - {a: 1}");
    check("{v: 1}", "ADD a :v", "{a: 1, pk: 'k'} - {a: 1}");
    check("{v: 1}", "SET a = if_not_exists(a, :v)", "{a: 1, pk: 'k'} - {a: 1}");
    check("{}", "REMOVE a", "{pk: 'k'} - -");
    check("{v: <1>}", "DELETE a :v", "{pk: 'k'} - -");
    check("{}", "SET a = b", MISSING);
    check("{v: 1}", "SET a.b = :v", INVALID_PATH);
    check("{}", "REMOVE a.b", INVALID_PATH);
}

#[test]
fn taking_away_from_nothing_makes_no_item() {
    let makes = |old: Option<&str>, text: &str| {
        let update = with_values("{v: <1>}", |placeholders| parse_update(text, placeholders)).unwrap();
        let (program, key, old) = (update.encode(), item("{pk: 'k'}"), old.map(item));
        let old = old.as_ref().map(|old| ItemRef::check(old).unwrap());
        let updated = UpdateProgram::check(&program).unwrap().apply(old, ItemRef::check(&key).unwrap());
        updated.unwrap().makes_item
    };
    assert!(!makes(None, "REMOVE a"));
    assert!(!makes(None, "REMOVE a DELETE b :v"));
    assert!(makes(None, "REMOVE a ADD b :v"));
    assert!(makes(None, "SET a = :v"));
    assert!(makes(Some("{pk: 'k'}"), "REMOVE a"));
    assert!(makes(Some("{pk: 'k', a: 1}"), "REMOVE a"));

    let (program, key) = (crate::expression::Update::default().encode(), item("{pk: 'k'}"));
    let updated = UpdateProgram::check(&program).unwrap().apply(None, ItemRef::check(&key).unwrap());
    assert!(updated.unwrap().makes_item, "an update without actions makes an item of its key");
}

#[test]
fn touched_paths_before_and_after() {
    let check = |old: &str, values: &str, text: &str, before: &str, after: &str| {
        let [_, found_before, found_after] = update(Some(&item(old)), values, text).unwrap();
        assert_eq!((found_before.as_str(), found_after.as_str()), (before, after), "{text} on {old}");
    };
    check("{a: 1, b: 2}", "{v: 3}", "SET a = :v", "{a: 1}", "{a: 3}");
    check("{a: 1, b: 2}", "{v: 3}", "SET c = :v", "-", "{c: 3}");
    check("{a: 1, b: 2}", "{}", "REMOVE a", "{a: 1}", "-");
    check("{a: 1, b: 2}", "{v: 3}", "REMOVE a SET b = :v", "{a: 1, b: 2}", "{b: 3}");
    check("{a: {b: 1, c: 2}}", "{v: 3}", "SET a.b = :v, a.d = :v", "{a: {b: 1}}", "{a: {b: 3, d: 3}}");
    check("{l: [1, 2, 3]}", "{v: 9}", "SET l[1] = :v, l[9] = :v", "{l: [2]}", "{l: [9, 9]}");
    check("{l: [1, 2, 3]}", "{v: 9}", "SET l[2] = :v REMOVE l[0]", "{l: [1, 3]}", "{l: [9]}");
    check("{s: <'a'>}", "{v: <'b'>}", "ADD s :v", "{s: <'a'>}", "{s: <'a', 'b'>}");
    check(
        "{s: <'a', 'b'>, t: <'b'>}",
        "{v: <'b'>}",
        "DELETE s :v, t :v",
        "{s: <'a', 'b'>, t: <'b'>}",
        "{s: <'a'>}",
    );
    check("{a: 1}", "{}", "REMOVE b", "-", "-");
}

#[test]
fn untouched_attributes_stay_as_they_are() {
    let old = "{a: 1, b: [1, {c: <1, 2>}], c: {d: b'x'}, e: null, f: 1.50}";
    check(old, "{v: 0}", "SET a = :v", "{a: 0, b: [1, {c: <1, 2>}], c: {d: b'x'}, e: null, f: 1.5}");
    check(old, "{v: 0}", "SET z = :v", "{a: 1, b: [1, {c: <1, 2>}], c: {d: b'x'}, e: null, f: 1.5, z: 0}");
}

#[test]
fn items_have_a_size() {
    let big = |bytes: usize| format!("{{a: '{}'}}", "x".repeat(bytes));
    let fits = item(&big(ITEM_BYTES_MAX - 1 - 2));
    assert!(update(Some(&fits), "{v: ''}", "SET b = :v, c = :v").is_ok());
    assert_eq!(update(Some(&fits), "{v: 'y'}", "SET b = :v, c = :v").unwrap_err(), TOO_LARGE);
    let half = item(&big(ITEM_BYTES_MAX / 2));
    assert!(update(Some(&half), "{}", "SET a = a").is_ok());
    assert_eq!(update(Some(&half), "{}", "SET b = a").unwrap_err(), TOO_LARGE);
}

#[test]
fn copies_are_bounded_before_they_are_made() {
    let old = item(&format!("{{a: [{}]}}", "1,".repeat(50_000)));
    let copies: Vec<_> = (0..500).map(|index| format!("b{index}=a")).collect();
    assert_eq!(update(Some(&old), "{}", &format!("SET {}", copies.join(","))).unwrap_err(), TOO_LARGE);
    let appended = (0..40).fold("a".to_string(), |text, _| format!("list_append({text},a)"));
    assert_eq!(update(Some(&old), "{}", &format!("SET a = {appended}")).unwrap_err(), TOO_LARGE);
}

#[test]
fn many_elements_go_at_once() {
    let old = item(&format!("{{l: [{}]}}", "1,".repeat(50_000)));
    let gone: Vec<_> = (0..400).map(|index| format!("l[{}]", index * 3)).collect();
    let update =
        with_values("{}", |names| parse_update(&format!("REMOVE {}", gone.join(",")), names)).unwrap();
    let program = update.encode();
    let old = ItemRef::check(&old).unwrap();
    let updated = UpdateProgram::check(&program).unwrap().apply(Some(old), old).unwrap();
    let Value::L(left) = &Value::attributes(ItemRef::check(&updated.item).unwrap())["l"] else {
        panic!("no list")
    };
    assert_eq!(left.len(), 50_000 - 400);
}

#[test]
fn items_have_a_depth() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let deep = "Nesting Levels have exceeded supported limits: \
         Attributes in the item have nested levels beyond supported limit";
    check("{a: 1}", &format!("{{v: {}}}", nested(32)), "SET a = :v", &format!("{{a: {}}}", nested(32)));
    check("{a: [1]}", &format!("{{v: {}}}", nested(31)), "SET a[0] = :v", &format!("{{a: {}}}", nested(32)));
    check("{a: [1]}", &format!("{{v: {}}}", nested(32)), "SET a[0] = :v", deep);
    check(&format!("{{a: {}, b: [1]}}", nested(32)), "{}", "SET b[0] = a", deep);
    assert_eq!(attributes(&format!("{{a: {}}}", nested(32))).len(), 1);
}
