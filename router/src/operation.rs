//! The operations: from a call's name and body to its answer.
//!
//! ```text
//! X-Amz-Target --> table of inputs --> decode --> constraints --> the operation --> JSON
//!      |                                 |            |               |
//! UnknownOperation            Serialization      "N validation   its own rules, expressions, the table,
//!                                Exception        errors ..."     the key, the item; then the shard
//! ```
//!
//! The order in which mistakes are told is DynamoDB's: what is further left is told first.
//!
//! - [`expressions`], [`capacity`], [`answer`]: what several operations share.
//! - [`known`]: the API's operations that are not here yet.
//! - [`tables`]: CreateTable, DescribeTable, ListTables, DeleteTable; [`indexes`], what CreateTable asks of indexes;
//!   [`table_update`]: UpdateTable.
//! - [`settings`]: tags and time to live; [`tags`], what a tag may be. [`account`]: limits, endpoints, continuous backups.
//! - [`write`]: PutItem, UpdateItem, DeleteItem. [`read`]: GetItem.
//! - [`batch_get`], [`batch_write`]: one message for each shard, all at once.
//! - [`page`]: Query and Scan.

mod account;
mod answer;
mod batch_get;
mod batch_write;
mod capacity;
mod expressions;
mod indexes;
mod known;
mod page;
mod read;
mod scatter;
mod settings;
mod table_update;
mod tables;
mod tags;
mod write;

use std::borrow::Cow;
use std::rc::Rc;

use meter::ledger;
use meter::stage::Operation as Metered;
use model::error::{ApiError, Code};
use model::item::ItemRef;
use model::limits::{ITEM_BYTES_MAX, TABLE_NAME_BYTES_MAX, TABLE_NAME_BYTES_MIN};
use model::map::Map;
use model::table::{Table, TableStatus};
use runtime::Runtime;

use crate::Router;
use crate::auth;
use crate::http::coding;
use crate::http::intake::Request;
use crate::json::attribute;
use crate::request::constraint::{self, is_name_like};
use crate::request::shape::Structure;
use crate::request::{Parameters, tables as shapes};

/// What a call's name begins with.
const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// Answers one call: appends the JSON to `out` and returns the status.
pub(crate) async fn answer<R: Runtime>(router: &Router<R>, request: &Request<'_>, out: &mut Vec<u8>) -> u16 {
    let start = out.len();
    match call(router, request, out).await {
        Ok(()) => 200,
        Err(error) => {
            ledger::with_present(|ledger| router.book.count_error(ledger.operation(), error.code.name()));
            out.truncate(start);
            write_error(out, &error);
            error.code.status()
        }
    }
}

async fn call<R: Runtime>(
    router: &Router<R>,
    request: &Request<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let target = request.target().unwrap_or("");
    let name = target.strip_prefix(TARGET_PREFIX).unwrap_or("");
    let shape = shape_of(name).ok_or_else(|| known::refusal(target))?;
    ledger::with_present(|ledger| ledger.set_operation(metered(name)));
    if !router.has_map() {
        return Err(ApiError::new(
            Code::ServiceUnavailable,
            "The cluster's map has not come yet; try again.",
        ));
    }
    let caller = auth::authenticate(router, request).await?;
    let unpacked = coding::unpack(router, request).await?;
    let parameters = router.decode(unpacked.as_deref().unwrap_or(request.body), shape)?;
    constraint::check(&parameters)?;
    auth::authorize(router, &caller, name, &parameters)?;
    match name {
        "GetItem" => read::get_item(router, parameters, out).await,
        "PutItem" => write::put_item(router, parameters, out).await,
        "UpdateItem" => write::update_item(router, parameters, out).await,
        "DeleteItem" => write::delete_item(router, parameters, out).await,
        "Query" => page::query(router, parameters, out).await,
        "Scan" => page::scan(router, parameters, out).await,
        "BatchGetItem" => batch_get::batch_get_item(router, parameters, out).await,
        "BatchWriteItem" => batch_write::batch_write_item(router, parameters, out).await,
        "CreateTable" => tables::create_table(router, parameters, out).await,
        "DescribeTable" => tables::describe_table(router, parameters, out).await,
        "ListTables" => tables::list_tables(router, parameters, out),
        "UpdateTable" => table_update::update_table(router, parameters, out).await,
        "DeleteTable" => tables::delete_table(router, parameters, out).await,
        "TagResource" => settings::tag_resource(router, parameters).await,
        "UntagResource" => settings::untag_resource(router, parameters).await,
        "ListTagsOfResource" => settings::list_tags_of_resource(router, parameters, out).await,
        "UpdateTimeToLive" => settings::update_time_to_live(router, parameters, out).await,
        "DescribeTimeToLive" => settings::describe_time_to_live(router, parameters, out).await,
        "DescribeLimits" => account::describe_limits(parameters, out),
        "DescribeEndpoints" => account::describe_endpoints(parameters, request.host(), out),
        "DescribeContinuousBackups" => account::describe_continuous_backups(router, parameters, out).await,
        other => panic!("{other} has an input and must have an operation"),
    }
}

/// As what it is counted.
fn metered(name: &str) -> Metered {
    match name {
        "GetItem" => Metered::GetItem,
        "PutItem" => Metered::PutItem,
        "UpdateItem" => Metered::UpdateItem,
        "DeleteItem" => Metered::DeleteItem,
        "Query" => Metered::Query,
        "Scan" => Metered::Scan,
        "BatchGetItem" => Metered::BatchGetItem,
        "BatchWriteItem" => Metered::BatchWriteItem,
        _ => Metered::Other,
    }
}

pub(crate) use answer::{Object, array};
pub(crate) use known::to_come;

/// The operations that torc has, in the order of the alphabet.
pub(crate) const NAMES: [&str; 21] = [
    "BatchGetItem",
    "BatchWriteItem",
    "CreateTable",
    "DeleteItem",
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeEndpoints",
    "DescribeLimits",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "ListTables",
    "ListTagsOfResource",
    "PutItem",
    "Query",
    "Scan",
    "TagResource",
    "UntagResource",
    "UpdateItem",
    "UpdateTable",
    "UpdateTimeToLive",
];

/// The input of an operation that torc has.
pub(crate) fn shape_of(name: &str) -> Option<&'static Structure> {
    Some(match name {
        "GetItem" => &shapes::GET_ITEM,
        "PutItem" => &shapes::PUT_ITEM,
        "UpdateItem" => &shapes::UPDATE_ITEM,
        "DeleteItem" => &shapes::DELETE_ITEM,
        "Query" => &shapes::QUERY,
        "Scan" => &shapes::SCAN,
        "BatchGetItem" => &shapes::BATCH_GET_ITEM,
        "BatchWriteItem" => &shapes::BATCH_WRITE_ITEM,
        "CreateTable" => &shapes::CREATE_TABLE,
        "DescribeTable" => &shapes::DESCRIBE_TABLE,
        "ListTables" => &shapes::LIST_TABLES,
        "UpdateTable" => &shapes::UPDATE_TABLE,
        "DeleteTable" => &shapes::DELETE_TABLE,
        "TagResource" => &shapes::TAG_RESOURCE,
        "UntagResource" => &shapes::UNTAG_RESOURCE,
        "ListTagsOfResource" => &shapes::LIST_TAGS_OF_RESOURCE,
        "UpdateTimeToLive" => &shapes::UPDATE_TIME_TO_LIVE,
        "DescribeTimeToLive" => &shapes::DESCRIBE_TIME_TO_LIVE,
        "DescribeLimits" => &shapes::DESCRIBE_LIMITS,
        "DescribeEndpoints" => &shapes::DESCRIBE_ENDPOINTS,
        "DescribeContinuousBackups" => &shapes::DESCRIBE_CONTINUOUS_BACKUPS,
        _ => return None,
    })
}

/// `{"__type": "...", "message": "..."}`; what has no message says so by leaving it out.
fn write_error(out: &mut Vec<u8>, error: &ApiError) {
    let mut object = answer::Object::new(out);
    object.text("__type", &format!("{}{}", error.code.prefix(), error.code.name()));
    if !error.message.is_empty() {
        let capital = matches!(error.code, Code::Serialization | Code::AccessDenied);
        object.text(if capital { "Message" } else { "message" }, &error.message);
    }
    if let Some(item) = &error.item {
        attribute::write_item(object.member("Item"), ItemRef::trusted(item));
    }
    object.end();
}

impl<R: Runtime> Router<R> {
    fn decode<'a>(&self, body: &'a [u8], shape: &'static Structure) -> Result<Parameters<'a>, ApiError> {
        Parameters::decode(body, shape, &mut self.builder.borrow_mut())
    }

    /// The name in a parameter that holds a name or an ARN.
    fn table_name<'n>(&self, given: &'n str) -> Result<&'n str, ApiError> {
        let Some(arn) = given.strip_prefix("arn:") else { return Ok(given) };
        let invalid =
            |what: &str| ApiError::validation(format!("1 validation error detected: {what} in '{given}'"));
        let mut fields = arn.splitn(5, ':');
        let mut field = || fields.next().ok_or_else(|| invalid("Invalid ARN"));
        let (partition, service, region, account, resource) =
            (field()?, field()?, field()?, field()?, field()?);
        let name = resource.strip_prefix("table/").ok_or_else(|| invalid("Invalid resource type"))?;
        let sized = (TABLE_NAME_BYTES_MIN..=TABLE_NAME_BYTES_MAX).contains(&name.len());
        match () {
            _ if partition != "aws" => Err(invalid("Invalid AWS partition")),
            _ if service != "dynamodb" => Err(invalid("Invalid AWS service")),
            _ if region != self.options.region => Err(invalid("Invalid AWS region")),
            _ if !sized || !is_name_like(name) => Err(invalid("Invalid resource type")),
            _ if account != self.options.account => {
                Err(ApiError::new(Code::AccessDenied, "Access is denied"))
            }
            _ => Ok(name),
        }
    }

    /// The table that an operation on items names, if it takes requests.
    fn table(&self, map: &Map, given: &str) -> Result<Rc<Table>, ApiError> {
        let name = self.table_name(given)?;
        match map.tables.get(name) {
            Some(table) if is_serving(table) => {
                ledger::with_present(|ledger| ledger.set_table(table.id.0));
                Ok(table.clone())
            }
            _ => Err(not_found()),
        }
    }
}

fn is_serving(table: &Table) -> bool {
    matches!(table.status, TableStatus::Active | TableStatus::Updating)
}

fn not_found() -> ApiError {
    ApiError::new(Code::ResourceNotFound, "Requested resource not found")
}

/// Takes a required table name.
fn take_table_name<'a>(parameters: &mut Parameters<'a>) -> Cow<'a, str> {
    parameters.text("TableName").expect("the constraints require it")
}

fn check_item_size(item: &[u8]) -> Result<(), ApiError> {
    if ItemRef::trusted(item).charges_more_than(ITEM_BYTES_MAX) {
        return Err(ApiError::validation("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}
