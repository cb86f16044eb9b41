//! Tags and time to live: TagResource, UntagResource, ListTagsOfResource, UpdateTimeToLive, DescribeTimeToLive.
//!
//! Both are part of a table's record and change through the catalog; the table stays ACTIVE meanwhile. What
//! TimeToLive says is kept and described; items whose time has come are not deleted yet.

use model::error::{ApiError, Code};
use model::table::{Table, TableStatus, Tag};
use net::message::{Catalog, TagKeys, Tags, TimeToLiveChange};
use runtime::Runtime;

use super::answer::{Object, array};
use super::tables::{describe_record, invalid, read_record};
use super::tags::{take_tag_keys, take_tags};
use super::take_table_name;
use crate::Router;
use crate::request::Parameters;

/// TagResource. Its answer has no body.
pub(crate) async fn tag_resource<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
) -> Result<(), ApiError> {
    let (arn, name) = take_resource(router, &mut parameters)?;
    let tags = take_tags(&mut parameters)?;
    parameters.finish()?;
    if tags.is_empty() {
        return Err(ApiError::validation("Atleast one Tag needs to be provided as Input."));
    }
    let tags = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let changed = router.ask_catalog(Catalog::Tag(Tags { name, tags })).await;
    changed.map(drop).map_err(|error| about_resource(error, &arn))
}

/// UntagResource. Its answer has no body.
pub(crate) async fn untag_resource<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
) -> Result<(), ApiError> {
    let (arn, name) = take_resource(router, &mut parameters)?;
    let keys = take_tag_keys(&mut parameters)?;
    parameters.finish()?;
    if keys.is_empty() {
        return Err(ApiError::validation("Atleast one Tag Key needs to be provided as Input."));
    }
    let changed = router.ask_catalog(Catalog::Untag(TagKeys { name, keys })).await;
    changed.map(drop).map_err(|error| about_resource(error, &arn))
}

/// ListTagsOfResource: all tags in one page, as there are few. DynamoDB passes over a token that it never gave, so all are
/// passed over here.
pub(crate) async fn list_tags_of_resource<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let (arn, name) = take_resource(router, &mut parameters)?;
    let _token = parameters.text("NextToken");
    parameters.finish()?;
    let table = describe_record(router, name).await.map_err(|error| about_resource(error, &arn))?;
    let mut answer = Object::new(out);
    write_tags(answer.member("Tags"), &table.tags);
    answer.end();
    Ok(())
}

/// UpdateTimeToLive.
pub(crate) async fn update_time_to_live<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    let name = router.table_name(&given)?.to_owned();
    let mut wanted =
        parameters.structure("TimeToLiveSpecification").expect("the constraints require the specification");
    let attribute = wanted.text("AttributeName").expect("the constraints require a name").into_owned();
    let enabled = wanted.boolean("Enabled").expect("the constraints require a switch");
    parameters.finish()?;
    let change = TimeToLiveChange { name, attribute: attribute.clone(), enabled };
    read_record(&router.ask_catalog(Catalog::TimeToLive(change)).await?)?;
    let mut answer = Object::new(out);
    let mut echo = Object::new(answer.member("TimeToLiveSpecification"));
    echo.text("AttributeName", &attribute);
    echo.boolean("Enabled", enabled);
    echo.end();
    answer.end();
    Ok(())
}

/// DescribeTimeToLive.
pub(crate) async fn describe_time_to_live<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    parameters.finish()?;
    let table = describe_record(router, router.table_name(&given)?.to_owned()).await?;
    if matches!(table.status, TableStatus::Creating | TableStatus::Deleting) {
        let state = table.status.name();
        return Err(ApiError::validation(format!(
            "Cannot describe time to live while table is in {state} state: Current table state is {state}"
        )));
    }
    let mut answer = Object::new(out);
    write_time_to_live(answer.member("TimeToLiveDescription"), &table);
    answer.end();
    Ok(())
}

/// Takes `ResourceArn`: it itself, and the name of the table that it ends in.
fn take_resource<R: Runtime>(
    router: &Router<R>,
    parameters: &mut Parameters<'_>,
) -> Result<(String, String), ApiError> {
    let arn = parameters.text("ResourceArn").expect("the constraints require it").into_owned();
    let name = table_of_arn(router, &arn)?.to_owned();
    Ok((arn, name))
}

fn table_of_arn<'a, R: Runtime>(router: &Router<R>, arn: &'a str) -> Result<&'a str, ApiError> {
    let Some(fields) = arn.strip_prefix("arn:") else {
        return Err(invalid(&format!("ARNs must start with 'arn:': {arn}")));
    };
    let stranger = || invalid(&format!("Provided Arn is not a DynamoDB resource arn: {arn}"));
    let fields: Vec<&str> = fields.splitn(5, ':').collect();
    let [partition, service, region, account, resource] = fields[..] else { return Err(stranger()) };
    let table = resource.strip_prefix("table/").ok_or_else(stranger)?;
    let (name, below) = table.split_once('/').map_or((table, None), |(name, below)| (name, Some(below)));
    if partition != "aws" || service != "dynamodb" || below.is_some_and(|below| below.starts_with("backup/"))
    {
        return Err(stranger());
    }
    if region != router.options.region {
        let message = format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}");
        return Err(ApiError::validation(message));
    }
    if account != router.options.account {
        return Err(ApiError::new(Code::AccessDenied, "Access is denied"));
    }
    match below {
        None => Ok(name),
        Some(below) if below.starts_with("stream/") => Err(no_such_resource(arn)),
        Some(_) => Err(invalid(&format!(
            "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {arn}"
        ))),
    }
}

/// Tags speak of resources, not of tables.
fn about_resource(error: ApiError, arn: &str) -> ApiError {
    match error.code {
        Code::ResourceNotFound => no_such_resource(arn),
        _ => error,
    }
}

fn no_such_resource(arn: &str) -> ApiError {
    let message = format!("Requested resource not found: ResourceArn: {arn} not found");
    ApiError::new(Code::ResourceNotFound, message)
}

fn write_tags(out: &mut Vec<u8>, tags: &[Tag]) {
    array(out, tags, |out, tag| {
        let mut object = Object::new(out);
        object.text("Key", &tag.key);
        object.text("Value", &tag.value);
        object.end();
    });
}

fn write_time_to_live(out: &mut Vec<u8>, table: &Table) {
    let mut object = Object::new(out);
    if let Some(time_to_live) = &table.time_to_live {
        object.text("AttributeName", &time_to_live.attribute);
    }
    object.text("TimeToLiveStatus", if table.time_to_live.is_some() { "ENABLED" } else { "DISABLED" });
    object.end();
}
