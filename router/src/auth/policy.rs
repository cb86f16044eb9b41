//! What a call is about: which tables, by which actions; and whether a user may do that.
//!
//! ```text
//! parameters --walk by shape--> table names, wherever they stand --+--> each must be allowed
//! operation  ------------------> actions: its own name;            |
//!                                a transaction: those of its parts +
//! ```
//!
//! The walk goes by the shapes of the parameters and not by a list of operations, so that an operation that is added later is
//! covered without a line here. What names no table at all is for those who may use all tables. Names inside of statements (PartiQL) are
//! in no shape: whoever reads statements has to ask `check_table`.

use model::error::{ApiError, Code};

use super::users::{User, matches};
use crate::request::shape::{Keys, Shape};
use crate::request::{Parameters, Value};

/// Every action that a pattern may be for: the operations of the API, and the parts of transactions and statements.
pub const ACTIONS: &[&str] = &[
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "CancelBulkOperation",
    "ConditionCheckItem",
    "CreateBackup",
    "CreateGlobalTable",
    "CreateTable",
    "DeleteBackup",
    "DeleteItem",
    "DeleteResourcePolicy",
    "DeleteTable",
    "DescribeBackup",
    "DescribeBulkOperation",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "DescribeEndpoints",
    "DescribeExport",
    "DescribeGlobalTable",
    "DescribeGlobalTableSettings",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeLimits",
    "DescribeStream",
    "DescribeTable",
    "DescribeTableReplicaAutoScaling",
    "DescribeTimeToLive",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExecuteStatement",
    "ExecuteTransaction",
    "ExportTableToPointInTime",
    "GetItem",
    "GetRecords",
    "GetResourcePolicy",
    "GetShardIterator",
    "ImportTable",
    "ListBackups",
    "ListBulkOperations",
    "ListContributorInsights",
    "ListExports",
    "ListGlobalTables",
    "ListImports",
    "ListStreams",
    "ListTables",
    "ListTagsOfResource",
    "PartiQLDelete",
    "PartiQLInsert",
    "PartiQLSelect",
    "PartiQLUpdate",
    "PutItem",
    "PutResourcePolicy",
    "Query",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "Scan",
    "SearchVectors",
    "StartBulkPutItems",
    "TagResource",
    "UntagResource",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateGlobalTable",
    "UpdateGlobalTableSettings",
    "UpdateItem",
    "UpdateKinesisStreamingDestination",
    "UpdateTable",
    "UpdateTableReplicaAutoScaling",
    "UpdateTimeToLive",
];

/// Patterns of the actions that change nothing.
pub const READ_ONLY: &[&str] = &[
    "BatchGetItem",
    "ConditionCheckItem",
    "Describe*",
    "Get*",
    "List*",
    "PartiQLSelect",
    "Query",
    "Scan",
    "SearchVectors",
];

/// Whether a pattern is for any action at all.
pub fn is_about_an_action(pattern: &str) -> bool {
    ACTIONS.iter().any(|action| matches(pattern, action))
}

/// Region and account of this node.
pub(super) type Here<'a> = (&'a str, &'a str);

/// One table that a call is about, and what is to be done with it.
struct Use<'p> {
    action: &'p str,
    /// A name, or an ARN.
    table: &'p str,
}

/// Refuses a call that the user may not make.
pub(super) fn check(
    user: &User,
    operation: &str,
    parameters: &Parameters<'_>,
    here: Here<'_>,
) -> Result<(), ApiError> {
    let mut uses = Vec::new();
    for (member, value) in parameters.shape().members.iter().zip(parameters.values()) {
        walk(member.name, operation, member.shape, value, &mut uses);
    }
    if uses.is_empty() {
        return check_table(user, operation, None, here);
    }
    uses.iter().try_for_each(|one| check_table(user, one.action, Some(one.table), here))
}

/// Refuses an action on one table, or on none.
pub(crate) fn check_table(
    user: &User,
    action: &str,
    table: Option<&str>,
    (region, account): Here<'_>,
) -> Result<(), ApiError> {
    if user.may(action, table.map(table_of)) {
        return Ok(());
    }
    let resource = match table {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        named => format!("arn:aws:dynamodb:{region}:{account}:table/{}", named.unwrap_or("*")),
    };
    let name = &user.name;
    Err(ApiError::new(
        Code::AccessDenied,
        format!(
            "User: arn:aws:iam::{account}:user/{name} is not authorized to perform: dynamodb:{action} on resource: \
             {resource} because no identity-based policy allows the dynamodb:{action} action"
        ),
    ))
}

/// The table's name in a name or in an ARN of a table or of something that belongs to one.
fn table_of(given: &str) -> &str {
    let Some(arn) = given.strip_prefix("arn:") else { return given };
    let resource = arn.splitn(5, ':').nth(4).unwrap_or("");
    let name = resource.strip_prefix("table/").unwrap_or(resource);
    name.split('/').next().unwrap_or(name)
}

fn walk<'p>(
    name: &str,
    action: &'p str,
    shape: &'static Shape,
    value: &'p Value<'_>,
    uses: &mut Vec<Use<'p>>,
) {
    match (shape, value) {
        (Shape::TableName, Value::Text(table)) => uses.push(Use { action, table }),
        (Shape::Text(_), Value::Text(table)) if is_arn(name) => uses.push(Use { action, table }),
        (Shape::Structure(structure), Value::Structure(values)) => {
            for (member, value) in structure.members.iter().zip(values) {
                walk(member.name, action_of(member.name, action), member.shape, value, uses);
            }
        }
        (Shape::List(element, _), Value::List(values)) => {
            values.iter().for_each(|value| walk(name, action, element, value, uses));
        }
        (Shape::Map(map), Value::Map(entries)) => {
            for (key, value) in entries {
                if matches!(map.keys, Keys::TableName) {
                    uses.push(Use { action, table: key });
                }
                walk(name, action, map.value, value, uses);
            }
        }
        _ => (),
    }
}

/// Members that name a resource as plain text.
fn is_arn(name: &str) -> bool {
    matches!(
        name,
        "ResourceArn" | "StreamArn" | "BackupArn" | "TableArn" | "SourceTableArn" | "ExportArn" | "ImportArn"
    )
}

/// Parts of a transaction are actions of their own.
fn action_of<'p>(member: &str, action: &'p str) -> &'p str {
    match (action, member) {
        ("TransactWriteItems", "Put") => "PutItem",
        ("TransactWriteItems", "Update") => "UpdateItem",
        ("TransactWriteItems", "Delete") => "DeleteItem",
        ("TransactWriteItems", "ConditionCheck") => "ConditionCheckItem",
        ("TransactGetItems", "Get") => "GetItem",
        _ => action,
    }
}

#[cfg(test)]
mod tests;
