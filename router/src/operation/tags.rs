//! What a tag may be, in DynamoDB's words.

use model::error::ApiError;
use model::limits::TAGS_MAX;
use model::table::Tag;

use crate::request::{Parameters, Value, tables as shapes};

/// Letters of a tag's key.
const KEY_LETTERS_MAX: usize = 128;
/// Letters of a tag's value.
const VALUE_LETTERS_MAX: usize = 256;
/// What keys must not begin with, in large or small letters: those are DynamoDB's own.
const RESERVED_PREFIX: &str = "aws:";

/// Takes `Tags`, ascending by key.
pub(crate) fn take_tags(parameters: &mut Parameters<'_>) -> Result<Vec<Tag>, ApiError> {
    let elements = parameters.list("Tags").unwrap_or_default();
    check_count(elements.len())?;
    let tags = elements.into_iter().map(take_tag);
    let mut tags = tags.collect::<Result<Vec<_>, _>>()?;
    tags.sort_by(|left, right| left.key.cmp(&right.key));
    match tags.windows(2).find(|pair| pair[0].key == pair[1].key) {
        None => Ok(tags),
        Some(pair) => {
            let key = &pair[0].key;
            let message = format!("Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}");
            Err(ApiError::validation(message))
        }
    }
}

/// Takes `TagKeys`.
pub(crate) fn take_tag_keys(parameters: &mut Parameters<'_>) -> Result<Vec<String>, ApiError> {
    let elements = parameters.list("TagKeys").expect("the constraints require it");
    check_count(elements.len())?;
    let keys = elements.into_iter().map(|element| match element {
        Value::Text(key) => check_key(&key).map(|()| key.into_owned()),
        other => panic!("a tag's key is a string in its table, not {other:?}"),
    });
    keys.collect()
}

fn check_count(count: usize) -> Result<(), ApiError> {
    if count > TAGS_MAX {
        return Err(too_many());
    }
    Ok(())
}

/// Also the catalog's words for too many tags of one table.
fn too_many() -> ApiError {
    ApiError::validation("Number of Tags exceed the current limit for the provided ResourceArn")
}

fn take_tag(element: Value<'_>) -> Result<Tag, ApiError> {
    let mut element = element.into_structure(&shapes::TAG).expect("the constraints let none be null");
    let key = element.text("Key").ok_or_else(|| invalid("Key", "null"))?.into_owned();
    check_key(&key)?;
    let value = element.text("Value").ok_or_else(|| invalid("Value", "null"))?.into_owned();
    if value.chars().count() > VALUE_LETTERS_MAX || !value.chars().all(is_allowed) {
        return Err(invalid("Value", &value));
    }
    Ok(Tag { key, value })
}

fn check_key(key: &str) -> Result<(), ApiError> {
    let length = key.chars().count();
    if length == 0 || length > KEY_LETTERS_MAX || !key.chars().all(is_allowed) {
        return Err(invalid("Key", key));
    }
    let prefix = key.get(..RESERVED_PREFIX.len());
    if prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX)) {
        let message = format!("Tag Key cannot be prefixed with {RESERVED_PREFIX}, Key: {key}");
        return Err(ApiError::validation(message));
    }
    Ok(())
}

/// Letters, digits and blanks of any script, and a few signs.
fn is_allowed(letter: char) -> bool {
    let is_blank = letter.is_whitespace() && !letter.is_control();
    letter.is_alphanumeric() || is_blank || "+-=._:/@".contains(letter)
}

fn invalid(part: &str, given: &str) -> ApiError {
    ApiError::validation(format!("The Tag {part} provided is invalid, {part}: {given}"))
}
