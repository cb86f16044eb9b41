use crate::{
    expression::{
        ProjectionProgram, parse_projection,
        testing::{item, show_item, with_values},
    },
    item::ItemRef,
};

fn check(text: &str, expected: &str) {
    const ITEM: &str = "{a: 1, b: {c: 2, d: {e: 3, f: 'x'}, g: {}}, l: [10, [20, 21], {m: 30, n: 31}, 40], s: <'x'>, a.b: 7}";
    let projection = with_values("{}", |placeholders| parse_projection(text, placeholders)).unwrap();
    let program = projection.encode();
    let bytes = item(ITEM);
    let projected = ProjectionProgram::check(&program).unwrap().project(ItemRef::check(&bytes).unwrap());
    assert_eq!(show_item(&projected), expected, "{text}");
}

#[test]
fn attributes() {
    check("a", "{a: 1}");
    check("s, a", "{a: 1, s: <'x'>}");
    check("nope", "{}");
    check("nope, a", "{a: 1}");
    check("#dot", "{a.b: 7}");
    check("b.g", "{b: {g: {}}}");
}

#[test]
fn parts_keep_their_place() {
    check("b.c", "{b: {c: 2}}");
    check("b.d.e, b.c", "{b: {c: 2, d: {e: 3}}}");
    check("b.d.e, a, b.d.f", "{a: 1, b: {d: {e: 3, f: 'x'}}}");
    check("b.d", "{b: {d: {e: 3, f: 'x'}}}");
}

#[test]
fn lists_close_up_in_the_order_of_indexes() {
    check("l[0]", "{l: [10]}");
    check("l[3], l[0]", "{l: [10, 40]}");
    check("l[1][1], l[2].n", "{l: [[21], {n: 31}]}");
    check("l[2].m, l[2].n", "{l: [{m: 30, n: 31}]}");
    check("l[7], l[3]", "{l: [40]}");
}

#[test]
fn what_is_not_there_leaves_nothing() {
    check("b.nope", "{}");
    check("b.nope, b.c", "{b: {c: 2}}");
    check("b.d.nope.deeper", "{}");
    check("l[9]", "{}");
    check("l.x", "{}");
    check("b[0]", "{}");
    check("l[2].m.x", "{}");
}
