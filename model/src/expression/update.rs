//! Updates applied: from the old item and a program to the new item.
//!
//! 1. Every action becomes an `Effect` on its path; operands are read from the old item only, so order does not matter.
//! 2. Attributes that an effect reaches into become trees; the effects are put in, lists growing in the order of
//!    indexes and shrinking last, so that all indexes mean the old list.
//! 3. The new item is built: attributes that were not touched are copied as they lie.
//!
//! Promises: the new item is within DynamoDB's limits on size and nesting, or there is an error and nothing else; memory
//! is bounded by a few items, whatever the update asks for. Leaves to others: keys (`Update::refuse_key_attributes`).

use super::{
    program::{Cursor, PathRef, SegmentRef, SetValueRef, UpdateProgram, tag, wording},
    projection::Parts,
};
use crate::{
    error::ApiError,
    item::{ItemBuilder, ItemRef, Value, ValueRef},
    limits::{ITEM_BYTES_MAX, NESTING_MAX},
    number::{Number, NumberError},
};
use smallvec::SmallVec;
use std::{borrow::Cow, collections::BTreeMap};

/// What an update made.
#[derive(Clone, Debug)]
pub struct Updated<'p> {
    /// The new item.
    pub item: Vec<u8>,
    /// Whether there is an item now: an update that only takes away makes none where none was, and then `item` is only
    /// the key.
    pub makes_item: bool,
    touched: Vec<Touched<'p>>,
}

/// A path that an action named, and what is there now.
#[derive(Clone, Debug)]
struct Touched<'p> {
    path: PathRef<'p>,
    now: Now,
}

#[derive(Clone, Debug)]
enum Now {
    Nothing,
    /// The attribute as the new item has it.
    Attribute,
    /// A part of an attribute, encoded: its index in a list may have changed.
    Part(Vec<u8>),
}

impl Updated<'_> {
    /// For `UPDATED_OLD`: the touched paths as they were in `old`; None if there was nothing at any of them.
    pub fn updated_old(&self, old: Option<ItemRef<'_>>) -> Option<Vec<u8>> {
        let mut parts = Parts::default();
        for touched in &self.touched {
            parts.copy(old?, touched.path);
        }
        parts.into_item()
    }

    /// For `UPDATED_NEW`: the touched paths as they are now; None if there is nothing at any of them.
    pub fn updated_new(&self) -> Option<Vec<u8>> {
        let mut parts = Parts::default();
        for touched in &self.touched {
            match &touched.now {
                Now::Nothing => {}
                Now::Attribute => parts.copy(ItemRef::trusted(&self.item), touched.path),
                Now::Part(encoded) => parts.insert(touched.path, Cow::Borrowed(encoded)),
            }
        }
        parts.into_item()
    }
}

impl<'p> UpdateProgram<'p> {
    /// The item after the update.
    ///
    /// Operands are read from `old`, which is None if there is no such item yet; a new item begins with `key_item`, which
    /// holds the key's attributes.
    ///
    /// Errors are DynamoDB's ValidationExceptions: an operand that is missing or of a wrong type, a path that leads
    /// nowhere, a number out of range, an item too large or nested too deep.
    pub fn apply(self, old: Option<ItemRef<'_>>, key_item: ItemRef<'_>) -> Result<Updated<'p>, ApiError> {
        let mut effects = read_effects(self.body(), old)?;
        // Of nothing, nothing can be taken away: what is left are actions that give.
        let makes_item = old.is_some() || !effects.is_empty() || self.action_count() == 0;
        let touched = effects.iter().map(Effect::touched).collect();
        effects.sort_by(|one, two| one.segments.cmp(&two.segments));
        let (puts, removes) = effects.into_iter().partition(|effect: &Effect<'_>| effect.new.is_some());
        let mut attributes = Attributes { old, touched: BTreeMap::new() };
        attributes.put_all(puts)?;
        attributes.remove_all(removes)?;
        let item = build(old.unwrap_or(key_item), &attributes.touched)?;
        Ok(Updated { item, makes_item, touched })
    }

    fn action_count(self) -> u32 {
        let mut body = self.body();
        let _wording = body.u8();
        body.u32()
    }
}

// Step 1: effects.

/// What becomes of one path.
struct Effect<'p> {
    path: PathRef<'p>,
    segments: SmallVec<[SegmentRef<'p>; 4]>,
    /// None: what is there goes.
    new: Option<Value>,
}

impl<'p> Effect<'p> {
    /// All segments but the last; for an attribute the attribute itself, which has no siblings.
    fn parent(&self) -> &[SegmentRef<'p>] {
        match &self.segments[..] {
            [attribute] => std::slice::from_ref(attribute),
            [parent @ .., _] => parent,
            [] => unreachable!("a checked path has segments"),
        }
    }

    fn touched(&self) -> Touched<'p> {
        let now = match &self.new {
            None => Now::Nothing,
            Some(_) if self.path.attribute().is_some() => Now::Attribute,
            Some(value) => Now::Part(value.encode()),
        };
        Touched { path: self.path, now }
    }
}

fn read_effects<'p>(mut body: Cursor<'p>, old: Option<ItemRef<'_>>) -> Result<Vec<Effect<'p>>, ApiError> {
    let wrong_type = match body.u8() {
        wording::ATTRIBUTE_UPDATES => "Type mismatch for attribute to update",
        _ => "An operand in the update expression has an incorrect data type",
    };
    let mut operands = Operands { old, wrong_type, bytes_left: OPERAND_BYTES_MAX };
    let count = body.u32();
    let mut effects = Vec::new();
    for _ in 0..count {
        let action = body.u8();
        let path = body.path();
        let new = match action {
            tag::SET => Some(operands.set_value(&mut body)?),
            tag::REMOVE if path.find(old).is_none() => {
                operands.check_parent(path)?;
                continue;
            }
            tag::REMOVE => None,
            tag::ADD => Some(operands.add(path, action_value(&mut body))?),
            tag::DELETE => match operands.delete(path, action_value(&mut body))? {
                Deletion::NothingThere => continue,
                Deletion::Left(left) => left,
            },
            other => unreachable!("tag {other} passed the check"),
        };
        effects.push(Effect { path, segments: path.segments().collect(), new });
    }
    Ok(effects)
}

fn action_value<'p>(body: &mut Cursor<'p>) -> &'p [u8] {
    let tag = body.u8();
    body.value(tag)
}

/// Bytes that all new values together may have while they are made.
///
/// Each of them ends up in the item, so what is larger than an item is too large already; the rest is slack for
/// what only operands have, like the lists of a `list_append`.
const OPERAND_BYTES_MAX: usize = ITEM_BYTES_MAX + 64 * 1024;

/// Reads operands from the old item.
struct Operands<'i> {
    old: Option<ItemRef<'i>>,
    /// The message about a value that does not suit.
    wrong_type: &'static str,
    bytes_left: usize,
}

/// What a DELETE action leaves.
enum Deletion {
    NothingThere,
    Left(Option<Value>),
}

impl Operands<'_> {
    fn set_value(&mut self, program: &mut Cursor<'_>) -> Result<Value, ApiError> {
        match program.set_value() {
            SetValueRef::Path(path) => {
                let found = path.find(self.old).ok_or_else(missing_attribute)?;
                self.copy(found)
            }
            SetValueRef::Value(encoded) => self.copy(ValueRef::trusted(encoded)),
            SetValueRef::Plus => self.arithmetic(program, Number::add),
            SetValueRef::Minus => self.arithmetic(program, Number::sub),
            SetValueRef::IfNotExists(path, mut default) => match path.find(self.old) {
                Some(found) => self.copy(found),
                None => self.set_value(&mut default),
            },
            SetValueRef::ListAppend => {
                let (left, right) = (self.set_value(program)?, self.set_value(program)?);
                let (Value::L(mut left), Value::L(mut right)) = (left, right) else {
                    return Err(self.wrong_type());
                };
                left.append(&mut right);
                Ok(Value::L(left))
            }
        }
    }

    fn arithmetic(
        &mut self,
        program: &mut Cursor<'_>,
        result: fn(Number, Number) -> Result<Number, NumberError>,
    ) -> Result<Value, ApiError> {
        let (left, right) = (self.set_value(program)?, self.set_value(program)?);
        let (Value::N(left), Value::N(right)) = (left, right) else {
            return Err(self.wrong_type());
        };
        Ok(Value::N(result(left, right).map_err(number_error)?))
    }

    fn add(&mut self, path: PathRef<'_>, encoded: &[u8]) -> Result<Value, ApiError> {
        let found = path.find(self.old);
        let added = self.copy(ValueRef::trusted(encoded))?;
        let Some(found) = found else {
            return if is_addable(&added) { Ok(added) } else { Err(self.wrong_type()) };
        };
        match (self.copy(found)?, added) {
            (Value::N(old), Value::N(added)) => Ok(Value::N(old.add(added).map_err(number_error)?)),
            (Value::Ss(old), Value::Ss(added)) => Ok(Value::Ss(old.into_iter().chain(added).collect())),
            (Value::Ns(old), Value::Ns(added)) => Ok(Value::Ns(old.into_iter().chain(added).collect())),
            (Value::Bs(old), Value::Bs(added)) => Ok(Value::Bs(old.into_iter().chain(added).collect())),
            (Value::L(old), Value::L(added)) => Ok(Value::L(old.into_iter().chain(added).collect())),
            _ => Err(self.wrong_type()),
        }
    }

    fn delete(&mut self, path: PathRef<'_>, encoded: &[u8]) -> Result<Deletion, ApiError> {
        let Some(found) = path.find(self.old) else {
            self.check_parent(path)?;
            return Ok(Deletion::NothingThere);
        };
        let left = match (self.copy(found)?, Value::from(ValueRef::trusted(encoded))) {
            (Value::Ss(old), Value::Ss(gone)) => Value::Ss(&old - &gone),
            (Value::Ns(old), Value::Ns(gone)) => Value::Ns(&old - &gone),
            (Value::Bs(old), Value::Bs(gone)) => Value::Bs(&old - &gone),
            _ => return Err(self.wrong_type()),
        };
        Ok(Deletion::Left((!is_empty_set(&left)).then_some(left)))
    }

    /// The last segment may be missing, but what it would lie in must be there.
    fn check_parent(&self, path: PathRef<'_>) -> Result<(), ApiError> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        match (parent.find(self.old), path.last()) {
            (Some(ValueRef::M(_)), SegmentRef::Name(_)) => Ok(()),
            (Some(ValueRef::L(_)), SegmentRef::Index(_)) => Ok(()),
            _ => Err(invalid_path()),
        }
    }

    fn wrong_type(&self) -> ApiError {
        ApiError::validation(self.wrong_type)
    }

    fn copy(&mut self, value: ValueRef<'_>) -> Result<Value, ApiError> {
        let left = self.bytes_left.checked_sub(value.charged_bytes());
        self.bytes_left = left.ok_or_else(too_large)?;
        Ok(Value::from(value))
    }
}

/// Last and first segment and those between them; None if there is only one.
fn split<'s, 'p>(
    segments: &'s [SegmentRef<'p>],
) -> Option<(SegmentRef<'p>, SegmentRef<'p>, &'s [SegmentRef<'p>])> {
    let (last, rest) = segments.split_last()?;
    let (first, between) = rest.split_first()?;
    Some((*last, *first, between))
}

fn is_addable(value: &Value) -> bool {
    matches!(value, Value::N(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_) | Value::L(_))
}

fn is_empty_set(value: &Value) -> bool {
    match value {
        Value::Ss(set) => set.is_empty(),
        Value::Ns(set) => set.is_empty(),
        Value::Bs(set) => set.is_empty(),
        _ => false,
    }
}

// Step 2: trees.

/// Attributes that effects have reached.
struct Attributes<'i, 'p> {
    old: Option<ItemRef<'i>>,
    /// None: gone.
    touched: BTreeMap<&'p str, Option<Value>>,
}

impl<'p> Attributes<'_, 'p> {
    fn put_all(&mut self, puts: Vec<Effect<'p>>) -> Result<(), ApiError> {
        for put in puts {
            let Some((last, parent)) = self.parent(&put.segments)? else {
                self.touched.insert(put.path.top(), put.new);
                continue;
            };
            let new = put.new.expect("only effects with a value are put");
            match (parent, last) {
                (Value::M(map), SegmentRef::Name(name)) => drop(map.insert(name.to_string(), new)),
                (Value::L(list), SegmentRef::Index(index)) => match list.get_mut(index as usize) {
                    Some(element) => *element = new,
                    None => list.push(new),
                },
                _ => return Err(invalid_path()),
            }
        }
        Ok(())
    }

    /// From the end, so that an element that goes moves none that is still to go.
    fn remove_all(&mut self, removes: Vec<Effect<'p>>) -> Result<(), ApiError> {
        for siblings in removes.chunk_by(|one, two| one.parent() == two.parent()).rev() {
            match self.parent(&siblings[0].segments)? {
                None => drop(self.touched.insert(siblings[0].path.top(), None)),
                Some((_, Value::M(map))) => map.retain(|name, _| !removes_name(siblings, name)),
                Some((_, Value::L(list))) => remove_elements(list, siblings),
                Some(_) => return Err(invalid_path()),
            }
        }
        Ok(())
    }

    /// The last segment and the map or list that it lies in; None if the path is an attribute.
    fn parent(
        &mut self,
        segments: &[SegmentRef<'p>],
    ) -> Result<Option<(SegmentRef<'p>, &mut Value)>, ApiError> {
        let Some((last, SegmentRef::Name(top), between)) = split(segments) else {
            return Ok(None);
        };
        let old = self.old;
        let load = || old.and_then(|item| item.get(top)).map(Value::from);
        let top = self.touched.entry(top).or_insert_with(load);
        let mut value = top.as_mut().ok_or_else(invalid_path)?;
        for segment in between {
            value = match (value, segment) {
                (Value::M(map), SegmentRef::Name(name)) => map.get_mut(*name),
                (Value::L(list), SegmentRef::Index(index)) => list.get_mut(*index as usize),
                _ => None,
            }
            .ok_or_else(invalid_path)?;
        }
        Ok(Some((last, value)))
    }
}

fn removes_name(siblings: &[Effect<'_>], name: &str) -> bool {
    // Sorted by path, so by name.
    siblings.binary_search_by(|gone| gone.segments.last().cmp(&Some(&SegmentRef::Name(name)))).is_ok()
}

/// One pass over the list, however many elements go.
fn remove_elements(list: &mut Vec<Value>, siblings: &[Effect<'_>]) {
    let mut gone = siblings.iter().filter_map(|effect| effect.segments.last()).peekable();
    let mut index = 0;
    list.retain(|_| {
        let goes = gone.next_if_eq(&&SegmentRef::Index(index)).is_some();
        index += 1;
        !goes
    });
}

// Step 3: the item.

/// `base` with the touched attributes in their new form.
fn build(base: ItemRef<'_>, touched: &BTreeMap<&str, Option<Value>>) -> Result<Vec<u8>, ApiError> {
    let mut builder = ItemBuilder::new();
    builder.begin_item();
    for index in 0..base.len() {
        let (name, encoded) = base.as_map().entry(index).expect("the index is below the count");
        if !touched.contains_key(name) {
            builder.name(name);
            builder.encoded(encoded)?;
        }
    }
    let mut encoded = Vec::new();
    for (name, value) in touched.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        if value.depth() > NESTING_MAX {
            return Err(too_deep());
        }
        encoded.clear();
        value.encode_to(&mut encoded);
        builder.name(name);
        builder.encoded(&encoded)?;
    }
    let item = builder.finish();
    if ItemRef::trusted(&item).charged_bytes() > ITEM_BYTES_MAX {
        return Err(too_large());
    }
    Ok(item)
}

// DynamoDB's words.

fn missing_attribute() -> ApiError {
    ApiError::validation("The provided expression refers to an attribute that does not exist in the item")
}

fn invalid_path() -> ApiError {
    ApiError::validation("The document path provided in the update expression is invalid for update")
}

fn too_large() -> ApiError {
    ApiError::validation("Item size to update has exceeded the maximum allowed size")
}

fn too_deep() -> ApiError {
    let problem = "Nesting Levels have exceeded supported limits";
    let limit = "Attributes in the item have nested levels beyond supported limit";
    ApiError::validation(format!("{problem}: {limit}"))
}

fn number_error(error: NumberError) -> ApiError {
    ApiError::validation(error.to_string())
}

#[cfg(test)]
mod tests;
