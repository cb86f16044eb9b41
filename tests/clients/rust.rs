//! aws-sdk-dynamodb against torc, end to end: `cargo run --example client -- ENDPOINT`; see `run` beside this file.

#![expect(clippy::disallowed_types, reason = "an item is the standard map, in the SDK")]

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, KeysAndAttributes,
    PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, ScalarAttributeType, Tag,
    TimeToLiveSpecification, WriteRequest,
};

const TABLE: &str = "rust-orders";
const WAIT_MAX: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).context("usage: client ENDPOINT")?;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "clients"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled());
    let client = Client::from_conf(config.build());
    create_table(&client).await.context("creating the table")?;
    every_type(&client).await.context("every type")?;
    updates_and_conditions(&client).await.context("updates and conditions")?;
    pages_and_batches(&client).await.context("pages and batches")?;
    settings(&client).await.context("settings")?;
    errors(&client).await.context("errors")?;
    drop_table(&client).await.context("dropping the table")?;
    println!("aws-sdk-dynamodb: the client does what it does with DynamoDB");
    Ok(())
}

async fn create_table(client: &Client) -> Result<()> {
    let attribute =
        |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let create = client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("customer", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("order", ScalarAttributeType::N)?)
        .key_schema(key("customer", KeyType::Hash)?)
        .key_schema(key("order", KeyType::Range)?);
    create.clone().send().await?;
    client.wait_until_table_exists().table_name(TABLE).wait(WAIT_MAX).await?;
    let again = create.send().await.expect_err("it is there").into_service_error();
    ensure!(again.is_resource_in_use_exception(), "{again:?}");
    Ok(())
}

async fn every_type(client: &Client) -> Result<()> {
    let mut item = key("types", 1);
    item.extend([
        ("text".to_owned(), s("grüße 🎸 \"quoted\" \\ \n")),
        ("empty".to_owned(), s("")),
        ("exact".to_owned(), n("0.12345678901234567890123456789012345678")),
        ("large".to_owned(), n("9".repeat(38) + &"0".repeat(80))),
        ("bytes".to_owned(), AttributeValue::B(Blob::new((0..=255).collect::<Vec<u8>>()))),
        ("yes".to_owned(), AttributeValue::Bool(true)),
        ("nothing".to_owned(), AttributeValue::Null(true)),
        ("list".to_owned(), AttributeValue::L(vec![s("a"), n(1), AttributeValue::L(vec![])])),
        ("map".to_owned(), AttributeValue::M(HashMap::from([("inner".to_owned(), n("0.5"))]))),
        ("strings".to_owned(), AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()])),
        ("numbers".to_owned(), AttributeValue::Ns(vec!["-3".to_owned(), "1".to_owned(), "2.5".to_owned()])),
        ("binaries".to_owned(), AttributeValue::Bs(vec![Blob::new([1]), Blob::new([2])])),
    ]);
    client.put_item().table_name(TABLE).set_item(Some(item.clone())).send().await?;
    let get = client.get_item().table_name(TABLE).set_key(Some(key("types", 1))).consistent_read(true);
    let found = get.send().await?.item.context("the item is there")?;
    ensure!(found == item, "{found:?}");
    let nobody = client.get_item().table_name(TABLE).set_key(Some(key("nobody", 1))).send().await?;
    ensure!(nobody.item.is_none());
    Ok(())
}

async fn updates_and_conditions(client: &Client) -> Result<()> {
    let mut item = key("ann", 7);
    item.insert("total".to_owned(), n(10));
    let put = client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(customer)");
    put.clone().send().await?;
    let twice = put.send().await.expect_err("it is there").into_service_error();
    ensure!(twice.is_conditional_check_failed_exception(), "{twice:?}");
    let update = client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(key("ann", 7)))
        .update_expression("SET #t = #t + :ten, basket = if_not_exists(basket, :none) ADD change_count :one")
        .condition_expression("#t BETWEEN :one AND :limit")
        .expression_attribute_names("#t", "total")
        .expression_attribute_values(":ten", n(10))
        .expression_attribute_values(":one", n(1))
        .expression_attribute_values(":limit", n(15))
        .expression_attribute_values(":none", AttributeValue::L(vec![]))
        .return_values(ReturnValue::UpdatedNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let changed = update.clone().send().await?.attributes.context("what was updated")?;
    ensure!(
        changed["total"] == n(20) && changed["change_count"] == n(1) && changed.len() == 3,
        "{changed:?}"
    );
    let failed = update.send().await.expect_err("the total is too large").into_service_error();
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) =
        failed
    else {
        anyhow::bail!("{failed:?}");
    };
    let old = failed.item().context("the old item comes with the failure")?;
    ensure!(old["total"] == n(20) && old["customer"] == s("ann"), "{old:?}");
    let delete = client.delete_item().table_name(TABLE).set_key(Some(key("ann", 7)));
    let gone = delete.return_values(ReturnValue::AllOld).send().await?.attributes.context("the old item")?;
    ensure!(gone["total"] == n(20));
    Ok(())
}

async fn pages_and_batches(client: &Client) -> Result<()> {
    for first in [0, 25] {
        let requests = (first..first + 25).map(|order| -> Result<WriteRequest> {
            let put = PutRequest::builder().set_item(Some(key("batch", order))).build()?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let written = client.batch_write_item().request_items(TABLE, requests).send().await?;
        ensure!(written.unprocessed_items.is_none_or(|left| left.is_empty()));
    }
    let query = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("customer = :c AND #o >= :from")
        .expression_attribute_names("#o", "order")
        .expression_attribute_values(":c", s("batch"))
        .expression_attribute_values(":from", n(10));
    let items = query.into_paginator().page_size(7).items().send().collect::<Result<Vec<_>, _>>().await?;
    let orders: Vec<_> = items.iter().map(|item| item["order"].clone()).collect();
    ensure!(orders == (10..50).map(n).collect::<Vec<_>>(), "{orders:?}");
    let segments = (0..3).map(|segment| {
        let scan = client.scan().table_name(TABLE).total_segments(3).segment(segment).limit(9);
        tokio::spawn(scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>())
    });
    let mut scanned = 0;
    for segment in segments.collect::<Vec<_>>() {
        scanned += segment.await??.len();
    }
    ensure!(scanned == 51, "{scanned} items in all segments");
    let keys = KeysAndAttributes::builder()
        .set_keys(Some([1, 2, 1000].map(|order| key("batch", order)).to_vec()))
        .build()?;
    let got = client.batch_get_item().request_items(TABLE, keys).send().await?;
    ensure!(got.responses.context("responses")?[TABLE].len() == 2);
    Ok(())
}

async fn settings(client: &Client) -> Result<()> {
    let table = client.describe_table().table_name(TABLE).send().await?.table.context("a table")?;
    let arn = table.table_arn.context("it has an ARN")?;
    let tag = Tag::builder().key("stage").value("test").build()?;
    client.tag_resource().resource_arn(&arn).tags(tag.clone()).send().await?;
    let tags = client.list_tags_of_resource().resource_arn(&arn).send().await?.tags;
    ensure!(tags == Some(vec![tag]), "{tags:?}");
    let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build()?;
    client.update_time_to_live().table_name(TABLE).time_to_live_specification(specification).send().await?;
    let described = client.describe_time_to_live().table_name(TABLE).send().await?;
    let described = described.time_to_live_description.context("a description")?;
    ensure!(described.attribute_name.as_deref() == Some("expires"), "{described:?}");
    Ok(())
}

async fn errors(client: &Client) -> Result<()> {
    let get = client.get_item().table_name("rust-nothing").set_key(Some(key("x", 1)));
    let missing = get.send().await.expect_err("there is no such table").into_service_error();
    ensure!(missing.is_resource_not_found_exception(), "{missing:?}");
    let wrong = client.get_item().table_name(TABLE).key("customer", s("x"));
    let wrong = wrong.send().await.expect_err("half a key").into_service_error();
    ensure!(wrong.code() == Some("ValidationException"), "{wrong:?}");
    ensure!(
        wrong.message() == Some("The provided key element does not match the schema"),
        "{:?}",
        wrong.message()
    );
    Ok(())
}

async fn drop_table(client: &Client) -> Result<()> {
    client.delete_table().table_name(TABLE).send().await?;
    client.wait_until_table_not_exists().table_name(TABLE).wait(WAIT_MAX).await?;
    let describe = client.describe_table().table_name(TABLE).send().await;
    let gone = describe.expect_err("the table is gone").into_service_error();
    ensure!(gone.is_resource_not_found_exception(), "{gone:?}");
    Ok(())
}

fn key(customer: &str, order: u32) -> HashMap<String, AttributeValue> {
    HashMap::from([("customer".to_owned(), s(customer)), ("order".to_owned(), n(order))])
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
