//! Items and values from outside: what passes the check is canonical, and every reader agrees about it.

use model::item::{ItemRef, Value, ValueRef};

/// The bytes as an item, and as a value that stands alone.
pub fn run(data: &[u8]) {
    if let Ok(item) = ItemRef::check(data) {
        check_item(item);
    }
    if let Ok(value) = ValueRef::check(data) {
        let tree = Value::from(value);
        assert_eq!(tree.encode(), data, "a value that checks is canonical");
        assert_eq!(value.encode(), data);
        assert_eq!(value.depth(), tree.depth());
        assert!(value.charged_bytes() <= data.len(), "{} bytes", value.charged_bytes());
    }
}

fn check_item(item: ItemRef<'_>) {
    let attributes = Value::attributes(item);
    assert_eq!(attributes.len(), item.len(), "names are unique");
    assert_eq!(Value::encode_item(&attributes), item.bytes(), "an item that checks is canonical");
    for (name, value) in item.iter() {
        let found = item.get(name).expect("what is walked over is found");
        assert_eq!(found.encode(), value.encode());
        assert_eq!(Value::from(found), attributes[name]);
    }
    assert!(item.charged_bytes() <= item.bytes().len(), "{} bytes", item.charged_bytes());
}
