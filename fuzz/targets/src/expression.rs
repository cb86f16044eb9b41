//! Expressions: any text in all five languages, from text to answer; and any bytes as their programs.

use std::collections::BTreeMap;

use model::error::ApiError;
use model::expression::{
    ConditionProgram, ExpressionCache, ExpressionKind, Placeholders, ProjectionProgram, UpdateProgram,
    parse_condition, parse_key_condition, parse_projection, parse_update,
};
use model::item::{ItemRef, Value};
use model::key::{KeyAttribute, KeySchema, KeyType};
use model::number::Number;

/// The bytes as a text.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (cache, item) = (ExpressionCache::new(), item());
    let item = ItemRef::check(&item).expect("it was just built");
    let [new, cached, again] = [None, Some(&cache), Some(&cache)].map(|cache| programs(text, cache));
    assert_eq!(new, cached, "a cache changes nothing");
    assert_eq!(new, again, "nor when it is used");
    let [condition, update, projection, _] = new;
    if let Ok(program) = condition {
        ConditionProgram::check(&program).expect("a program of ours").eval(Some(item));
    }
    if let Ok(program) = update {
        apply(UpdateProgram::check(&program).expect("a program of ours"), item);
    }
    if let Ok(program) = projection {
        let program = ProjectionProgram::check(&program).expect("a program of ours");
        ItemRef::check(&program.project(item)).expect("a projection is an item");
    }
}

/// The bytes as programs, as a shard gets them in a message.
pub fn run_program(data: &[u8]) {
    let item = item();
    let item = ItemRef::check(&item).expect("it was just built");
    if let Ok(program) = ConditionProgram::check(data) {
        program.eval(Some(item));
        program.eval(None);
    }
    if let Ok(program) = UpdateProgram::check(data) {
        apply(program, item);
    }
    if let Ok(program) = ProjectionProgram::check(data) {
        ItemRef::check(&program.project(item)).expect("a projection is an item");
    }
}

fn apply(program: UpdateProgram<'_>, item: ItemRef<'_>) {
    for old in [Some(item), None] {
        if let Ok(updated) = program.apply(old, item) {
            ItemRef::check(&updated.item).expect("an update makes an item");
            for part in [updated.updated_old(old), updated.updated_new()].into_iter().flatten() {
                ItemRef::check(&part).expect("what is returned is an item");
            }
        }
    }
}

/// Of a condition, an update and a projection; and a key condition, printed.
fn programs(text: &str, cache: Option<&ExpressionCache>) -> [Result<Vec<u8>, ApiError>; 4] {
    let parse = |parse: &dyn Fn(&mut Placeholders<'_>) -> Result<Vec<u8>, ApiError>| {
        let values = values();
        let mut given = cache.map_or_else(Placeholders::new, Placeholders::with_cache);
        given.set_names([("#a", "a"), ("#l", "l"), ("#dot", "x.y"), ("#size", "size")])?;
        given.set_values(values.iter().map(|(name, value)| (*name, value.as_slice())))?;
        parse(&mut given)
    };
    [
        parse(&|given| parse_condition(ExpressionKind::Filter, text, given).map(|tree| tree.encode())),
        parse(&|given| parse_update(text, given).map(|tree| tree.encode())),
        parse(&|given| parse_projection(text, given).map(|tree| tree.encode())),
        parse(&|given| {
            parse_key_condition(text, given, &schema()).map(|tree| format!("{tree:?}").into_bytes())
        }),
    ]
}

fn values() -> [(&'static str, Vec<u8>); 5] {
    [
        (":n", number("7").encode()),
        (":s", text("key").encode()),
        (":t", text("N").encode()),
        (":l", Value::L(vec![number("1")]).encode()),
        (":set", Value::Ss([String::from("x")].into()).encode()),
    ]
}

fn item() -> Vec<u8> {
    let map = BTreeMap::from([("c".to_owned(), Value::L(vec![number("1"), text("x")]))]);
    Value::encode_item(&BTreeMap::from([
        ("a".to_owned(), number("5")),
        ("b".to_owned(), Value::M(map)),
        ("l".to_owned(), Value::L(vec![number("1"), number("2")])),
        ("s".to_owned(), Value::Ss([String::from("x"), String::from("y")].into())),
        ("pk".to_owned(), text("key")),
    ]))
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(text: &str) -> Value {
    Value::N(Number::parse(text).expect("a number"))
}

fn schema() -> KeySchema {
    let key = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
    KeySchema { partition: key("pk", KeyType::S), sort: Some(key("sk", KeyType::N)) }
}
