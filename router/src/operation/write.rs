//! PutItem, UpdateItem and DeleteItem: one write to one item.

use std::rc::Rc;

use model::error::ApiError;
use model::expression::Placeholders;
use model::item::ItemRef;
use model::key::{KeyValues, Token, encode_key, key_of_item, key_of_request, keyspace};
use model::table::Table;
use net::message::{
    ArchivedReply, ArchivedWritten, Delete, KeyAt, Operation, Put, ReturnValues, Update, optional,
};
use runtime::Runtime;

use super::answer::Object;
use super::capacity::{HalfUnits, Wanted};
use super::expressions::{Given, Rules, take_condition, take_update};
use crate::Router;
use crate::json::attribute::write_item;
use crate::request::Parameters;
use crate::route::misunderstood;

/// Of PutItem and DeleteItem.
const RULES: Rules = Rules {
    expressions: &["ConditionExpression"],
    with_values: &["ConditionExpression"],
    legacy: &["Expected", "ConditionalOperator"],
};

const UPDATE_RULES: Rules = Rules {
    expressions: &["UpdateExpression", "ConditionExpression"],
    with_values: &["UpdateExpression", "ConditionExpression"],
    legacy: &["AttributeUpdates", "Expected", "ConditionalOperator"],
};

/// What all three are told about their answer.
struct Terms {
    condition: Option<Vec<u8>>,
    return_old_on_failure: bool,
    wanted: Wanted,
}

impl Terms {
    fn take(parameters: &mut Parameters<'_>, placeholders: &mut Placeholders<'_>) -> Result<Terms, ApiError> {
        let condition = take_condition(parameters, placeholders)?.map(|condition| condition.encode());
        let on_failure = parameters.text("ReturnValuesOnConditionCheckFailure");
        // There is nothing to tell of item collections: only tables with local indexes have them.
        let _metrics = parameters.text("ReturnItemCollectionMetrics");
        Ok(Terms {
            condition,
            return_old_on_failure: on_failure.as_deref() == Some("ALL_OLD"),
            wanted: Wanted::take(parameters),
        })
    }

    /// Whether the shard has to look at the old item's size.
    fn measures(&self) -> bool {
        self.wanted != Wanted::None
    }
}

/// PutItem.
pub(crate) async fn put_item<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = Given::take(&mut parameters, &RULES)?;
    let item = parameters.item("Item").expect("the constraints require it")?;
    let return_old = take_old_or_none(&mut parameters)?;
    super::check_item_size(&item)?;
    let mut placeholders = given.placeholders(&router.expressions)?;
    let terms = Terms::take(&mut parameters, &mut placeholders)?;
    placeholders.check_all_used()?;
    let name = super::take_table_name(&mut parameters);
    parameters.finish()?;
    let table = router.table(&router.map(), &name)?;
    let (token, at) = place(&table, key_of_item(&table.schema, ItemRef::trusted(&item))?);
    let put = Operation::Put(Put {
        at,
        item,
        measure: terms.measures(),
        condition: terms.condition,
        return_old,
        return_old_on_failure: terms.return_old_on_failure,
    });
    ask(router, token, put, Answer { table, wanted: terms.wanted, out }).await
}

/// DeleteItem.
pub(crate) async fn delete_item<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = Given::take(&mut parameters, &RULES)?;
    let key = parameters.item("Key").expect("the constraints require it")?;
    let return_old = take_old_or_none(&mut parameters)?;
    let mut placeholders = given.placeholders(&router.expressions)?;
    let terms = Terms::take(&mut parameters, &mut placeholders)?;
    placeholders.check_all_used()?;
    let name = super::take_table_name(&mut parameters);
    parameters.finish()?;
    let table = router.table(&router.map(), &name)?;
    let (token, at) = place(&table, key_of_request(&table.schema, ItemRef::trusted(&key))?);
    let delete = Operation::Delete(Delete {
        at,
        measure: terms.measures(),
        condition: terms.condition,
        return_old,
        return_old_on_failure: terms.return_old_on_failure,
    });
    ask(router, token, delete, Answer { table, wanted: terms.wanted, out }).await
}

/// UpdateItem.
pub(crate) async fn update_item<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = Given::take(&mut parameters, &UPDATE_RULES)?;
    let key_item = parameters.item("Key").expect("the constraints require it")?;
    let returns = take_returns(&mut parameters);
    let mut placeholders = given.placeholders(&router.expressions)?;
    let update = take_update(&mut parameters, &mut placeholders)?;
    let terms = Terms::take(&mut parameters, &mut placeholders)?;
    placeholders.check_all_used()?;
    let name = super::take_table_name(&mut parameters);
    parameters.finish()?;
    let table = router.table(&router.map(), &name)?;
    let (token, at) = place(&table, key_of_request(&table.schema, ItemRef::trusted(&key_item))?);
    if let Some(update) = &update {
        update.refuse_key_attributes(&table.schema)?;
    }
    let update = Operation::Update(Update {
        at,
        key_item,
        program: update.map(|update| update.encode()),
        condition: terms.condition,
        returns,
        return_old_on_failure: terms.return_old_on_failure,
    });
    ask(router, token, update, Answer { table, wanted: terms.wanted, out }).await
}

/// Where an item lives: its token, and its key without the vnode, which the route fills in.
fn place(table: &Table, values: KeyValues<'_>) -> (u64, KeyAt) {
    let key = encode_key(keyspace::ITEMS, table.id, &table.schema, values.partition, values.sort);
    (Token::of(values.partition).high(), KeyAt { vnode: 0, table: table.id.0, key })
}

fn take_old_or_none(parameters: &mut Parameters<'_>) -> Result<bool, ApiError> {
    match parameters.text("ReturnValues").as_deref() {
        None | Some("NONE") => Ok(false),
        Some("ALL_OLD") => Ok(true),
        Some(_) => Err(ApiError::validation("ReturnValues can only be ALL_OLD or NONE")),
    }
}

fn take_returns(parameters: &mut Parameters<'_>) -> ReturnValues {
    match parameters.text("ReturnValues").as_deref() {
        Some("ALL_OLD") => ReturnValues::AllOld,
        Some("UPDATED_OLD") => ReturnValues::UpdatedOld,
        Some("ALL_NEW") => ReturnValues::AllNew,
        Some("UPDATED_NEW") => ReturnValues::UpdatedNew,
        _ => ReturnValues::None,
    }
}

/// Where and how the answer is written.
struct Answer<'o> {
    table: Rc<Table>,
    wanted: Wanted,
    out: &'o mut Vec<u8>,
}

async fn ask<R: Runtime>(
    router: &Router<R>,
    token_high: u64,
    operation: Operation,
    answer: Answer<'_>,
) -> Result<(), ApiError> {
    router
        .ask(token_high, operation, |reply| match reply {
            ArchivedReply::Written(written) => {
                answer.write(written);
                Ok(())
            }
            _ => Err(misunderstood()),
        })
        .await
}

impl Answer<'_> {
    fn write(self, written: &ArchivedWritten) {
        let mut object = Object::new(self.out);
        if let Some(attributes) = optional(&written.attributes) {
            write_item(object.member("Attributes"), ItemRef::trusted(attributes));
        }
        let (old, new) = (written.old_bytes.to_native(), written.new_bytes.to_native());
        let units = HalfUnits::written(u64::from(old), u64::from(new));
        self.wanted.write(&mut object, &self.table.name, units);
        object.end();
    }
}
