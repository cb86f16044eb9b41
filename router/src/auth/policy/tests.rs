use model::item::ItemBuilder;

use super::*;
use crate::auth::users::Secret;
use crate::request::shape::Structure;
use crate::request::tables as shapes;

fn user(tables: &[&str], actions: &[&str]) -> User {
    let owned = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
    User {
        name: "app".to_owned(),
        access_key_id: "TORCAAAAAAAAAAAAAAAA".to_owned(),
        secret: Secret::new("0123456789abcdef".to_owned()),
        tables: owned(tables),
        actions: owned(actions),
    }
}

fn ask(user: &User, operation: &str, shape: &'static Structure, body: &str) -> Result<(), String> {
    let parameters =
        Parameters::decode(body.as_bytes(), shape, &mut ItemBuilder::default()).expect("it decodes");
    check(user, operation, &parameters, ("us-east-1", "000000000000")).map_err(|error| error.to_string())
}

const REFUSED: &str =
    "AccessDeniedException: User: arn:aws:iam::000000000000:user/app is not authorized to perform: ";

#[test]
fn one_table() {
    let user = user(&["orders-*"], &["GetItem", "Describe*"]);
    let get = |table: &str| {
        ask(&user, "GetItem", &shapes::GET_ITEM, &format!(r#"{{"TableName":"{table}","Key":{{}}}}"#))
    };
    assert_eq!(get("orders-1"), Ok(()));
    assert_eq!(get("arn:aws:dynamodb:us-east-1:000000000000:table/orders-1"), Ok(()));
    assert_eq!(
        get("music"),
        Err(format!(
            "{REFUSED}dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:000000000000:table/music because no \
             identity-based policy allows the dynamodb:GetItem action"
        ))
    );
    let other = get("arn:aws:dynamodb:us-east-1:000000000000:table/music/index/orders-1");
    assert!(other.is_err_and(|why| {
        why.contains("on resource: arn:aws:dynamodb:us-east-1:000000000000:table/music/index")
    }));
    let put = ask(&user, "PutItem", &shapes::PUT_ITEM, r#"{"TableName":"orders-1","Item":{}}"#);
    assert!(put.is_err_and(|why| why.contains("dynamodb:PutItem on")));
    assert_eq!(ask(&user, "DescribeTable", &shapes::DESCRIBE_TABLE, r#"{"TableName":"orders-1"}"#), Ok(()));
}

#[test]
fn every_table_of_a_batch() {
    let user = user(&["a*"], &["Batch*"]);
    let batch = |tables: &str| {
        let entries: Vec<String> =
            tables.split(' ').map(|table| format!(r#""{table}":{{"Keys":[{{"p":{{"S":"x"}}}}]}}"#)).collect();
        let body = format!(r#"{{"RequestItems":{{{}}}}}"#, entries.join(","));
        ask(&user, "BatchGetItem", &shapes::BATCH_GET_ITEM, &body)
    };
    assert_eq!(batch("abc add"), Ok(()));
    let refusal = batch("abc xyz").expect_err("one is not allowed");
    assert!(refusal.contains("table/xyz") && refusal.contains("dynamodb:BatchGetItem"), "{refusal}");
    let write = r#"{"RequestItems":{"xyz":[{"DeleteRequest":{"Key":{"p":{"S":"x"}}}}]}}"#;
    assert!(ask(&user, "BatchWriteItem", &shapes::BATCH_WRITE_ITEM, write).is_err());
}

#[test]
fn resources_that_are_plain_text() {
    let user = user(&["orders"], &["*"]);
    let tags = |arn: &str| {
        ask(
            &user,
            "ListTagsOfResource",
            &shapes::LIST_TAGS_OF_RESOURCE,
            &format!(r#"{{"ResourceArn":"{arn}"}}"#),
        )
    };
    assert_eq!(tags("arn:aws:dynamodb:us-east-1:000000000000:table/orders"), Ok(()));
    assert!(tags("arn:aws:dynamodb:us-east-1:000000000000:table/music").is_err());
    assert!(tags("nonsense").is_err());
    assert!(tags("arn:").is_err());
}

#[test]
fn what_is_about_no_table_is_for_all_tables() {
    let list =
        |tables: &[&str]| ask(&user(tables, &["ListTables"]), "ListTables", &shapes::LIST_TABLES, "{}");
    assert_eq!(list(&["*"]), Ok(()));
    let refusal = list(&["orders"]).expect_err("it would name the others");
    assert!(
        refusal.contains("dynamodb:ListTables on resource: arn:aws:dynamodb:us-east-1:000000000000:table/* "),
        "{refusal}"
    );
}

#[test]
fn patterns_of_actions() {
    assert!(is_about_an_action("*") && is_about_an_action("PutItem") && is_about_an_action("Describe*"));
    assert!(!is_about_an_action("putitem") && !is_about_an_action("Frob*") && !is_about_an_action(""));
    for pattern in READ_ONLY {
        assert!(is_about_an_action(pattern), "{pattern}");
    }
    let writes =
        ["Put", "Update", "Delete", "Create", "Batch", "Tag", "Untag", "Restore", "Import", "Execute"];
    for action in ACTIONS.iter().filter(|action| writes.iter().any(|write| action.starts_with(write))) {
        let reads = READ_ONLY.iter().any(|pattern| matches(pattern, action));
        assert_eq!(reads, *action == "BatchGetItem", "{action}");
    }
    assert!(ACTIONS.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
}

#[test]
fn parts_of_a_transaction_are_actions() {
    assert_eq!(action_of("Put", "TransactWriteItems"), "PutItem");
    assert_eq!(action_of("ConditionCheck", "TransactWriteItems"), "ConditionCheckItem");
    assert_eq!(action_of("Get", "TransactGetItems"), "GetItem");
    assert_eq!(action_of("Key", "GetItem"), "GetItem");
}
