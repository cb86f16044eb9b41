//! Every limit that DynamoDB documents and torc keeps, by name; the unit is in the name.
//!
//! Source: DynamoDB Developer Guide, "Quotas in Amazon DynamoDB" and "Constraints in Amazon DynamoDB".

/// Bytes of an item as [`crate::item::ItemRef::charged_bytes`] counts them.
pub const ITEM_BYTES_MAX: usize = 400 * 1024;
/// Levels of maps and lists inside an item; the item's own top level is not counted.
pub const NESTING_MAX: usize = 32;
/// Bytes of a partition key's value.
pub const PARTITION_KEY_BYTES_MAX: usize = 2048;
/// Bytes of a sort key's value.
pub const SORT_KEY_BYTES_MAX: usize = 1024;
/// Bytes of an attribute's name.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 65535;
/// Bytes of a key attribute's name.
pub const KEY_NAME_BYTES_MAX: usize = 255;
/// Significant digits of a number.
pub const NUMBER_DIGITS_MAX: usize = 38;
/// Bytes of items that one Query or Scan page evaluates.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an expression's text.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// Bytes of all attribute names and values that one expression substitutes.
pub const EXPRESSION_VALUES_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a placeholder, such as `#name` or `:value`.
pub const PLACEHOLDER_BYTES_MAX: usize = 255;
/// Operators and functions in one expression.
pub const EXPRESSION_OPERATORS_MAX: usize = 300;
/// Operands of the IN comparator.
pub const IN_OPERANDS_MAX: usize = 100;
/// Keys in one BatchGetItem.
pub const BATCH_GET_KEYS_MAX: usize = 100;
/// Bytes of items in one BatchGetItem answer.
pub const BATCH_GET_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Writes in one BatchWriteItem.
pub const BATCH_WRITE_ITEMS_MAX: usize = 25;
/// Bytes of the items in one BatchWriteItem.
pub const BATCH_WRITE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Actions in one transaction.
pub const TRANSACTION_ITEMS_MAX: usize = 100;
/// Bytes of the items in one transaction.
pub const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a request's body.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Segments of a parallel Scan.
pub const SCAN_SEGMENTS_MAX: u32 = 1_000_000;
/// Bytes (all are one-byte characters) of a table's name.
pub const TABLE_NAME_BYTES_MAX: usize = 255;
/// The shortest table name.
pub const TABLE_NAME_BYTES_MIN: usize = 3;
/// Tables of one account and region.
pub const TABLES_MAX: usize = 2500;
/// Names in one page of ListTables.
pub const LIST_TABLES_MAX: usize = 100;
/// Read or write units that one table may be provisioned with.
pub const TABLE_UNITS_MAX: u64 = 40_000;
/// Read or write units that one account may provision in a region.
pub const ACCOUNT_UNITS_MAX: u64 = 80_000;
/// Tags of one table.
pub const TAGS_MAX: usize = 50;
/// Bytes that one read unit covers.
pub const READ_UNIT_BYTES: usize = 4096;
/// Bytes that one write unit covers.
pub const WRITE_UNIT_BYTES: usize = 1024;

const _: () =
    assert!(PARTITION_KEY_BYTES_MAX + SORT_KEY_BYTES_MAX < ITEM_BYTES_MAX, "an item has room for its key");
const _: () = assert!(ITEM_BYTES_MAX < PAGE_BYTES_MAX, "every item fits a page");
const _: () = assert!(NUMBER_DIGITS_MAX.is_multiple_of(2), "digits are packed two by two");
const _: () =
    assert!(BATCH_WRITE_ITEMS_MAX * ITEM_BYTES_MAX <= BATCH_WRITE_BYTES_MAX, "a batch of largest items fits");
