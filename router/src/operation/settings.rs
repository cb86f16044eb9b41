//! Tags and time to live: TagResource, UntagResource, ListTagsOfResource, UpdateTimeToLive, DescribeTimeToLive.
//!
//! Both are part of a table's record and change through the catalog; the table stays ACTIVE meanwhile. What
//! TimeToLive says is kept and described; items whose time has come are not deleted yet.

use model::error::{ApiError, Code};
use model::table::{Table, Tag};
use net::message::{Catalog, TagKeys, Tags, TimeToLiveChange};
use runtime::Runtime;

use super::answer::{Object, array};
use super::tables::{describe_record, read_record, take_tags};
use super::take_table_name;
use crate::Router;
use crate::request::{Parameters, Value};

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
    let keys = parameters.list("TagKeys").expect("the constraints require it");
    parameters.finish()?;
    if keys.is_empty() {
        return Err(ApiError::validation("Atleast one Tag Key needs to be provided as Input."));
    }
    let key = |value: Value<'_>| match value {
        Value::Text(key) => key.into_owned(),
        other => panic!("a tag's key is a string in its table, not {other:?}"),
    };
    let keys = keys.into_iter().map(key).collect();
    let changed = router.ask_catalog(Catalog::Untag(TagKeys { name, keys })).await;
    changed.map(drop).map_err(|error| about_resource(error, &arn))
}

/// ListTagsOfResource: all tags in one page, as there are few; so there is no token that anybody was given.
pub(crate) async fn list_tags_of_resource<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let (arn, name) = take_resource(router, &mut parameters)?;
    if parameters.text("NextToken").is_some() {
        return Err(ApiError::validation("The provided NextToken is invalid"));
    }
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
    if !arn.starts_with("arn:") {
        let message = format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}");
        return Err(ApiError::validation(message));
    }
    let name = router.table_name(&arn).map_err(|error| about_resource(error, &arn))?.to_owned();
    Ok((arn, name))
}

/// Tags speak of resources, not of tables: DynamoDB's words, its spelling included.
fn about_resource(error: ApiError, arn: &str) -> ApiError {
    if error.code != Code::ResourceNotFound {
        return error;
    }
    ApiError::new(error.code, format!("Requested resource not found: ResourcArn: {arn} not found"))
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
