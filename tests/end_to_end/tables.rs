//! CreateTable, DescribeTable, ListTables, UpdateTable, DeleteTable.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, ContinuousBackupsStatus, KeySchemaElement, KeyType,
    ProvisionedThroughput, ScalarAttributeType, TableStatus, Tag, TimeToLiveSpecification, TimeToLiveStatus,
};

use crate::server::{Server, assert_refused, create_table, n, s, wait_active};

#[tokio::test]
async fn a_table_lives_from_create_to_delete() {
    let server = Server::start();
    let client = server.client();
    let created = create(&client, "music").send().await.unwrap().table_description.unwrap();
    assert!(matches!(created.table_status, Some(TableStatus::Creating | TableStatus::Active)));
    wait_active(&client, "music").await;

    let table = client.describe_table().table_name("music").send().await.unwrap().table.unwrap();
    assert_eq!(table.table_name(), Some("music"));
    assert_eq!(table.table_arn(), Some("arn:aws:dynamodb:us-east-1:000000000000:table/music"));
    assert_eq!(table.key_schema().len(), 2);
    assert_eq!(table.key_schema()[0].attribute_name(), "artist");
    assert_eq!(table.key_schema()[1].key_type(), &KeyType::Range);
    assert_eq!(table.attribute_definitions().len(), 2);
    assert_eq!(table.billing_mode_summary().unwrap().billing_mode(), Some(&BillingMode::PayPerRequest));
    assert!(table.creation_date_time().unwrap().secs() > 1_700_000_000);
    assert_eq!(table.table_id().unwrap().len(), 36);

    let deleted = client.delete_table().table_name("music").send().await.unwrap().table_description.unwrap();
    assert_eq!(deleted.table_status, Some(TableStatus::Deleting));
    wait_gone(&client, "music").await;
    assert_refused(
        client.delete_table().table_name("music").send().await,
        "ResourceNotFoundException",
        "music",
    );
}

#[tokio::test]
async fn a_new_table_of_an_old_name_is_empty() {
    let server = Server::start();
    let client = server.client();
    for round in 0..3 {
        create_table(&client, "again", None).await;
        let got = client
            .get_item()
            .table_name("again")
            .key("p", s("k"))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        assert_eq!(got.item, None, "round {round}");
        client.put_item().table_name("again").item("p", s("k")).item("v", n(round)).send().await.unwrap();
        client.delete_table().table_name("again").send().await.unwrap();
        wait_gone(&client, "again").await;
    }
}

#[tokio::test]
async fn tables_and_items_survive_a_clean_stop() {
    let data = crate::server::data_directory();
    let server = Server::start_in(data.path());
    let client = server.client();
    create_table(&client, "kept", None).await;
    client.put_item().table_name("kept").item("p", s("k")).item("v", n(1)).send().await.unwrap();
    let before = client.describe_table().table_name("kept").send().await.unwrap().table.unwrap();
    server.stop();

    let server = Server::start_in(data.path());
    let client = server.client();
    let after = client.describe_table().table_name("kept").send().await.unwrap().table.unwrap();
    assert_eq!(after.table_id(), before.table_id());
    assert_eq!(after.creation_date_time(), before.creation_date_time());
    let got =
        client.get_item().table_name("kept").key("p", s("k")).consistent_read(true).send().await.unwrap();
    assert_eq!(got.item.unwrap()["v"], n(1));
}

#[tokio::test]
async fn describe_table_counts_items() {
    let server = Server::start();
    let client = server.client();
    create_table(&client, "counted", None).await;
    create_table(&client, "other", None).await;
    let measure = async || {
        let table = client.describe_table().table_name("counted").send().await.unwrap().table.unwrap();
        (table.item_count().unwrap(), table.table_size_bytes().unwrap())
    };
    assert_eq!(measure().await, (0, 0));
    for number in 0..50 {
        let key = s(format!("k{number}"));
        for value in 0..2 {
            let put = client.put_item().table_name("counted").item("p", key.clone()).item("v", n(value));
            put.send().await.unwrap();
        }
    }
    client.put_item().table_name("other").item("p", s("k")).send().await.unwrap();
    let (items, bytes) = measure().await;
    assert_eq!(items, 50);
    assert!((50 * 10..50 * 100).contains(&bytes), "{bytes} bytes");
    for number in 0..10 {
        let key = s(format!("k{number}"));
        client.delete_item().table_name("counted").key("p", key).send().await.unwrap();
    }
    let (items, less) = measure().await;
    assert_eq!(items, 40);
    assert!(less < bytes);
}

#[tokio::test]
async fn tags_and_time_to_live_survive_a_restart() {
    let data = crate::server::data_directory();
    let server = Server::start_in(data.path());
    let client = server.client();
    create_table(&client, "tab", None).await;
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/tab";
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
    let tags = [tag("owner", "me"), tag("stage", "test")];
    client.tag_resource().resource_arn(arn).set_tags(Some(tags.to_vec())).send().await.unwrap();
    client.untag_resource().resource_arn(arn).tag_keys("stage").send().await.unwrap();
    let specification = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true);
    let specification = specification.build().unwrap();
    let enable =
        client.update_time_to_live().table_name("tab").time_to_live_specification(specification.clone());
    let enabled = enable.clone().send().await.unwrap();
    assert_eq!(enabled.time_to_live_specification, Some(specification));
    assert_refused(enable.send().await, "ValidationException", "TimeToLive is already enabled");
    server.stop();

    let server = Server::start_in(data.path());
    let client = server.client();
    let listed = client.list_tags_of_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(listed.tags(), &tags[..1]);
    let described = client.describe_time_to_live().table_name("tab").send().await.unwrap();
    let described = described.time_to_live_description.unwrap();
    assert_eq!(described.attribute_name(), Some("expires"));
    assert_eq!(described.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
}

#[tokio::test]
async fn the_service_describes_itself() {
    let server = Server::start();
    let client = server.client();
    create_table(&client, "tab", None).await;
    let limits = client.describe_limits().send().await.unwrap();
    assert_eq!(limits.table_max_read_capacity_units(), Some(40_000));
    let endpoints = client.describe_endpoints().send().await.unwrap();
    assert_eq!(endpoints.endpoints()[0].address(), server.address());
    let backups = client.describe_continuous_backups().table_name("tab").send().await.unwrap();
    let backups = backups.continuous_backups_description.unwrap();
    assert_eq!(backups.continuous_backups_status(), &ContinuousBackupsStatus::Enabled);
    assert_refused(
        client.describe_continuous_backups().table_name("none").send().await,
        "TableNotFoundException",
        "Table not found: none",
    );
}

#[tokio::test]
async fn list_tables_pages_in_order() {
    let server = Server::start();
    let client = server.client();
    let names: Vec<String> = (0..7).map(|number| format!("table-{number}")).collect();
    for name in names.iter().rev() {
        create_table(&client, name, None).await;
    }
    let all = client.list_tables().send().await.unwrap();
    assert_eq!(all.table_names(), names);
    assert_eq!(all.last_evaluated_table_name(), None);

    let first = client.list_tables().limit(3).send().await.unwrap();
    assert_eq!(first.table_names(), &names[..3]);
    assert_eq!(first.last_evaluated_table_name(), Some("table-2"));
    let rest = client.list_tables().exclusive_start_table_name("table-2").send().await.unwrap();
    assert_eq!(rest.table_names(), &names[3..]);
    assert_refused(
        client.list_tables().limit(101).send().await,
        "ValidationException",
        "less than or equal to 100",
    );
}

#[tokio::test]
async fn update_table_changes_what_it_names() {
    let server = Server::start();
    let client = server.client();
    create_table(&client, "tab", None).await;
    let throughput =
        ProvisionedThroughput::builder().read_capacity_units(5).write_capacity_units(7).build().unwrap();
    let request = client.update_table().table_name("tab").billing_mode(BillingMode::Provisioned);
    request.provisioned_throughput(throughput).send().await.unwrap();
    wait_active(&client, "tab").await;
    let table = client.describe_table().table_name("tab").send().await.unwrap().table.unwrap();
    let throughput = table.provisioned_throughput().unwrap();
    assert_eq!((throughput.read_capacity_units(), throughput.write_capacity_units()), (Some(5), Some(7)));

    client.update_table().table_name("tab").deletion_protection_enabled(true).send().await.unwrap();
    wait_active(&client, "tab").await;
    assert_refused(
        client.delete_table().table_name("tab").send().await,
        "ValidationException",
        "protected against deletion",
    );
    client.update_table().table_name("tab").deletion_protection_enabled(false).send().await.unwrap();
    wait_active(&client, "tab").await;
    client.delete_table().table_name("tab").send().await.unwrap();
    wait_gone(&client, "tab").await;
}

#[tokio::test]
async fn wrong_tables_are_refused() {
    let server = Server::start();
    let client = server.client();
    create_table(&client, "there", None).await;
    assert_refused(create(&client, "there").send().await, "ResourceInUseException", "there");
    assert_refused(create(&client, "ab").send().await, "ValidationException", "3");
    assert_refused(create(&client, "no spaces").send().await, "ValidationException", "[a-zA-Z0-9_.-]+");
    assert_refused(
        client.describe_table().table_name("absent").send().await,
        "ResourceNotFoundException",
        "absent",
    );
    let unused = create(&client, "unused").attribute_definitions(attribute("other", ScalarAttributeType::S));
    assert_refused(unused.send().await, "ValidationException", "AttributeDefinitions");
    let get = client.get_item().table_name("absent").key("p", s("k"));
    assert_refused(get.send().await, "ResourceNotFoundException", "Requested resource not found");
}

fn create(
    client: &Client,
    name: &str,
) -> aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder {
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("artist", KeyType::Hash))
        .key_schema(key("song", KeyType::Range))
        .attribute_definitions(attribute("artist", ScalarAttributeType::S))
        .attribute_definitions(attribute("song", ScalarAttributeType::S))
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

async fn wait_gone(client: &Client, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.describe_table().table_name(name).send().await.is_ok() {
        assert!(Instant::now() < deadline, "{name} is still there");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_refused(client.describe_table().table_name(name).send().await, "ResourceNotFoundException", name);
}
