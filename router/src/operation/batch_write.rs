//! BatchWriteItem: up to 25 puts and deletes of any tables, each by itself; what was not done is handed back.

use std::borrow::Cow;
use std::rc::Rc;

use model::error::ApiError;
use model::item::ItemRef;
use model::key::{Token, encode_key, key_of_item, key_of_request, keyspace};
use model::limits::BATCH_WRITE_ITEMS_MAX;
use model::table::Table;
use net::message::{ArchivedPart, KeyAt, Operation, Write, WriteMany};
use runtime::Runtime;

use super::answer::{Object, array};
use super::batch_get::refuse_duplicates;
use super::capacity::{HalfUnits, Wanted};
use super::scatter::{Kind, Piece, scatter};
use crate::Router;
use crate::json::attribute::write_item;
use crate::request::{Parameters, Value, tables};

/// One put or delete, as it was asked.
enum Change {
    Put(Vec<u8>),
    Delete(Vec<u8>),
}

/// What is asked of one table, and what came of it.
struct Asked<'a> {
    given: Cow<'a, str>,
    changes: Vec<Change>,
    units: HalfUnits,
    left: Vec<usize>,
}

impl<'a> Asked<'a> {
    fn take(given: Cow<'a, str>, value: Value<'a>) -> Result<Asked<'a>, ApiError> {
        let Value::List(requests) = value else { panic!("a list in its table, not {value:?}") };
        let changes = requests.into_iter().map(Change::take).collect::<Result<Vec<_>, _>>()?;
        Ok(Asked { given, changes, units: HalfUnits::default(), left: Vec::new() })
    }
}

impl Change {
    fn take(value: Value<'_>) -> Result<Change, ApiError> {
        let mut request =
            value.into_structure(&tables::WRITE_REQUEST).expect("the constraints let none be null");
        let put = request.structure("PutRequest");
        let delete = request.structure("DeleteRequest");
        match (put, delete) {
            (Some(mut put), None) => {
                let item = put.item("Item").expect("the constraints require it")?;
                super::check_item_size(&item)?;
                Ok(Change::Put(item))
            }
            (None, Some(mut delete)) => {
                Ok(Change::Delete(delete.item("Key").expect("the constraints require it")?))
            }
            (Some(_), Some(_)) => Err(ApiError::validation(
                "Supplied AttributeValue has more than one datatypes set, \
                 must contain exactly one of the supported datatypes",
            )),
            (None, None) => Err(ApiError::validation(
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            )),
        }
    }

    fn piece(&self, table: &Table, index: usize) -> Result<Piece<Write>, ApiError> {
        let (values, item) = match self {
            Change::Put(item) => (key_of_item(&table.schema, ItemRef::trusted(item))?, Some(item.clone())),
            Change::Delete(key) => (key_of_request(&table.schema, ItemRef::trusted(key))?, None),
        };
        let key = encode_key(keyspace::ITEMS, table.id, &table.schema, values.partition, values.sort);
        let at = KeyAt { vnode: 0, table: table.id.0, key };
        let token_high = Token::of(values.partition).high();
        Ok(Piece { index, token_high, anywhere: false, what: Write { at, item } })
    }
}

/// BatchWriteItem.
pub(crate) async fn batch_write_item<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let wanted = Wanted::take(&mut parameters);
    // There is nothing to tell of item collections: only tables with local indexes have them.
    let _metrics = parameters.text("ReturnItemCollectionMetrics");
    let entries = parameters.map("RequestItems").expect("the constraints require it");
    parameters.finish()?;
    let asked = entries.into_iter().map(|(given, value)| Asked::take(given, value));
    let mut asked = asked.collect::<Result<Vec<_>, _>>()?;
    if asked.iter().map(|table| table.changes.len()).sum::<usize>() > BATCH_WRITE_ITEMS_MAX {
        return Err(ApiError::validation("Too many items requested for the BatchWriteItem call"));
    }
    let (mut serving, mut pieces, mut origins) = (Vec::new(), Vec::new(), Vec::new());
    for (table_index, asked) in asked.iter().enumerate() {
        let table = router.table(&router.map(), &asked.given)?;
        for (change_index, change) in asked.changes.iter().enumerate() {
            pieces.push(change.piece(&table, pieces.len())?);
            origins.push((table_index, change_index));
        }
        serving.push(table);
    }
    refuse_duplicates(pieces.iter().map(|piece| piece.what.at.key.as_slice()))?;
    let kind = Kind {
        set_vnode: |write: &mut Write, vnode| write.at.vnode = vnode,
        message: |writes, measure| Operation::WriteMany(WriteMany { writes, measure }),
        measure: wanted != Wanted::None,
        only_reads: false,
    };
    let left = scatter(router, pieces, &kind, |index, part| {
        let ArchivedPart::Written(written) = part else { return Err(crate::route::misunderstood()) };
        let (old, new) = (written.old_bytes.to_native(), written.new_bytes.to_native());
        asked[origins[index].0].units += HalfUnits::written(u64::from(old), u64::from(new));
        Ok(())
    })
    .await?;
    for index in left {
        let (table_index, change_index) = origins[index];
        asked[table_index].left.push(change_index);
    }
    write(out, &asked, &serving, wanted);
    Ok(())
}

fn write(out: &mut Vec<u8>, asked: &[Asked<'_>], serving: &[Rc<Table>], wanted: Wanted) {
    let mut answer = Object::new(out);
    let mut unprocessed = Object::new(answer.member("UnprocessedItems"));
    for asked in asked.iter().filter(|asked| !asked.left.is_empty()) {
        let changes = asked.left.iter().map(|index| &asked.changes[*index]);
        array(unprocessed.member(&asked.given), changes, write_again);
    }
    unprocessed.end();
    if wanted != Wanted::None {
        array(answer.member("ConsumedCapacity"), asked.iter().zip(serving), |out, (asked, table)| {
            wanted.write_one(out, &table.name, asked.units);
        });
    }
    answer.end();
}

fn write_again(out: &mut Vec<u8>, change: &Change) {
    let (request, member, item) = match change {
        Change::Put(item) => ("PutRequest", "Item", item),
        Change::Delete(key) => ("DeleteRequest", "Key", key),
    };
    let mut object = Object::new(out);
    let mut inner = Object::new(object.member(request));
    write_item(inner.member(member), ItemRef::trusted(item));
    inner.end();
    object.end();
}
