//! BatchGetItem: up to 100 items of any tables, up to 16 MiB; the rest is handed back as UnprocessedKeys.

use std::borrow::Cow;
use std::rc::Rc;

use model::error::ApiError;
use model::expression::ExpressionCache;
use model::item::ItemRef;
use model::key::{Token, encode_key, key_of_request, keyspace};
use model::limits::{BATCH_GET_BYTES_MAX, BATCH_GET_KEYS_MAX};
use model::table::Table;
use net::message::{ArchivedPart, Get, GetMany, KeyAt, Operation, optional};
use runtime::Runtime;

use super::answer::{Object, array};
use super::capacity::{HalfUnits, Wanted};
use super::expressions::{Given, take_projection};
use super::read::RULES;
use super::scatter::{Kind, Piece, scatter};
use crate::Router;
use crate::json::attribute::write_item;
use crate::json::writer;
use crate::request::{Parameters, Value, tables};

pub(super) const DUPLICATES: &str = "Provided list of item keys contains duplicates";

/// What is asked of one table.
struct Asked<'a> {
    /// As the request names it: a name or an ARN.
    given: Cow<'a, str>,
    keys: Vec<Vec<u8>>,
    projection: Option<Vec<u8>>,
    consistent: bool,
    /// The parameters that a client needs again for what was not processed.
    again: Vec<(&'static str, Value<'a>)>,
}

impl<'a> Asked<'a> {
    fn take(given: Cow<'a, str>, value: Value<'a>, cache: &ExpressionCache) -> Result<Asked<'a>, ApiError> {
        let mut parameters =
            value.into_structure(&tables::KEYS_AND_ATTRIBUTES).expect("the constraints let no table be null");
        let echoed =
            ["AttributesToGet", "ConsistentRead", "ExpressionAttributeNames", "ProjectionExpression"];
        let again = echoed.map(|name| (name, parameters.get(name).clone()));
        let expressions = Given::take(&mut parameters, &RULES)?;
        let keys = parameters.list("Keys").expect("the constraints require it");
        let keys = keys.into_iter().map(|key| match key {
            Value::Item(encoded) => encoded,
            other => panic!("a key in its table, not {other:?}"),
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let mut placeholders = expressions.placeholders(cache)?;
        let projection = take_projection(&mut parameters, &mut placeholders)?;
        placeholders.check_all_used()?;
        let consistent = parameters.boolean("ConsistentRead").unwrap_or(false);
        parameters.finish()?;
        let again = again.into_iter().filter(|(_, value)| *value != Value::Absent).collect();
        Ok(Asked { given, keys, projection: projection.map(|found| found.encode()), consistent, again })
    }
}

/// What one table has answered.
struct Found {
    table: Rc<Table>,
    items: Vec<Vec<u8>>,
    units: HalfUnits,
    /// Indexes of its keys that were not processed.
    left: Vec<usize>,
}

/// BatchGetItem.
pub(crate) async fn batch_get_item<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let wanted = Wanted::take(&mut parameters);
    let entries = parameters.map("RequestItems").expect("the constraints require it");
    parameters.finish()?;
    let asked = entries.into_iter().map(|(given, value)| Asked::take(given, value, &router.expressions));
    let asked = asked.collect::<Result<Vec<_>, _>>()?;
    if asked.iter().map(|table| table.keys.len()).sum::<usize>() > BATCH_GET_KEYS_MAX {
        return Err(ApiError::validation("Too many items requested for the BatchGetItem call"));
    }
    let (mut found, mut pieces, mut origins) = (Vec::new(), Vec::new(), Vec::new());
    for (table_index, asked) in asked.iter().enumerate() {
        let table = router.table(&router.map(), &asked.given)?;
        pieces_of(asked, &table, &mut pieces)?;
        origins.extend((0..asked.keys.len()).map(|key_index| (table_index, key_index)));
        found.push(Found { table, items: Vec::new(), units: HalfUnits::default(), left: Vec::new() });
    }
    refuse_duplicates(pieces.iter().map(|piece| piece.what.at.key.as_slice()))?;
    let left = gather(router, pieces, &asked, &origins, &mut found).await?;
    for index in left {
        let (table_index, key_index) = origins[index];
        found[table_index].left.push(key_index);
    }
    write(out, &asked, &found, wanted);
    Ok(())
}

fn pieces_of(asked: &Asked<'_>, table: &Table, pieces: &mut Vec<Piece<Get>>) -> Result<(), ApiError> {
    for key in &asked.keys {
        let values = key_of_request(&table.schema, ItemRef::trusted(key))?;
        let key = encode_key(keyspace::ITEMS, table.id, &table.schema, values.partition, values.sort);
        let at = KeyAt { vnode: 0, table: table.id.0, key };
        let what = Get { at, consistent: asked.consistent, projection: asked.projection.clone() };
        let token_high = Token::of(values.partition).high();
        pieces.push(Piece { index: pieces.len(), token_high, anywhere: !asked.consistent, what });
    }
    Ok(())
}

/// Storage keys name the table too, so those of all tables stand together.
pub(super) fn refuse_duplicates<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Result<(), ApiError> {
    let mut keys: Vec<&[u8]> = keys.collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ApiError::validation(DUPLICATES));
    }
    Ok(())
}

/// Gets all pieces; the indexes of those that did not come or did not fit.
async fn gather<R: Runtime>(
    router: &Router<R>,
    pieces: Vec<Piece<Get>>,
    asked: &[Asked<'_>],
    origins: &[(usize, usize)],
    found: &mut [Found],
) -> Result<Vec<usize>, ApiError> {
    let kind = Kind {
        set_vnode: |get: &mut Get, vnode| get.at.vnode = vnode,
        message: |gets, _| Operation::GetMany(GetMany { gets, bytes_max: BATCH_GET_BYTES_MAX as u32 }),
        measure: false,
        only_reads: true,
    };
    let (mut bytes, mut over) = (0, Vec::new());
    let mut left = scatter(router, pieces, &kind, |index, part| {
        let ArchivedPart::Item(item) = part else { return Err(crate::route::misunderstood()) };
        let size = u64::from(item.charged_bytes.to_native());
        if bytes > 0 && bytes + size > BATCH_GET_BYTES_MAX as u64 {
            over.push(index);
            return Ok(());
        }
        bytes += size;
        let (table_index, _) = origins[index];
        found[table_index].units += HalfUnits::read(size, asked[table_index].consistent);
        found[table_index].items.extend(optional(&item.item).map(<[u8]>::to_vec));
        Ok(())
    })
    .await?;
    left.extend(over);
    Ok(left)
}

fn write(out: &mut Vec<u8>, asked: &[Asked<'_>], found: &[Found], wanted: Wanted) {
    let mut answer = Object::new(out);
    let mut responses = Object::new(answer.member("Responses"));
    for (asked, found) in asked.iter().zip(found) {
        array(responses.member(&asked.given), &found.items, |out, item| {
            write_item(out, ItemRef::trusted(item))
        });
    }
    responses.end();
    let mut unprocessed = Object::new(answer.member("UnprocessedKeys"));
    for (asked, found) in asked.iter().zip(found).filter(|(_, found)| !found.left.is_empty()) {
        write_again(unprocessed.member(&asked.given), asked, &found.left);
    }
    unprocessed.end();
    if wanted != Wanted::None {
        array(answer.member("ConsumedCapacity"), found, |out, found| {
            wanted.write_one(out, &found.table.name, found.units);
        });
    }
    answer.end();
}

/// The request for what is left of one table, as the client will send it.
fn write_again(out: &mut Vec<u8>, asked: &Asked<'_>, left: &[usize]) {
    let mut object = Object::new(out);
    array(object.member("Keys"), left, |out, index| write_item(out, ItemRef::trusted(&asked.keys[*index])));
    for (name, value) in &asked.again {
        write_plain(object.member(name), value);
    }
    object.end();
}

fn write_plain(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => writer::string(out, text),
        Value::Boolean(value) => writer::boolean(out, *value),
        Value::List(elements) => array(out, elements, write_plain),
        Value::Map(entries) => {
            let mut object = Object::new(out);
            for (key, value) in entries {
                write_plain(object.member(key), value);
            }
            object.end();
        }
        other => panic!("no such parameter is handed back: {other:?}"),
    }
}
