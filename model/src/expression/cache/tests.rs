use super::*;
use crate::{
    error::ApiError,
    expression::{
        Condition, Placeholders, Update, parse_condition, parse_key_condition, parse_projection,
        parse_update,
        testing::{schema, with_values},
        tests::draw_text,
    },
    testing::Chance,
};

/// The values of a request, and those of another one: the types differ, too, so that some texts are wrong with one of them.
const VALUES: [&str; 2] = [
    "{v: 1, w: 'x', l: [1], s: <'x'>, t: 'N', o: {c: 1}, p: 'key'}",
    "{v: 'y', w: 2, l: [], s: <7>, t: 'SS', o: {}, p: ''}",
];

/// What all five languages make of a text: programs and messages, one after the other.
fn outcome(text: &str, values: &str, cache: Option<&ExpressionCache>) -> Vec<Result<Vec<u8>, ApiError>> {
    let parse = |parse: &dyn Fn(&mut Placeholders<'_>) -> Result<Vec<u8>, ApiError>| {
        with_values(values, |given| {
            let mut placeholders = given.clone();
            placeholders.cache = cache;
            parse(&mut placeholders)
        })
    };
    vec![
        parse(&|given| parse_condition(ExpressionKind::Condition, text, given).map(|tree| tree.encode())),
        parse(&|given| parse_condition(ExpressionKind::Filter, text, given).map(|tree| tree.encode())),
        parse(&|given| parse_update(text, given).map(|tree| tree.encode())),
        parse(&|given| parse_projection(text, given).map(|tree| tree.encode())),
        parse(&|given| {
            parse_key_condition(text, given, &schema()).map(|tree| format!("{tree:?}").into_bytes())
        }),
    ]
}

#[test]
fn cached_and_new_texts_have_equal_programs_and_errors() {
    let mut chance = Chance::new(12);
    let cache = ExpressionCache::new();
    let mut fine = 0;
    for _ in 0..8_000 {
        let text = draw_text(&mut chance);
        for values in VALUES {
            let expected = outcome(&text, values, None);
            assert_eq!(outcome(&text, values, Some(&cache)), expected, "at first: {text}");
            assert_eq!(outcome(&text, values, Some(&cache)), expected, "again: {text}");
            fine += expected.iter().filter(|outcome| outcome.is_ok()).count();
        }
        assert!(cache.stats().bytes <= CACHE_BYTES_MAX);
    }
    let ExpressionCacheStats { hits, misses, texts, .. } = cache.stats();
    assert!(fine > 200 && texts > 50, "{fine} programs, {texts} texts");
    assert!(hits > 200 && misses > 5_000, "{hits} hits, {misses} misses");
}

fn update(cache: &ExpressionCache, text: &str) -> Result<Update, ApiError> {
    let mut given = Placeholders::with_cache(cache);
    parse_update(text, &mut given)
}

#[test]
fn hits_misses_and_what_is_kept() {
    let cache = ExpressionCache::new();
    for _ in 0..3 {
        update(&cache, "REMOVE a").expect("an update");
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.texts), (2, 1, 1));
    update(&cache, "REMOVE").expect_err("it removes nothing");
    assert_eq!((cache.stats().misses, cache.stats().texts), (2, 1), "a text that is wrong is not kept");
    let long = format!("REMOVE {}", "a".repeat(CACHED_TEXT_BYTES_MAX));
    update(&cache, &long).expect("an update");
    assert_eq!((cache.stats().misses, cache.stats().texts), (3, 1), "a text that is long is not kept");
    // The same words are another thing in another language.
    let mut given = Placeholders::with_cache(&cache);
    let condition = parse_condition(ExpressionKind::Condition, "attribute_exists(a)", &mut given);
    assert!(matches!(condition, Ok(Condition::Exists(_))));
    update(&cache, "attribute_exists(a)").expect_err("no update");
}

#[test]
fn a_text_in_use_outlives_a_flood_of_others() {
    let cache = ExpressionCache::new();
    for index in 0..100_000 {
        update(&cache, &format!("REMOVE a{index}")).expect("an update");
        let misses = cache.stats().misses;
        update(&cache, "REMOVE used").expect("an update");
        assert_eq!(cache.stats().misses, misses + u64::from(index == 0), "after {index} others");
        assert!(cache.stats().bytes <= CACHE_BYTES_MAX);
    }
    assert!(cache.stats().texts < 10_000);
}
