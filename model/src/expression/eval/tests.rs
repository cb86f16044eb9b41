use crate::{
    expression::{
        ConditionProgram, ExpressionKind, parse_condition,
        testing::{item, with_values},
    },
    item::ItemRef,
};

const ITEM: &str = "{s: 'hello', t: 'world', n: 5, m: 10, neg: -3, b: b'bytes', yes: true, nay: false, nil: null, \
     l: [1, 'two', [3], {four: 4}], o: {x: 1, y: {z: [10, 20]}}, o2: {y: {z: [10, 20]}, x: 1.0}, \
     ss: <'a', 'b'>, ns: <1, 2, 3>, bs: <b'a', b'b'>, es: '', el: [], eo: {}, u: 'é\u{1F600}'}";

const VALUES: &str = "{s: 'hello', p: 'hel', e: '', n: 5, n2: 5.00, m: 10, z: 0, one: 1, two: 2, three: 3, four: 4, six: 6, \
     b: b'bytes', bp: b'by', eb: b'', true: true, null: null, l: [1, 'two', [3], {four: 4}], l3: [3], o4: {four: 4}, \
     ss: <'b', 'a'>, ss1: <'a'>, ns: <3, 1, 2.0>, bs: <b'b', b'a'>, a: 'a', ba: b'a', two_s: 'two', o: {y: {z: [10, 20]}, x: 1}, \
     tS: 'S', tN: 'N', tB: 'B', tBOOL: 'BOOL', tNULL: 'NULL', tL: 'L', tM: 'M', tSS: 'SS', tNS: 'NS', tBS: 'BS'}";

fn eval(text: &str, item: Option<ItemRef<'_>>) -> bool {
    let kind = ExpressionKind::Condition;
    let condition = with_values(VALUES, |placeholders| parse_condition(kind, text, placeholders));
    let condition = condition.unwrap_or_else(|error| panic!("{text}: {}", error.message));
    let program = condition.encode();
    ConditionProgram::check(&program).unwrap_or_else(|corrupt| panic!("{text}: {corrupt}")).eval(item)
}

fn check(text: &str, expected: bool) {
    let bytes = item(ITEM);
    assert_eq!(eval(text, Some(ItemRef::check(&bytes).unwrap())), expected, "{text}");
}

fn holds(texts: &[&str]) {
    texts.iter().for_each(|text| check(text, true));
}

fn fails(texts: &[&str]) {
    texts.iter().for_each(|text| check(text, false));
}

#[test]
fn equality_of_every_type() {
    holds(&[
        "s = :s",
        "n = :n",
        "n = :n2",
        "b = :b",
        "yes = :true",
        "nil = :null",
        "l = :l",
        "o = :o",
        "o = o2",
        "ss = :ss",
        "ns = :ns",
        "bs = :bs",
        "l[0] = :one",
        "l[1] = :two_s",
        "l[3].four = :four",
        "o.y.z[1] > o.y.z[0]",
        ":s = s",
        ":n = :n2",
        "es = :e",
    ]);
    fails(&[
        "s = :p",
        "s = t",
        "n = :m",
        "yes = nay",
        "yes = :null",
        "s = :n",
        "n = :s",
        "b = :s",
        "ss = :ss1",
        "ss = :a",
        "l = :l3",
        "o = :o4",
        "nope = :s",
        ":s = nope",
        "nope = nada",
        "l[4] = :one",
        "o.x.y = :one",
        "s.x = :s",
        "l.x = :one",
        "o[0] = :one",
        "es = :eb",
    ]);
}

#[test]
fn inequality_is_the_opposite_also_of_nothing() {
    holds(&["s <> :p", "s <> :n", "nope <> :s", ":s <> nope", "nope <> nada", "l <> :l3", "yes <> nay"]);
    fails(&["s <> :s", "n <> :n2", "ns <> :ns", "o <> o2"]);
}

#[test]
fn order_of_strings_numbers_and_binaries() {
    holds(&[
        "s < t", "t > s", "s <= :s", "s >= :s", "s > :p", "n < m", "neg < :z", "n <= :n2", "n >= :n2",
        "m > :n", "b > :bp", "b <= :b", "es < s", ":one < n",
    ]);
    fails(&[
        "t < s",
        "s < :s",
        "s > :s",
        "m < n",
        "n > :n2",
        "n < :n2",
        "s < :n",
        "s > :n",
        "n < :s",
        "n > :s",
        "b < :s",
        "b > :s",
        "nope < :n",
        "nope > :n",
        "nope <= :n",
        "nope >= :n",
        ":n > nope",
        "yes < nay",
        "nay < yes",
        "l < o",
        "ss <= ss2",
        "nil >= :e",
    ]);
}

#[test]
fn between() {
    holds(&[
        "n BETWEEN :one AND :m",
        "n BETWEEN :n AND :n2",
        "n BETWEEN neg AND m",
        "s BETWEEN :p AND t",
        "b BETWEEN :bp AND :b",
        ":n BETWEEN n AND m",
        "size(s) BETWEEN :one AND :m",
    ]);
    fails(&[
        "n BETWEEN :six AND :m",
        "n BETWEEN :one AND :two",
        "n BETWEEN m AND neg",
        "s BETWEEN :one AND :m",
        "n BETWEEN nope AND :m",
        "n BETWEEN :one AND nope",
        "nope BETWEEN :one AND :m",
        "n BETWEEN :one AND t",
    ]);
}

#[test]
fn choices() {
    holds(&[
        "n IN (:n)",
        "n IN (:s, :one, :n2)",
        "s IN (t, s2, :s)",
        "o IN (:l, o2)",
        ":n IN (m, n)",
        "yes IN (:true)",
    ]);
    fails(&["n IN (:one)", "n IN (:s, m)", "nope IN (:s, nada)", "s IN (nope)", "size(s) IN (:one)"]);
}

#[test]
fn existence_and_type() {
    holds(&[
        "attribute_exists(s)",
        "attribute_exists(nil)",
        "attribute_exists(l[3].four)",
        "attribute_exists(es)",
        "attribute_not_exists(nope)",
        "attribute_not_exists(l[4])",
        "attribute_not_exists(s.x)",
        "attribute_not_exists(o.y.z[2])",
        "attribute_type(s, :tS)",
        "attribute_type(n, :tN)",
        "attribute_type(b, :tB)",
        "attribute_type(yes, :tBOOL)",
        "attribute_type(nil, :tNULL)",
        "attribute_type(l, :tL)",
        "attribute_type(o, :tM)",
        "attribute_type(ss, :tSS)",
        "attribute_type(ns, :tNS)",
        "attribute_type(bs, :tBS)",
        "attribute_type(o.y.z, :tL)",
    ]);
    fails(&[
        "attribute_exists(nope)",
        "attribute_not_exists(s)",
        "attribute_type(nope, :tS)",
        "attribute_type(nope, :tNULL)",
        "attribute_type(s, :tN)",
        "attribute_type(ss, :tS)",
        "attribute_type(l[0], :tL)",
    ]);
}

#[test]
fn prefixes() {
    holds(&[
        "begins_with(s, :p)",
        "begins_with(s, :s)",
        "begins_with(s, :e)",
        "begins_with(b, :bp)",
        "begins_with(:s, es)",
    ]);
    fails(&[
        "begins_with(s, t)",
        "begins_with(s, :bp)",
        "begins_with(b, :p)",
        "begins_with(n, :p)",
        "begins_with(nope, :p)",
        "begins_with(:p, s)",
        "begins_with(ss, :a)",
        "begins_with(s, nope)",
        "begins_with(l, :two_s)",
    ]);
}

#[test]
fn contents() {
    holds(&[
        "contains(s, :p)",
        "contains(s, :e)",
        "contains(b, :bp)",
        "contains(b, :eb)",
        "contains(ss, :a)",
        "contains(ns, :two)",
        "contains(bs, :ba)",
        "contains(l, :one)",
        "contains(l, :two_s)",
        "contains(l, :l3)",
        "contains(l, :o4)",
        "contains(:ss, :a)",
        "contains(o.y.z, m)",
    ]);
    fails(&[
        "contains(s, t)",
        "contains(s, :bp)",
        "contains(ss, :p)",
        "contains(ss, :ba)",
        "contains(ss, :ss1)",
        "contains(ns, :four)",
        "contains(ns, :a)",
        "contains(bs, :a)",
        "contains(l, :two)",
        "contains(l, :s)",
        "contains(n, :n)",
        "contains(o, :one)",
        "contains(nope, :a)",
        "contains(s, nope)",
        "contains(yes, :true)",
        "contains(el, :one)",
    ]);
}

#[test]
fn sizes() {
    holds(&[
        "size(s) = :n",
        "size(b) = :n",
        "size(l) = :four",
        "size(o) = :two",
        "size(ss) = :two",
        "size(ns) = :three",
        "size(bs) = :two",
        "size(es) = :z",
        "size(el) = :z",
        "size(eo) = :z",
        "size(u) = :six",
        "size(s) < size(m2) OR :z = :z",
        "size(:s) = size(s)",
        "size(l) > size(o)",
        "size(n) <> :one",
        "size(nope) <> :z",
    ]);
    fails(&[
        "size(n) = :one",
        "size(yes) = :one",
        "size(nil) = :z",
        "size(nope) = :z",
        "size(s) = :two",
        "size(s) = :s",
    ]);
}

#[test]
fn logic() {
    holds(&[
        "s = :s AND n = :n",
        "s = :p OR n = :n",
        "NOT s = :p",
        "NOT (s = :p AND n = :n)",
        "s = :p AND n = :m OR b = :b",
        "s = :s OR n = :m AND b = :bp",
        "(s = :s OR n = :m) AND b = :b",
        "NOT nope = :s",
        "NOT NOT s = :s",
        "s = :p OR s = :e OR s = :s OR s = t",
        "NOT nope < :n AND NOT nope > :n",
    ]);
    fails(&[
        "s = :s AND n = :m",
        "s = :p OR n = :m",
        "NOT s = :s",
        "(s = :s OR n = :m) AND b = :bp",
        "NOT (s = :p OR n = :n)",
        "s = :s AND n = :n AND b = :bp",
        "NOT NOT NOT s = :s",
    ]);
}

#[test]
fn without_an_item_nothing_exists() {
    for (text, expected) in [
        ("attribute_not_exists(pk)", true),
        ("attribute_exists(pk)", false),
        ("a = :s", false),
        ("a <> :s", true),
        (":s = :s", true),
        ("size(a) = :z", false),
        ("attribute_not_exists(a.b[0].c) AND NOT a IN (:s, :n)", true),
    ] {
        assert_eq!(eval(text, None), expected, "{text}");
    }
}

#[test]
fn skipped_conditions_leave_the_rest_in_place() {
    let long =
        "s = :p AND (s = :s OR (n IN (:one, :two, :n) AND contains(l, :o4)) OR attribute_type(o, :tM))";
    check(&format!("({long}) OR n = :n"), true);
    check(&format!("({long}) OR n = :m"), false);
    check(&format!("NOT ({long}) AND (n = :n OR {long}) AND m = :m"), true);
    check("n IN (:n, :one, :two) AND m = :m", true);
    check("n IN (:n, :one, :two) AND m = :n", false);
}
