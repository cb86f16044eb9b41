//! GetItem.

use model::error::ApiError;
use model::item::ItemRef;
use model::key::{Token, encode_key, key_of_request, keyspace};
use net::message::{ArchivedReply, Get, KeyAt, Operation, optional};
use runtime::Runtime;

use super::answer::Object;
use super::capacity::{HalfUnits, Wanted};
use super::expressions::{Given, Rules, take_projection};
use crate::Router;
use crate::json::attribute::write_item;
use crate::request::Parameters;
use crate::route::misunderstood;

/// GetItem's expressions, and those of one table in BatchGetItem.
pub(super) const RULES: Rules =
    Rules { expressions: &["ProjectionExpression"], with_values: &[], legacy: &["AttributesToGet"] };

/// GetItem.
pub(crate) async fn get_item<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = Given::take(&mut parameters, &RULES)?;
    let key = parameters.item("Key").expect("the constraints require it")?;
    let mut placeholders = given.placeholders(&router.expressions)?;
    let projection =
        take_projection(&mut parameters, &mut placeholders)?.map(|projection| projection.encode());
    placeholders.check_all_used()?;
    let wanted = Wanted::take(&mut parameters);
    let consistent = parameters.boolean("ConsistentRead").unwrap_or(false);
    let name = super::take_table_name(&mut parameters);
    parameters.finish()?;
    let table = router.table(&router.map(), &name)?;
    let values = key_of_request(&table.schema, ItemRef::trusted(&key))?;
    let key = encode_key(keyspace::ITEMS, table.id, &table.schema, values.partition, values.sort);
    let at = KeyAt { vnode: 0, table: table.id.0, key };
    let get = Operation::Get(Get { at, consistent, projection });
    let units = router
        .ask(Token::of(values.partition).high(), get, |reply| {
            let ArchivedReply::Item(found) = reply else { return Err(misunderstood()) };
            let units = HalfUnits::read(u64::from(found.charged_bytes.to_native()), consistent);
            let mut answer = Object::new(out);
            if let Some(item) = optional(&found.item) {
                write_item(answer.member("Item"), ItemRef::trusted(item));
            }
            wanted.write(&mut answer, &table.name, units);
            answer.end();
            Ok(units)
        })
        .await?;
    assert!(units.0 > 0, "every read costs something");
    Ok(())
}
