//! The languages from text to answer: whatever the text, there is one.

use super::{
    testing::{item, schema, with_values},
    *,
};
use crate::{item::ItemRef, testing::Chance};

const ITEM: &str = "{a: 1, b: {c: [1, 'x', {d: 2}]}, s: <'x'>, l: [1, 2, 3], n: 5}";
const VALUES: &str = "{v: 1, w: 'x', l: [1], s: <'x'>, t: 'N', o: {c: 1}, p: 'key'}";

/// Pieces of which some make sense together.
const PIECES: [&str; 50] = [
    "a",
    "b.c",
    "b.c[2].d",
    "s",
    "l[1]",
    "n",
    "#a",
    "#dot",
    "pk",
    "sk",
    ":v",
    ":w",
    ":l",
    ":s",
    ":t",
    ":o",
    ":p",
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "(",
    ")",
    "(",
    ")",
    ",",
    ",",
    "+",
    "-",
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "size(",
    "contains(",
    "begins_with(",
    "attribute_exists(",
    "attribute_type(",
    "if_not_exists(",
    "list_append(",
    "name",
    "é",
    "[",
];

/// Whole phrases, so that many texts are without a fault.
const PHRASES: [&str; 16] = [
    "a = :v",
    "NOT b.c[0] < :v",
    "contains(s, :w)",
    "size(l) >= n",
    "a IN (:v, :w)",
    "n BETWEEN :v AND n2",
    "(a <> n)",
    "attribute_type(n, :t)",
    "SET a = a + :v",
    "x = if_not_exists(x, :v)",
    "l = list_append(l, :l)",
    "REMOVE b.c[1], l[0]",
    "ADD n :v",
    "DELETE s :s",
    "pk = :p",
    "sk > :v",
];

pub(super) fn draw_text(chance: &mut Chance) -> String {
    let mut text = String::new();
    for _ in 0..=chance.below(12) {
        text.push_str(match chance.below(3) {
            0 => PHRASES[chance.below(16) as usize],
            _ => PIECES[chance.below(50) as usize],
        });
        text.push_str([" ", " ", "", " AND ", ", "][chance.below(5) as usize]);
    }
    text
}

/// Parses as every language, and runs what parses. How many did?
fn run(text: &str, item: ItemRef<'_>) -> [usize; 4] {
    let mut fine = [0; 4];
    if let Ok(condition) = with_values(VALUES, |names| parse_condition(ExpressionKind::Filter, text, names)) {
        let program = condition.encode();
        let program = ConditionProgram::check(&program).unwrap_or_else(|corrupt| panic!("{text}: {corrupt}"));
        program.eval(Some(item));
        program.eval(None);
        fine[0] += 1;
    }
    if let Ok(update) = with_values(VALUES, |names| parse_update(text, names)) {
        let program = update.encode();
        let program = UpdateProgram::check(&program).unwrap_or_else(|corrupt| panic!("{text}: {corrupt}"));
        for old in [Some(item), None] {
            if let Ok(updated) = program.apply(old, item) {
                ItemRef::check(&updated.item).unwrap_or_else(|corrupt| panic!("{text}: {corrupt}"));
            }
        }
        fine[1] += 1;
    }
    if let Ok(projection) = with_values("{}", |names| parse_projection(text, names)) {
        let program = projection.encode();
        let program =
            ProjectionProgram::check(&program).unwrap_or_else(|corrupt| panic!("{text}: {corrupt}"));
        ItemRef::check(&program.project(item)).unwrap_or_else(|corrupt| panic!("{text}: {corrupt}"));
        fine[2] += 1;
    }
    let key_condition = with_values(VALUES, |names| parse_key_condition(text, names, &schema()));
    fine[3] += usize::from(key_condition.is_ok());
    fine
}

#[test]
fn every_text_has_an_answer() {
    let mut chance = Chance::new(11);
    let bytes = item(ITEM);
    let mut fine = [0; 4];
    for _ in 0..20_000 {
        let found = run(&draw_text(&mut chance), ItemRef::check(&bytes).unwrap());
        fine.iter_mut().zip(found).for_each(|(total, found)| *total += found);
    }
    assert!(fine.iter().all(|count| *count > 10), "each language was met: {fine:?}");
}

#[test]
fn cut_and_changed_texts_have_an_answer() {
    let texts = [
        "attribute_exists(b.c[2].d) AND (NOT a = :v OR n BETWEEN :v AND :v) AND size(s) IN (:v, :w)",
        "SET a = if_not_exists(a, :v) + :v, l = list_append(l, :l) REMOVE b.c[1] ADD n :v DELETE s :s",
        "a, b.c[2].d, l[0], l[1], #dot",
        "pk = :p AND sk BETWEEN :v AND :v",
    ];
    let bytes = item(ITEM);
    let item = ItemRef::check(&bytes).unwrap();
    for (language, text) in texts.into_iter().enumerate() {
        assert_eq!(run(text, item)[language], 1, "{text}");
        for place in 0..text.len() {
            run(&text[..place], item);
            run(&text[place..], item);
            for sign in ["(", ")", "é", " ", ".", "[", "#", ":", "<"] {
                run(&[&text[..place], sign, &text[place..]].concat(), item);
                run(&[&text[..place], sign, &text[place + 1..]].concat(), item);
            }
        }
    }
}
