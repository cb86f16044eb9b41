//! Tables go there and back, and records that are not understood in full are refused.

use std::collections::BTreeMap;

use super::*;
use crate::{
    item::{ItemRef, Value},
    key::KeyAttribute,
    testing::Chance,
};

pub(crate) fn small_table() -> Table {
    Table {
        id: TableId(1),
        uuid: "u".to_owned(),
        name: "t".to_owned(),
        schema: KeySchema { partition: KeyAttribute { name: "p".to_owned(), kind: KeyType::S }, sort: None },
        attribute_definitions: vec![AttributeDefinition { name: "p".to_owned(), kind: KeyType::S }],
        status: TableStatus::Active,
        created_us: 1,
        billing: Billing { mode: BillingMode::PayPerRequest, ..Billing::default() },
        deletion_protection: false,
        class: TableClass::Default,
        encryption: None,
        tags: vec![],
        time_to_live: None,
    }
}

pub(crate) fn full_table() -> Table {
    let text = |text: &str| text.to_owned();
    let tag = |key: &str, value: &str| Tag { key: text(key), value: text(value) };
    Table {
        id: TableId(u32::MAX),
        uuid: text("4c1e2b9e-0000-4000-8000-0123456789ab"),
        name: text("Orders.eu-1_x"),
        schema: KeySchema {
            partition: KeyAttribute { name: text("customer"), kind: KeyType::B },
            sort: Some(KeyAttribute { name: text("nummer"), kind: KeyType::N }),
        },
        attribute_definitions: vec![
            AttributeDefinition { name: text("nummer"), kind: KeyType::N },
            AttributeDefinition { name: text("customer"), kind: KeyType::B },
        ],
        status: TableStatus::Updating,
        created_us: 1_790_000_000_123_456,
        billing: Billing {
            mode: BillingMode::Provisioned,
            read_units: 40_000,
            write_units: 1,
            last_increase_us: Some(5),
            last_decrease_us: Some(u64::MAX),
            decreases_today: 4,
            last_on_demand_us: Some(0),
        },
        deletion_protection: true,
        class: TableClass::InfrequentAccess,
        encryption: Some(Encryption { key: Some(text("alias/aws/dynamodb")) }),
        tags: vec![tag("a", ""), tag("b", "2")],
        time_to_live: Some(TimeToLive { attribute: text("expires") }),
    }
}

fn read(record: &[u8]) -> Result<Table, crate::item::Corrupt> {
    Table::from_item(ItemRef::check(record).expect("a good item"))
}

#[test]
fn a_record_goes_there_and_back() {
    let check = |change: &dyn Fn(&mut Table)| {
        for mut table in [small_table(), full_table()] {
            change(&mut table);
            assert_eq!(read(&table.to_item()), Ok(table));
        }
    };
    check(&|_| {});
    for status in TableStatus::ALL {
        check(&|table| table.status = status);
    }
    for class in [TableClass::Default, TableClass::Standard, TableClass::InfrequentAccess] {
        check(&|table| table.class = class);
    }
    check(&|table| table.encryption = Some(Encryption { key: None }));
    check(&|table| table.encryption = None);
    check(&|table| table.time_to_live = None);
    check(&|table| table.time_to_live = Some(TimeToLive { attribute: "t".to_owned() }));
}

#[test]
fn bytes_are_those_of_the_format_page() {
    let page = include_str!("../../../docs/FORMAT.md");
    let from = page.find("The smallest useful one, table 1").expect("the example");
    let until = page.find("## Maps").expect("what comes after it");
    let lines = page[from..until].lines().filter(|line| line.starts_with("    "));
    let shown: Vec<u8> = lines
        .flat_map(str::split_whitespace)
        .map(|word| u8::from_str_radix(word, 16).expect("hex"))
        .collect();
    assert_eq!(shown, small_table().to_item(), "{}", hex(&small_table().to_item()));
}

/// The smallest table as version 1 wrote it: it still opens, and is written anew as what it is now.
#[test]
fn records_of_version_1_are_read() {
    let old = "\
        01 01 0B 22 67 76 7D 84 A1 AC BA C2 C9 CF 0A 61 74 74 72 69 62 75 74 65 73 08 01 01 13 07 01 02 \
        07 0E 04 6E 61 6D 65 01 70 04 74 79 70 65 01 53 07 62 69 6C 6C 69 6E 67 07 01 04 12 27 2E 36 0F \
        64 65 63 72 65 61 73 65 73 5F 74 6F 64 61 79 02 80 04 6D 6F 64 65 01 50 41 59 5F 50 45 52 5F 52 \
        45 51 55 45 53 54 04 72 65 61 64 02 80 05 77 72 69 74 65 02 80 0A 63 72 65 61 74 65 64 5F 75 73 \
        02 C0 82 14 02 69 64 02 C0 82 14 04 6E 61 6D 65 01 74 09 70 61 72 74 69 74 69 6F 6E 07 01 02 07 \
        0E 04 6E 61 6D 65 01 70 04 74 79 70 65 01 53 09 70 72 6F 74 65 63 74 65 64 04 06 73 74 61 74 75 \
        73 01 41 43 54 49 56 45 04 74 61 67 73 08 01 00 04 75 75 69 64 01 75 01 76 02 C0 82 14";
    let old: Vec<u8> =
        old.split_whitespace().map(|word| u8::from_str_radix(word, 16).expect("hex")).collect();
    assert_eq!(read(&old), Ok(small_table()));
    assert_ne!(small_table().to_item(), old);
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).map(hex_line).collect()
}

fn hex_line(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("    {}\n", words.join(" "))
}

#[test]
fn what_is_not_understood_is_refused() {
    let broken = |change: &dyn Fn(&mut BTreeMap<String, Value>)| {
        let record = full_table().to_item();
        let mut attributes = Value::attributes(ItemRef::trusted(&record));
        change(&mut attributes);
        read(&Value::encode_item(&attributes)).expect_err("it is broken").what
    };
    let text = |text: &str| Value::S(text.to_owned());
    let inside = |map: &mut BTreeMap<String, Value>, name: &str, key: &str, value: Value| {
        let Some(Value::M(inner)) = map.get_mut(name) else { panic!("a map") };
        inner.insert(key.to_owned(), value);
    };
    let set =
        |name: &'static str, value: Value| broken(&|map| drop(map.insert(name.to_owned(), value.clone())));
    assert_eq!(set("v", Value::N(0_u64.into())), "a table record of an unknown version");
    assert_eq!(set("v", Value::N(3_u64.into())), "a table record of an unknown version");
    assert_eq!(set("v", Value::N(1_u64.into())), "an unknown attribute in a record");
    assert_eq!(set("ttl", text("expires")), "an attribute of the wrong type in a record");
    assert_eq!(broken(&|map| inside(map, "ttl", "unit", Value::Null)), "an unknown attribute in a record");
    assert_eq!(set("stream", Value::Null), "an unknown attribute in a record");
    assert_eq!(set("status", text("GONE")), "an unknown word in a record");
    assert_eq!(set("class", text("Standard")), "an unknown word in a record");
    assert_eq!(set("created_us", Value::N((-1_i64).into())), "a number out of range in a record");
    assert_eq!(set("id", Value::N((1_u64 << 32).into())), "a number out of range in a record");
    assert_eq!(set("tags", Value::L(vec![Value::Null])), "an attribute of the wrong type in a record");
    assert_eq!(broken(&|map| drop(map.remove("tags"))), "an attribute missing in a record");
    assert_eq!(broken(&|map| inside(map, "sort", "type", text("BOOL"))), "an unknown word in a record");
    assert_eq!(broken(&|map| inside(map, "sort", "order", text("up"))), "an unknown attribute in a record");
    assert_eq!(
        broken(&|map| inside(map, "billing", "burst", Value::Null)),
        "an unknown attribute in a record"
    );
    assert_eq!(
        broken(&|map| inside(map, "encryption", "kind", Value::Null)),
        "an unknown attribute in a record"
    );
}

#[test]
fn reading_survives_damage() {
    let mut chance = Chance::new(13);
    let good = full_table().to_item();
    for _ in 0..5_000 {
        let mut bytes = good.clone();
        let place = chance.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << chance.below(8);
        if let Ok(table) = Table::from_item(ItemRef::trusted(&bytes)) {
            assert_eq!(read(&table.to_item()), Ok(table));
        }
    }
}

#[test]
fn decreases_count_for_one_day() {
    const DAY_US: u64 = 86_400_000_000;
    let billing =
        Billing { last_decrease_us: Some(3 * DAY_US + 5), decreases_today: 2, ..Billing::default() };
    assert_eq!(billing.decreases_today(4 * DAY_US - 1), 2);
    assert_eq!(billing.decreases_today(4 * DAY_US), 0);
    assert_eq!(Billing { decreases_today: 2, ..Billing::default() }.decreases_today(5), 0);
}

#[test]
fn words_are_those_of_the_api() {
    assert_eq!(BillingMode::from_name("PAY_PER_REQUEST"), Some(BillingMode::PayPerRequest));
    assert_eq!(BillingMode::from_name("FREE"), None);
    assert_eq!(TableClass::from_name("STANDARD"), Some(TableClass::Standard));
    assert_eq!(full_table().attribute_kind("nummer"), Some(KeyType::N));
    assert_eq!(full_table().attribute_kind("none"), None);
}
